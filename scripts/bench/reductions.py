"""Whole training steps with and without each reduction (`engine.reductions`), in turns in one run on one core.

    python scripts/bench/reductions.py --json FILE [--only NAME] [--rounds 3] [--seconds 4]

Each case is `qmltrain train` in a process of its own, as in training.py: metrics and layer norms of every step, run
file, log and snapshots are in its times. `none` is ``engine.reductions=[]``, `all` is null, the others are one
reduction alone. Losses of the first steps must agree to 1e-4 among all of a case, else the run ends. A case whose whole
state fits no memory has no `none`. What is chosen must never be much slower than the best: `all / best` says it.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import own_training as own

from qmltrain.config.groups.engine import REDUCTIONS

TOLERANCE = 1e-4
COMPARED_STEPS = 10
FIRST_STEPS = 24
MOST_NUMBERS = 1 << 23  # of the features


@dataclass(frozen=True)
class Case:
    """`n_features` columns of random features, `batch` samples a step; None: no data. `alone`: reductions that are
    measured one at a time; `whole`: whether the whole state fits memory."""

    name: str
    qubits: int
    batch: int
    words: tuple[str, ...]
    alone: tuple[str, ...] = ()
    n_features: int | None = None
    whole: bool = True

    @property
    def batches(self) -> int:
        """Of an epoch: 512 as in training.py, fewer where samples are large."""
        return max(8, min(512, MOST_NUMBERS // (self.batch * (self.n_features or 1))))

    def settings(self, data: Path, steps: int, reductions: str) -> list[str]:
        common = [f"circuit.n_qubits={self.qubits}", f"engine.reductions={reductions}", *self.words]
        if self.n_features is None:
            none = ["dataset=none", "encoding=none", "head=raw", "loss=expectation"]
            return [*none, *common, "optimizer.learning_rate=0.01", "schedule=constant", f"train.epochs={steps}"]
        return [
            "dataset=npz", f"dataset.path={data}", "dataset.validation=0", "dataset.test=0", "preprocess=angles",
            "preprocess.scale=none", f"optimizer.learning_rate={own.LEARNING_RATE}", "schedule=constant",
            f"train.batch_size={self.batch}", f"train.epochs={-(-steps // self.batches)}", f"train.max_steps={steps}",
            *common,
        ]  # fmt: skip


def hea(qubits: int, layers: int, batch: int, *alone: str, whole: bool = True) -> Case:
    words = ("encoding=angle", "ansatz=hea", f"ansatz.layers={layers}")
    return Case(f"hea {qubits},{layers},{batch}", qubits, batch, words, alone, qubits, whole)


def real(qubits: int, layers: int, batch: int, encoding: str) -> Case:
    words = (f"encoding={encoding}", "ansatz=real_amplitudes", f"ansatz.layers={layers}")
    n_features = qubits if encoding == "angle" else 1 << qubits
    return Case(
        f"real_amplitudes {encoding} {qubits},{layers},{batch}", qubits, batch, words, ("real_states",), n_features
    )


CASES = [
    hea(20, 2, 16, "light_cones"),
    hea(100, 3, 16, "light_cones", whole=False),
    hea(1000, 3, 16, "light_cones", whole=False),
    Case("ising 64, simplified_two_design 2", 64, 1,
         ("observable=ising", "ansatz=simplified_two_design", "ansatz.layers=2"), ("light_cones",), whole=False),
    *(real(8, 20, 16, encoding) for encoding in ("angle", "amplitude")),
    *(real(8, 20, 64, encoding) for encoding in ("angle", "amplitude")),
    *(real(12, 20, 2, encoding) for encoding in ("angle", "amplitude")),
    *(real(12, 20, 16, encoding) for encoding in ("angle", "amplitude")),
    *(real(16, 20, 2, encoding) for encoding in ("angle", "amplitude")),
    hea(4, 100, 256, "shared_blocks"),
    hea(6, 50, 512, "shared_blocks"),
    hea(4, 10, 256, "shared_blocks"),
    Case("real_amplitudes angle 4,10,256", 4, 256, ("encoding=angle", "ansatz=real_amplitudes", "ansatz.layers=10"),
         ("real_states", "shared_blocks"), 4),
    Case("real_amplitudes angle 6,20,256", 6, 256, ("encoding=angle", "ansatz=real_amplitudes", "ansatz.layers=20"),
         ("real_states", "shared_blocks"), 6),
    Case("re-uploading 8,6,64", 8, 64,
         ("encoding=reuploading", "encoding.repeats=6", "ansatz=hea", "ansatz.layers=6"), ("sample_angles",), 8),
    hea(8, 3, 64, "product_start"),
    hea(8, 5, 32, "product_start"),
    hea(12, 20, 16, "product_start"),
    hea(16, 20, 2, "product_start"),
]  # fmt: skip


def write_data(case: Case, path: Path) -> None:
    generator = np.random.default_rng(7)
    rows = case.batches * case.batch
    x = generator.uniform(0, np.pi, (rows, case.n_features or 1)).astype(np.float32).astype(np.float64)
    np.savez(path, x=x, y=generator.integers(0, 2, rows))


def own_run(case: Case, data: Path, steps: int, reductions: str, folder: Path) -> tuple[float, list[float], list[str]]:
    """Seconds a step, the first losses, and what the run says that it took."""
    with tempfile.TemporaryDirectory(dir=folder) as directory:
        run, _ = own.train(case.settings(data, steps, reductions), Path(directory) / "run")
        taken = json.loads(run.attributes["choices"]).get("reductions", [])
        return own.step_seconds(run), own.losses(run, COMPARED_STEPS), taken


def measure(case: Case, rounds: int, seconds: float, folder: Path) -> dict[str, dict]:
    data = folder / "data.npz"
    write_data(case, data)
    ways = {"all": "null", **({"none": "[]"} if case.whole else {}), **{name: f"[{name}]" for name in case.alone}}
    steps, losses = {}, None
    for way, words in ways.items():
        estimate, found, _ = own_run(case, data, FIRST_STEPS, words, folder)
        losses = losses or found
        difference = max(abs(a - b) for a, b in zip(losses, found, strict=True))
        if not difference <= TOLERANCE:
            raise SystemExit(f"{case.name}: losses with {way} and with all differ by {difference:.3g}")
        steps[way] = max(COMPARED_STEPS, int(seconds / estimate))
    times: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, words in ways.items():
            times[way].append(own_run(case, data, steps[way], words, folder)[0])
    return {
        way: {"step_seconds": statistics.median(found), "min_seconds": min(found), "max_seconds": max(found),
              "repeats": len(found), "steps": steps[way]}
        for way, found in times.items()
    }  # fmt: skip


def row(name: str, found: dict[str, dict]) -> str:
    def text(way: str) -> str:
        if way not in found:
            return "-"
        one = found[way]
        return f"{1e6 * one['step_seconds']:,.4g} ({1e6 * one['min_seconds']:,.4g} to {1e6 * one['max_seconds']:,.4g})"

    every = found["all"]["step_seconds"]
    alone = [way for way in found if way not in ("all", "none")]
    gain = f"{found['none']['step_seconds'] / every:.3g}" if "none" in found else "-"
    best = f"{every / min(one['step_seconds'] for one in found.values()):.3f}"
    singles = "; ".join(f"{way.replace('_', ' ')} {1e6 * found[way]['step_seconds']:,.4g}" for way in alone)
    return f"| {name} | {text('none')} | {text('all')} | {gain} | {singles} | {best} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="cases whose name begins so")
    parser.add_argument("--core", type=int, default=0, help="-1: do not pin")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="of a run, about")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    cases = [case for case in CASES if given.only is None or case.name.startswith(given.only)]
    if not cases:
        parser.error(f"--only: no case begins with {given.only!r}; there are {', '.join(one.name for one in CASES)}")
    known = set(REDUCTIONS)
    pinned = own.pin(given.core)
    print("Microseconds a step: median (least to most) of all repeats.\n")
    print("| case | none | all | none / all | one alone | all / best |\n|---|---|---|---|---|---|")
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for case in cases:
            assert set(case.alone) <= known, case
            results[case.name] = measure(case, given.rounds, given.seconds, Path(folder))
            print(row(case.name, results[case.name]), flush=True)
    if given.json:
        words = [word for word in sys.argv[1:] if "/" not in word or word.startswith("docs/")]
        record = {
            "date": date.today().isoformat(), "machine": platform.machine(), "pinned": pinned,
            "command": " ".join(words), "unit": "seconds a training step", "results": results,
        }  # fmt: skip
        given.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
