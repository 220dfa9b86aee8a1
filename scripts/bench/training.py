"""Whole training steps of qmltrain beside other tools that train the same model, in one run on one core.

    python scripts/bench/training.py --python tensorcircuit=ENV/bin/python --python jax=ENV2/bin/python ... --json FILE

qmltrain is the real command, ``qmltrain train`` in a process of its own: metrics and layer norms of every step, run
file, log and snapshots are in its times, which are `session_seconds / session_steps` of the finished run. The peers
train the same circuit, head and loss with Adam, from qmltrain's first parameters, on its batches in its order, without
writing anything; their data lie in memory in that order beforehand. Losses of the first ten steps must agree to 1e-4,
else the run ends. All take turns, `--rounds` times; compare ratios. "Its kernel alone" is called from Python, which
takes a few microseconds a call: where a step is that short, step / kernel may be below 1.

The model: ``ry(x)``, layers of rx ry rz on every qubit and a CZ ring; Z of every qubit into a linear head; softmax
cross-entropy. Data: random features, `--batches` whole batches an epoch, no validation split. `digits` is
``experiment=digits`` as shipped (validation after every epoch), for qmltrain alone.

Each peer runs in the interpreter that ``--python PEER=PATH`` names, else in this one; a peer whose packages are not
there is reported as not installed. Environments:

    tensorcircuit       pip install tensorcircuit-ng jax optax
    jax                 pip install jax optax
    lightning, tutorial pip install pennylane pennylane-lightning
    catalyst            pip install pennylane pennylane-lightning pennylane-catalyst==0.15.0 optax

A quick look: ``--rounds 1 --steps 2000 --seconds 3 --peer-seconds 1 --budget 5 --only 4,3,32``.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import re
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import own_training as own
from compare import hea
from own_kernel import renewed
from own_training import Case
from peer_process import PeerProcess

PEERS = {
    "jax": "peers.jax_by_hand",
    "tensorcircuit": "peers.tensorcircuit",
    "catalyst": "peers.catalyst",
    "lightning": "peers.lightning",
    "tutorial": "peers.pennylane_tutorial",
}
CASES = [
    Case(4, 3, 32), Case(4, 10, 32), Case(4, 10, 256), Case(4, 10, 256, classes=10), Case(8, 5, 32),
    Case(8, 20, 64), Case(12, 20, 16), Case(16, 20, 2),
]  # fmt: skip
DIGITS = "digits"
COMPARED_STEPS = 10
TOLERANCE = 1e-4  # of losses about 1, complex64 and float32
ABSENT = {"missing": "not installed", "refused": "refused", "failed": "failed", "too slow": "too slow"}


@dataclass(frozen=True)
class Effort:
    """How long what is measured: `steps` or `seconds` of a run of qmltrain, whichever is over first; `peer_seconds` of
    each peer in a round; `budget` seconds for a peer's compared steps; `limit` seconds for any answer of a peer."""

    rounds: int
    steps: int
    seconds: float
    batches: int
    peer_seconds: float
    budget: float
    limit: float
    threads: tuple[int, ...] = (1,)


def agreement(name: str, ours: list[float], theirs: list[float]) -> dict:
    """How many losses were compared, and their largest difference. Raises SystemExit where they do not agree."""
    compared = min(len(ours), len(theirs))
    differences = [abs(a - b) for a, b in zip(ours, theirs, strict=False)]
    for k, difference in enumerate(differences):
        if not difference <= TOLERANCE:  # NaN, too
            raise SystemExit(
                f"{name}: the loss of step {k + 1} is {theirs[k]:.7g}, qmltrain's {ours[k]:.7g}; they may differ by "
                f"{TOLERANCE:g}: it does not train the same model"
            )
    if compared < 2:
        raise SystemExit(f"{name}: {compared} losses to compare; at least 2 are needed to see a gradient")
    return {"compared_steps": compared, "largest_difference": max(differences)}


def spread(seconds: list[float]) -> dict:
    """Of the seconds a step of all repeats."""
    return {
        "step_seconds": statistics.median(seconds),
        "min_seconds": min(seconds),
        "max_seconds": max(seconds),
        "quartiles_seconds": [float(np.quantile(seconds, q)) for q in (0.25, 0.75)],
        "repeats": len(seconds),
    }


def own_run(settings: list[str], folder: Path, threads: int = 1) -> tuple[own.RunView, dict]:
    """One run of the command in a new directory, which is not kept."""
    with tempfile.TemporaryDirectory(dir=folder) as directory:
        run, process_seconds = own.train(settings, Path(directory) / "run", threads)
        measured = {
            "step_seconds": own.step_seconds(run),
            "steps": int(run.attributes["session_steps"]),
            "process_seconds": process_seconds,
            "losses": own.losses(run, COMPARED_STEPS),
            "device": run.attributes["device"],
            "git_commit": run.attributes.get("git_commit", ""),
            "version": run.attributes["qmltrain_version"],
        }
    return run, measured


def own_record(rounds: list[dict]) -> dict:
    names = ("device", "git_commit", "version")
    return {
        **spread([measured["step_seconds"] for measured in rounds]),
        "steps": sum(measured["steps"] for measured in rounds),
        "process_seconds": statistics.median(measured["process_seconds"] for measured in rounds),
        **{name: rounds[0][name] for name in names},
    }


def measure_digits(effort: Effort, folder: Path) -> dict[str, dict]:
    return {"qmltrain": own_record([own_run(own.DIGITS, folder)[1] for _ in range(effort.rounds)])}


def measure(case: Case, pythons: dict[str, str], effort: Effort, folder: Path) -> dict[str, dict]:
    """Everything of one case, by name: qmltrain, its kernel alone, and the peers of `pythons`."""
    data, task_file = folder / "data.npz", folder / "task.npz"
    own.write_data(case, effort.batches, data)
    with tempfile.TemporaryDirectory(dir=folder) as directory:
        settings = own.overrides(case, data, effort.batches, max(effort.batches, COMPARED_STEPS))
        first, _ = own.train(settings, Path(directory) / "run")
        task, losses = own.task_of(case, first, data), own.losses(first, COMPARED_STEPS)
        estimate = own.step_seconds(first)
    task.write(task_file)
    steps = max(COMPARED_STEPS, min(effort.steps, math.ceil(effort.seconds / estimate)))
    kernel = kernel_call(case, task)
    results: dict[str, dict] = {}
    processes: dict[str, PeerProcess] = {}
    try:
        for name, python in pythons.items():
            process = processes[name] = PeerProcess(name, PEERS[name], python, effort.limit)
            request = {"task": str(task_file), "steps": COMPARED_STEPS, "budget": effort.budget}
            results[name] = prepared(name, process.ask(request), losses)
        rounds: dict[int, list[dict]] = {threads: [] for threads in effort.threads}
        kernel_times: list[float] = []
        times: dict[str, dict[str, list[float]]] = {name: {} for name in processes}
        for _ in range(effort.rounds):
            for threads, measured in rounds.items():
                measured.append(own_run(own.overrides(case, data, effort.batches, steps), folder, threads)[1])
                agreement("qmltrain itself, in another run", losses, measured[-1]["losses"])
            kernel_times += repeat(kernel, effort.peer_seconds)
            for name, process in processes.items():
                if not set(results[name]) & set(ABSENT):
                    add_times(results[name], times[name], process.ask({"seconds": effort.peer_seconds}))
    finally:
        for process in processes.values():
            process.close()
    for name in processes:
        if times[name]:
            results[name] |= fastest(results[name]["variants"], times[name])
    kernel_record = spread(kernel_times) | {"steps": len(kernel_times)}
    records = {own_name(threads): own_record(measured) for threads, measured in rounds.items()}
    return {**records, "kernel": kernel_record, **results}


def own_name(threads: int) -> str:
    return "qmltrain" if threads == 1 else f"qmltrain, {threads} threads"


def add_times(found: dict, times: dict[str, list[float]], answer: dict) -> None:
    """A peer's times of one round, or why there are none, into what is recorded of it."""
    for variant, seconds in answer.get("repeats", {}).items():
        times.setdefault(variant, []).extend(seconds)
        known = found["variants"][variant]
        known["steps"] = known.get("steps", 0) + answer["steps"][variant]
    found |= {key: words for key, words in answer.items() if key in ABSENT}


def fastest(variants: dict[str, dict], times: dict[str, list[float]]) -> dict:
    """What is recorded of a peer: its fastest variant by the medians of `times`, which all go into `variants`."""
    for variant, seconds in times.items():
        variants[variant] |= spread(seconds)
    best = min(times, key=lambda variant: variants[variant]["step_seconds"])
    own_times = {key: value for key, value in variants[best].items() if key in (*spread([0.0]), "steps")}
    return {"variant": best, "first_call_seconds": variants[best]["first_call_seconds"], **own_times}


def prepared(name: str, answer: dict, losses: list[float]) -> dict:
    """A peer's first answer as it is recorded, its losses compared."""
    if "variants" not in answer:
        return answer
    compared = {
        variant: agreement(f"{name} ({variant})", losses, found.pop("losses")) | found
        for variant, found in answer["variants"].items()
    }
    return {
        "compared_steps": min(found["compared_steps"] for found in compared.values()),
        "largest_difference": max(found["largest_difference"] for found in compared.values()),
        "variants": compared,
        "versions": answer["versions"],
    }


def kernel_call(case: Case, task: own.Task) -> Callable[[], object]:
    """qmltrain's kernel alone on the task's first batch, other angles in each call."""
    circuit = hea(case.qubits, case.layers, case.batch) | {"threads": 1}
    weights = np.random.default_rng(0).normal(size=case.qubits)
    return renewed(circuit, task.theta_LN3.ravel(), task.x_SBN[0], weights)


def repeat(call: Callable[[], object], seconds: float) -> list[float]:
    """Seconds of each call, at least one, until `seconds` are over; the first, which makes what is kept, apart."""
    call()
    return own.timed_until(call, seconds)


def cell(found: dict | None) -> str:
    """Microseconds a step: median (quartiles), or why there are none."""
    if found is None:
        return "-"
    why = [words for key, words in ABSENT.items() if key in found]
    if why:
        return why[0]
    middle, low, high = map(microseconds, (found["step_seconds"], *found["quartiles_seconds"]))
    return f"{middle} ({low} to {high})"


def microseconds(seconds: float) -> str:
    """Three digits of short times, whole microseconds of others."""
    return f"{1e6 * seconds:.3g}" if seconds < 1e-4 else f"{1e6 * seconds:,.0f}"


def row(case: str, results: dict[str, dict], peers: list[str], threads: tuple[int, ...] = (1,)) -> str:
    ours = results["qmltrain"]["step_seconds"]
    teams = [results.get(own_name(n)) for n in threads if n != 1]
    faster = [f" ({ours / team['step_seconds']:.2f} times)" if team else "" for team in teams]
    kernel = f"{ours / results['kernel']['step_seconds']:.2f}" if "kernel" in results else "-"
    timed = {name: results[name] for name in peers if name in results and not set(results[name]) & set(ABSENT)}
    others = [(found["step_seconds"], name) for name, found in timed.items()]
    best = f"{min(others)[0] / ours:.2f} ({min(others)[1]})" if others else "-"
    cells = [case, cell(results["qmltrain"]), *(cell(team) + text for team, text in zip(teams, faster, strict=True))]
    cells += [cell(results.get("kernel")), kernel]
    return "| " + " | ".join([*cells, *(cell(results.get(name)) for name in peers), best]) + " |"


def remarks(case: str, results: dict[str, dict]) -> list[str]:
    """What the table has no room for: first calls, variants, compared steps, and why a peer has no times."""
    lines = []
    for name, found in results.items():
        for key, words in ABSENT.items():
            if key in found:
                lines.append(f"{case}: {name}: {words}: {found[key]}")
        if "variant" in found:
            lines.append(
                f"{case}: {name}: {found['variant']}; first call {found['first_call_seconds']:.1f} s; "
                f"{found['compared_steps']} losses within {found['largest_difference']:.0e}"
            )
    return lines


def processor() -> str:
    """Its name where the system tells it."""
    try:
        names = re.findall(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def parse(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", action="append", default=[], metavar="PEER=PATH", help="a peer's interpreter")
    parser.add_argument("--peers", default=",".join(PEERS), help="which peers, with commas; none: qmltrain alone")
    parser.add_argument("--only", action="append", help="a case, as 4,3,32 (any), or '4,10,256 10 classes' or digits")
    parser.add_argument("--core", type=int, default=0, help="the core that everything runs on; -1: do not pin")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20_000, help="of a run of qmltrain, at most")
    parser.add_argument("--seconds", type=float, default=30.0, help="of a run of qmltrain, at most, about")
    parser.add_argument("--batches", type=int, default=512, help="of an epoch")
    parser.add_argument("--peer-seconds", type=float, default=5.0, help="of each peer, and of the kernel, in a round")
    parser.add_argument("--budget", type=float, default=60.0, help="seconds for the compared steps of a peer's variant")
    parser.add_argument("--limit", type=float, default=900.0, help="seconds for any answer of a peer")
    parser.add_argument("--threads", default="1", help="of qmltrain; 1,2: both, to compare (with --core -1)")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args(words)
    arguments.threads = tuple(sorted({1, *map(int, arguments.threads.split(","))}))
    arguments.peers = [name for name in arguments.peers.split(",") if name not in ("", "none")]
    arguments.pythons = dict(item.partition("=")[::2] for item in arguments.python)
    for option, names in (("--peers", arguments.peers), ("--python", arguments.pythons)):
        for name in names:
            if name not in PEERS:
                parser.error(f"{option}: {name!r} is not known; choose from {', '.join(PEERS)}")
    known: dict[str, Case | None] = {**{case.name: case for case in CASES}, DIGITS: None}
    arguments.cases = known if arguments.only is None else {}
    for name in arguments.only or []:
        if name not in known and not re.fullmatch(r"\d+,\d+,\d+", name):
            parser.error(f"--only: {name!r} is not known; choose from {'; '.join(known)}, or any 'n,layers,batch'")
        arguments.cases[name] = known[name] if name in known else Case(*map(int, name.split(",")))
    return arguments


def main(words: list[str]) -> None:
    arguments = parse(words)
    effort = Effort(**{name: getattr(arguments, name) for name in Effort.__dataclass_fields__})
    pinned = own.pin(arguments.core)
    pythons = {name: arguments.pythons.get(name, sys.executable) for name in arguments.peers}
    record: dict = {
        "date": date.today().isoformat(),
        "machine": platform.machine(),
        "cpu": processor(),
        "pinned": pinned,
        "command": re.sub(r"=\S*/\S*python\S*", "=...", " ".join(words)),
        "unit": "seconds a training step",
        "effort": vars(effort),
        "results": {},
    }
    heads = ["n, layers, batch", "qmltrain train"]
    heads += [f"{threads} threads" for threads in effort.threads if threads != 1]
    heads += ["its kernel alone", "step / kernel", *pythons, "best peer / ours"]
    print("Microseconds a step: median (quartiles) of all repeats.\n")
    print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|", flush=True)
    said: list[str] = []
    for name, case in arguments.cases.items():
        with tempfile.TemporaryDirectory(prefix="qmltrain-bench-") as folder:
            if case is None:
                found = measure_digits(effort, Path(folder))
            else:
                found = measure(case, pythons, effort, Path(folder))
        record["results"][name] = found
        print(row(name, found, list(pythons), effort.threads), flush=True)
        said += remarks(name, found)
        if arguments.json:
            arguments.json.write_text(json.dumps(record, indent=1) + "\n")
    print("\n" + "\n".join(said))


if __name__ == "__main__":
    main(sys.argv[1:])
