"""How training.py talks with a peer: one process, a line of JSON each way. Needs NumPy alone.

A peer is a module that calls ``serve(variants, packages)``. ``variants(task)`` returns, by name, the ways in which it
can train (one is enough); each takes the task and gives a `Train`, which continues where its last call ended. All
variants are compared with qmltrain, the fastest is told.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

QUICK_SECONDS = 0.5  # a variant runs about so long before it is known whether it may be the fastest
MAY_BE_FASTEST = 2.0  # times the time of the quickest so far: it is timed as well, since other work disturbs
REPEAT_SECONDS = 0.2  # of one timed call, where its steps are shorter

Train = Callable[[int, int], NDArray]  # first batch, number of steps -> (steps,) losses before each update


@dataclass(frozen=True)
class Task:
    """What every peer trains: circuit, first parameters and batches, all of them qmltrain's own.

    The circuit is ``ry(x_q)`` on every qubit q, then L layers of rx, ry, rz on every qubit and CZ on (q, q + 1 mod n);
    outputs are ``Z_q`` of every qubit times `weights_CN` plus `bias_C`; the loss is the mean softmax cross-entropy.
    Batch s is `x_SBN` [s], radians, with classes `y_SB` [s].
    """

    theta_LN3: NDArray[np.float64]
    weights_CN: NDArray[np.float64]
    bias_C: NDArray[np.float64]
    x_SBN: NDArray[np.float64]
    y_SB: NDArray[np.int64]
    learning_rate: float

    @property
    def qubits(self) -> int:
        return self.theta_LN3.shape[1]

    @property
    def layers(self) -> int:
        return self.theta_LN3.shape[0]

    @property
    def batches(self) -> int:
        return len(self.x_SBN)

    @property
    def batch(self) -> int:
        return self.x_SBN.shape[1]

    @staticmethod
    def read(path: Path) -> Task:
        """A task from the .npz that `write` made."""
        with np.load(path) as arrays:
            values = {name: arrays[name] for name in arrays.files}
        return Task(**values | {"learning_rate": float(values["learning_rate"])})

    def write(self, path: Path) -> None:
        np.savez(path, **vars(self))


class Adam:
    """Adam on a dictionary of NumPy arrays, as of arXiv:1412.6980, for peers that bring no optimiser of their own."""

    def __init__(self, learning_rate: float, parameters: dict[str, NDArray]) -> None:
        self.learning_rate, self.steps = learning_rate, 0
        self.first = {name: np.zeros_like(values) for name, values in parameters.items()}
        self.second = {name: np.zeros_like(values) for name, values in parameters.items()}

    def update(self, parameters: dict[str, NDArray], gradients: dict[str, NDArray]) -> None:
        """In place."""
        self.steps += 1
        for name, gradient in gradients.items():
            self.first[name] += 0.1 * (gradient - self.first[name])
            self.second[name] += 0.001 * (gradient**2 - self.second[name])
            first = self.first[name] / (1 - 0.9**self.steps)
            second = self.second[name] / (1 - 0.999**self.steps)
            parameters[name] -= self.learning_rate * first / (np.sqrt(second) + 1e-8)


def cross_entropy(outputs_BC: NDArray, y_B: NDArray) -> tuple[float, NDArray]:
    """The mean softmax cross-entropy and its gradient (B, C), in NumPy."""
    rows = np.arange(len(y_B))
    shifted_BC = outputs_BC - outputs_BC.max(axis=1, keepdims=True)
    exponentials_BC = np.exp(shifted_BC)
    sums_B = exponentials_BC.sum(axis=1)
    gradient_BC = exponentials_BC / sums_B[:, None]
    gradient_BC[rows, y_B] -= 1
    return float(np.mean(np.log(sums_B) - shifted_BC[rows, y_B])), gradient_BC / len(y_B)


@dataclass
class Variant:
    """One that is trained: its next batch, and about how long a step takes."""

    train: Train
    position: int
    step_seconds: float


class Server:
    """Answers the three requests: a task, times, the end (end of input)."""

    def __init__(self, variants: Callable[[Task], dict[str, Callable[[Task], Train]]], packages: list[str]) -> None:
        self.variants, self.packages = variants, packages
        self.task: Task | None = None
        self.ready: dict[str, Variant] = {}

    def answer(self, request: dict) -> dict:
        try:
            return self.prepare(request) if "task" in request else self.times(request["seconds"])
        except ModuleNotFoundError as error:
            return {"missing": f"no module named {error.name} in {sys.executable}"}
        except NotImplementedError as error:
            return {"refused": str(error)}

    def prepare(self, request: dict) -> dict:
        """The first `steps` losses of every variant (fewer, but two, where `budget` seconds are over).

        Those that may be the fastest are kept, to be timed.
        """
        self.task = Task.read(Path(request["task"]))
        found: dict[str, dict] = {}
        for name, make in self.variants(self.task).items():
            begun = time.perf_counter()
            train = make(self.task)
            losses = [float(loss) for loss in train(0, 1)]
            first_call = time.perf_counter() - begun
            steps: list[float] = []
            while not steps or (len(losses) < request["steps"] and sum(steps) < request["budget"]):
                steps.append(self.timed(train, len(losses), 1, losses))
            step = min(steps)
            if step < QUICK_SECONDS / 10:  # so short that calling it is a part of the time
                count = self.count(step)
                step = min(self.timed(train, 0, count, []) / count for _ in range(3))
            found[name] = {"losses": losses, "first_call_seconds": first_call}
            self.ready[name] = Variant(train, len(losses), step)
        quickest = min(variant.step_seconds for variant in self.ready.values())
        self.ready = {k: v for k, v in self.ready.items() if v.step_seconds <= MAY_BE_FASTEST * quickest}
        return {"variants": found, "versions": {package: version(package) for package in self.packages}}

    def count(self, step_seconds: float) -> int:
        """Steps of one call."""
        assert self.task is not None
        return max(1, min(self.task.batches, int(REPEAT_SECONDS / step_seconds)))

    @staticmethod
    def timed(train: Train, first: int, count: int, losses: list[float]) -> float:
        begun = time.perf_counter()
        found = train(first, count)
        seconds = time.perf_counter() - begun
        losses.extend(float(loss) for loss in found)
        return seconds

    def times(self, seconds: float) -> dict:
        """By variant the seconds a step of each repeat, at least one; all together until `seconds` are over."""
        assert self.task is not None
        repeats: dict[str, list[float]] = {}
        steps: dict[str, int] = {}
        for name, variant in self.ready.items():
            found = repeats[name] = []
            count = self.count(variant.step_seconds)
            while not found or sum(found) * count * len(self.ready) < seconds:
                first = variant.position % max(1, self.task.batches - count + 1)
                found.append(self.timed(variant.train, first, count, []) / count)
                variant.position += count
            steps[name] = count * len(found)
        return {"repeats": repeats, "steps": steps}


@contextmanager
def own_output() -> Iterator[Callable[[str], None]]:
    """Where answers go: what a tool prints itself goes to stderr meanwhile."""
    answers, sys.stdout = sys.stdout, sys.stderr
    try:
        yield lambda text: print(text, file=answers, flush=True)
    finally:
        sys.stdout = answers


def serve(variants: Callable[[Task], dict[str, Callable[[Task], Train]]], packages: list[str]) -> None:
    """Answer requests on stdin until it ends. `packages` are the distributions whose versions are told."""
    server = Server(variants, packages)
    with own_output() as answer:
        for line in sys.stdin:
            answer(json.dumps(server.answer(json.loads(line))))
