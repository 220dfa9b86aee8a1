"""qmltrain's side of training.py: data, the real command in a process of its own, and the same task for the peers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from peers.protocol import Task

from qmltrain.data.batches import BatchOrder
from qmltrain.runs.views import RunView, open_run

LEARNING_RATE = 0.05


@dataclass(frozen=True)
class Case:
    """A hardware-efficient ansatz of `qubits` and `layers`, trained in batches of `batch` samples."""

    qubits: int
    layers: int
    batch: int
    classes: int = 2

    @property
    def name(self) -> str:
        return f"{self.qubits},{self.layers},{self.batch}" + (f" {self.classes} classes" if self.classes != 2 else "")


def write_data(case: Case, batches: int, path: Path, seed: int = 7) -> None:
    """`batches` whole batches of random features x (rows, n) in [0, pi), exact in float32, and classes y that a random
    linear rule gives them, all about as frequent."""
    generator = np.random.default_rng(seed)
    rows = batches * case.batch
    x = generator.uniform(0, np.pi, (rows, case.qubits)).astype(np.float32).astype(np.float64)
    score = np.cos(x) @ generator.normal(size=case.qubits)
    y = np.empty(rows, dtype=np.int64)
    y[np.argsort(score)] = np.arange(rows) * case.classes // rows
    np.savez(path, x=x, y=y)


def overrides(case: Case, data: Path, batches: int, steps: int) -> list[str]:
    """What the command is told; all it is not told (every key of run but where) is at its default."""
    return [
        f"circuit.n_qubits={case.qubits}",
        "encoding=angle",
        "ansatz=hea",
        f"ansatz.layers={case.layers}",
        "dataset=npz",
        f"dataset.path={data}",
        "dataset.validation=0",
        "dataset.test=0",
        "preprocess=angles",
        "preprocess.scale=none",
        f"optimizer.learning_rate={LEARNING_RATE}",
        "schedule=constant",
        f"train.batch_size={case.batch}",
        f"train.epochs={-(-steps // batches)}",
        f"train.max_steps={steps}",
    ]


DIGITS = ["experiment=digits"]


def train(settings: list[str], directory: Path, threads: int = 1, engine: str = "cpu") -> tuple[RunView, float]:
    """``qmltrain train`` with `settings` on `engine`: the finished run, and the seconds of the whole process.

    Raises SystemExit with what it said where it fails.
    """
    command = [sys.executable, "-m", "qmltrain", "train", *settings]
    command += [f"engine.name={engine}", f"engine.threads={threads}", "train.baseline=false", f"run.dir={directory}"]
    begun = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - begun
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise SystemExit(f"qmltrain: exit code {done.returncode}: {''.join(last)}\n  {' '.join(command)}")
    return open_run(directory), seconds


def step_seconds(run: RunView) -> float:
    """Of the whole session: steps, metrics, logs, snapshots and, where there is one, validation."""
    return float(run.attributes["session_seconds"]) / int(run.attributes["session_steps"])


def losses(run: RunView, steps: int) -> list[float]:
    """Of the first steps, before their updates."""
    return run.table("metrics")["train/loss"][:steps].tolist()


def task_of(case: Case, run: RunView, data: Path) -> Task:
    """What `run` trained: its first parameters, its batches of the first epoch in its order."""
    values = dict(zip(run.parameter_names, run.table("parameters")["values"][0], strict=True))
    n, layers, classes = case.qubits, case.layers, case.classes
    theta = [[[values[f"ansatz.{k}.{g}.{q}"] for g in ("rx", "ry", "rz")] for q in range(n)] for k in range(layers)]
    weights = [[values[f"head.{c}.{q}.weight"] for q in range(n)] for c in range(classes)]
    bias = [values[f"head.{c}.bias"] for c in range(classes)]
    with np.load(data) as arrays:
        x, y = arrays["x"], arrays["y"]
    seed = json.loads(run.attributes["seeds"])["order"]
    rows = np.stack(BatchOrder(np.arange(len(y)), case.batch, seed).batches(0))
    return Task(np.array(theta), np.array(weights), np.array(bias), x[rows], y[rows], LEARNING_RATE)


def timed_until(call: Callable[[], object], seconds: float) -> list[float]:
    """Seconds of each call, at least one, until `seconds` are over."""
    found: list[float] = []
    total = 0.0
    while not found or total < seconds:
        begun = time.perf_counter()
        call()
        found.append(time.perf_counter() - begun)
        total += found[-1]
    return found


def pin(core: int) -> str:
    """Keep this process, and all that it starts, on one core; what was done, in words."""
    if core < 0 or not hasattr(os, "sched_setaffinity"):
        return "not pinned"
    allowed = os.sched_getaffinity(0)
    if core not in allowed:
        raise SystemExit(f"--core: {core} is not one of this process's cores; choose from {sorted(allowed)}")
    os.sched_setaffinity(0, {core})
    return f"core {core}"
