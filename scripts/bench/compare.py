"""qmltrain beside public simulators on identical inputs, in one run.

    python scripts/bench/compare.py --python lightning=ENV/bin/python --python tensorcircuit=ENV2/bin/python

Each tool lives in its own interpreter (``--python TOOL=PATH``: qmltrain, lightning, tensorcircuit, qulacs, catalyst,
prism, jax; qmltrain uses this one). qmltrain is there twice: with the same angles in each call, as the others, and with
new ones in each call, as in a training (`qmltrain_new_angles`). training.py says which packages make the environments
that it has too; for the others ``pip install prism-q numpy`` and ``pip install qulacs``. All are pinned to one core and
measured in turns, so that whatever else the machine does hits all alike: compare ratios. Losses and gradients must
agree. ``--json FILE`` writes everything measured.

``--settings`` compares qmltrain with itself instead: two threads (on two cores), AVX2 and the baseline instruction set.

Unit: ns per sample x gate x amplitude of one training step (loss and gradient of all parameters).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
OWN = ("qmltrain", "qmltrain_new_angles")
HEA = [(4, 10, 256), (8, 20, 64), (12, 20, 16), (12, 100, 4), (16, 20, 2), (18, 10, 1), (20, 10, 1), (8, 20, 1)]
TOLERANCE = 2e-4  # complex64 tools, gradients of norm about 1


def hea(n: int, layers: int, batch: int) -> dict:
    """ry(x), then layers of rx ry rz on every qubit and a CZ ring."""
    gates: list = [["ry", [q], [["feature", 1.0, q]]] for q in range(n)]
    for layer in range(layers):
        for q in range(n):
            for k, name in enumerate(("rx", "ry", "rz")):
                gates.append([name, [q], [["parameter", 1.0, 3 * (layer * n + q) + k]]])
        gates += [["cz", [q, (q + 1) % n], []] for q in range(n)]
    return _case(f"hea {n},{layers},{batch}", n, batch, gates, 3 * n * layers, n)


def strongly_entangling(n: int, layers: int, batch: int) -> dict:
    """ry(x), then layers of rz ry rz and a ring of CNOTs whose range grows with the layer."""
    gates: list = [["ry", [q], [["feature", 1.0, q]]] for q in range(n)]
    for layer in range(layers):
        for q in range(n):
            for k, name in enumerate(("rz", "ry", "rz")):
                gates.append([name, [q], [["parameter", 1.0, 3 * (layer * n + q) + k]]])
        reach = layer % (n - 1) + 1
        gates += [["cx", [q, (q + reach) % n], []] for q in range(n)]
    return _case(f"strongly_entangling {n},{layers},{batch}", n, batch, gates, 3 * n * layers, n)


def zz_real_amplitudes(n: int, reps: int, batch: int) -> dict:
    """Two repetitions of the ZZ feature map on all pairs, then RealAmplitudes with a chain of CNOTs."""
    gates: list = []
    for _ in range(2):
        gates += [["h", [q], []] for q in range(n)]
        gates += [["rz", [q], [["feature", 2.0, q]]] for q in range(n)]
        gates += [["rzz", [i, j], [["product", 2.0, i, j]]] for i in range(n) for j in range(i + 1, n)]
    for rep in range(reps + 1):
        gates += [["ry", [q], [["parameter", 1.0, rep * n + q]]] for q in range(n)]
        if rep < reps:
            gates += [["cx", [q, q + 1], []] for q in range(n - 1)]
    return _case(f"zz + real_amplitudes {n},{reps},{batch}", n, batch, gates, n * (reps + 1), n)


def reuploading(n: int, repeats: int, batch: int) -> dict:
    """repeats x (ry(x), rx ry rz, CZ ring)."""
    gates: list = []
    for layer in range(repeats):
        gates += [["ry", [q], [["feature", 1.0, q]]] for q in range(n)]
        for q in range(n):
            for k, name in enumerate(("rx", "ry", "rz")):
                gates.append([name, [q], [["parameter", 1.0, 3 * (layer * n + q) + k]]])
        gates += [["cz", [q, (q + 1) % n], []] for q in range(n)]
    return _case(f"reuploading {n},{repeats},{batch}", n, batch, gates, 3 * n * repeats, n)


def qaoa(n: int, layers: int, batch: int) -> dict:
    """Ring QAOA: h, then layers of rzz on the ring and rx, one angle each."""
    gates: list = [["h", [q], []] for q in range(n)]
    for layer in range(layers):
        gates += [["rzz", [q, (q + 1) % n], [["parameter", 2.0, 2 * layer]]] for q in range(n)]
        gates += [["rx", [q], [["parameter", 2.0, 2 * layer + 1]]] for q in range(n)]
    return _case(f"ring qaoa {n},{layers},{batch}", n, batch, gates, 2 * layers, 0)


def _case(name: str, n: int, batch: int, gates: list, parameters: int, features: int) -> dict:
    return {
        "name": name, "qubits": n, "batch": batch, "gates": gates, "n_parameters": parameters, "n_features": features,
        "seed": 7,
    }  # fmt: skip


OTHERS = [
    strongly_entangling(12, 20, 16),
    zz_real_amplitudes(10, 3, 64),
    reuploading(8, 6, 64),
    qaoa(16, 8, 1),
]


SETTINGS = {
    "qmltrain": (1, {}),
    "two threads": (2, {}),
    "avx2": (1, {"QMLTRAIN_SIMD": "avx2"}),
    "baseline": (1, {"QMLTRAIN_SIMD": "baseline"}),
}


class Worker:
    """One tool's process, on `threads` cores from `core` on (-1: anywhere). `label` names its results."""

    def __init__(
        self, tool: str, python: str, threads: int, core: int, label: str = "", extra: dict[str, str] | None = None
    ) -> None:
        self.tool, self.threads = label or tool, threads
        environment = dict(os.environ, OMP_NUM_THREADS=str(threads), RAYON_NUM_THREADS=str(threads)) | (extra or {})
        if threads == 1:
            environment["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        environment["PYTHONPATH"] = str(HERE.parents[1])
        self.process = subprocess.Popen(
            [python, str(HERE / "workers.py"), tool],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment,
        )  # fmt: skip
        if core >= 0:
            os.sched_setaffinity(self.process.pid, set(range(core, core + threads)))

    def ask(self, request: dict) -> dict:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.tool}: the process ended; is the tool installed in its interpreter?")
        return json.loads(line)


def measure(case: dict, workers: list[Worker], rounds: int, seconds: float) -> dict[str, dict]:
    """Times of every tool that can do the case, taken in turns; raises where losses or gradients differ."""
    answers = {}
    for worker in workers:
        answer = worker.ask({**case, "threads": worker.threads})
        if "refused" not in answer:
            answers[worker.tool] = answer
    first = next(iter(answers.values()))
    for tool, answer in answers.items():
        gap = abs(answer["loss"] - first["loss"])
        difference = np.abs(np.array(answer["gradient"]) - first["gradient"]).max(initial=gap)
        if not difference <= TOLERANCE:
            raise SystemExit(f"{case['name']}: {tool} differs from {next(iter(answers))} by {difference:.2g}")
    times: dict[str, list[float]] = {tool: [] for tool in answers}
    for _ in range(rounds):
        for worker in workers:
            if worker.tool in times:
                times[worker.tool] += worker.ask({"seconds": seconds})["times"]
    unit = 1e9 / (case["batch"] * len(case["gates"]) * 2.0 ** case["qubits"])
    return {
        tool: {
            "median_ns": statistics.median(t) * unit,
            "best_ns": min(t) * unit,
            "quartiles_ns": [float(np.quantile(t, q)) * unit for q in (0.25, 0.75)],
            "step_seconds": statistics.median(t),
            "steps": len(t),
        }
        for tool, t in times.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", action="append", default=[], metavar="TOOL=PATH")
    parser.add_argument("--cases", choices=["hea", "others", "all"], default="all")
    parser.add_argument("--only", help="run only cases whose name contains this text")
    parser.add_argument("--core", type=int, default=0, help="pin everything to the cores from this on; -1: do not pin")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--settings", action="store_true", help="qmltrain with other settings, not other tools")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each tool in a round")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if arguments.settings:
        workers = [
            Worker("qmltrain", sys.executable, threads, arguments.core, label, extra)
            for label, (threads, extra) in SETTINGS.items()
        ]
    else:
        pythons = dict.fromkeys(OWN, sys.executable) | dict(item.split("=", 1) for item in arguments.python)
        workers = [Worker(tool, python, arguments.threads, arguments.core) for tool, python in pythons.items()]
    tools = [worker.tool for worker in workers]
    cases = [hea(*size) for size in HEA] if arguments.cases != "others" else []
    cases += OTHERS if arguments.cases != "hea" else []
    results = {}
    ratio_of = "times of the others / qmltrain" if arguments.settings else "best other / qmltrain"
    print("| " + " | ".join(["circuit n,layers,batch", *tools, ratio_of]) + " |")
    print("|---" * (len(tools) + 2) + "|", flush=True)
    for case in cases:
        if arguments.only and arguments.only not in case["name"]:
            continue
        found = measure(case, workers, arguments.rounds, arguments.seconds)
        results[case["name"]] = found
        cells = [f"{found[t]['median_ns']:.3f}" if t in found else "-" for t in tools]
        own = found["qmltrain"]["median_ns"]
        others = [r["median_ns"] for t, r in found.items() if t not in OWN]
        if arguments.settings:
            ratio = ", ".join(f"{other / own:.2f}" for other in others)
        else:
            ratio = f"{min(others) / own:.1f}" if others else "-"
        print(f"| {case['name']} | " + " | ".join(cells) + f" | {ratio} |", flush=True)
        if arguments.json:
            header = {"date": date.today().isoformat(), "machine": platform.processor() or platform.machine()}
            command = re.sub(r"=\S*/\S*python\S*", "=...", " ".join(sys.argv[1:]))
            record = {**header, "command": command, "threads": arguments.threads, "results": results}
            arguments.json.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
