#!/usr/bin/env python
"""Whole steps of `qmltrain train engine=cuda`, every key of run at its default, beside the engine's own step.

    python scripts/bench/gpu_train.py --qubits 12 --layers 100 --batch 1000 --steps 100
    python scripts/bench/gpu_train.py --mnist FOLDER      one epoch of experiment=mnist_amplitude

Seconds of a step are those of a run of four times the steps less those of a run of one, so that what a session does
once (compiling, planning, opening files) is in none. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import gpu_step
from own_training import Case, overrides, train, write_data

BATCHES = 4  # whole batches in the data


def whole_step(case: Case, steps: int, engine: str) -> dict[str, Any]:
    """Seconds of a step and of what is around the steps, and of the process of the shorter run."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data.npz"
        write_data(case, BATCHES, data)
        found = []
        for number, count in enumerate((steps, 4 * steps)):
            settings = overrides(case, data, BATCHES, count)
            run, process = train(settings, Path(folder) / f"run-{number}", threads=0, engine=engine)
            found.append((float(run.attributes["session_seconds"]), int(run.attributes["session_steps"]), process))
    (short, few, process), (long, many, _) = found
    step = (long - short) / (many - few)
    return {"train_step_s": step, "train_once_s": short - few * step, "train_process_s": process}


def mnist(folder: Path, engine: str, most: list[str]) -> dict[str, Any]:
    os.environ["QMLTRAIN_DATA"] = str(folder)
    with tempfile.TemporaryDirectory() as runs:
        settings = ["experiment=mnist_amplitude", "train.epochs=1", *most]
        run, process = train(settings, Path(runs) / "run", threads=0, engine=engine)
        return {
            "tool": "qmltrain train",
            "case": "experiment=mnist_amplitude, one epoch",
            "session_s": float(run.attributes["session_seconds"]),
            "steps": int(run.attributes["session_steps"]),
            "process_s": process,
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--qubits", type=int)
    parser.add_argument("--layers", type=int)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--mnist", type=Path, help="the folder of its four files")
    parser.add_argument("--rehearse", action="store_true", help="without a GPU: few steps on the interpreter")
    arguments = parser.parse_args()
    engine = "interpreter" if arguments.rehearse else "cuda"
    if arguments.mnist is not None:
        print(json.dumps(mnist(arguments.mnist, engine, ["train.max_steps=1"] * arguments.rehearse)))
        return
    if arguments.qubits is None or arguments.layers is None or arguments.batch is None:
        raise SystemExit("--qubits, --layers and --batch, or --mnist: one of both is needed")
    if arguments.rehearse:
        arguments.qubits, arguments.layers, arguments.batch, arguments.steps = 3, 1, 16, 2
    case = Case(arguments.qubits, arguments.layers, arguments.batch)
    words = ["--qubits", str(case.qubits), "--layers", str(case.layers), "--batch", str(case.batch)]
    words += ["--device", "null"] * arguments.rehearse
    own = gpu_step.measure(gpu_step.parser().parse_args([*words, "--repeats", "10"]))
    kept = {name: own[name] for name in ("gpu", "qubits", "layers", "batch", "step_s")}
    print(json.dumps({"tool": "qmltrain train", **kept, **whole_step(case, arguments.steps, engine)}))


if __name__ == "__main__":
    main()
