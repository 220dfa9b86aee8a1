#!/usr/bin/env python3
"""Training steps with stretches of shared gates as matrices and gate by gate, and which of the two the planner takes.

    scripts/bench/blocks.py [--qubits 2,3,4,5,6,7,8] [--layers 3,10,30,100] [--batches 32,64,...] [--encoding angle]

Whole native steps (linear head, cross-entropy, Adam) of the hardware-efficient ansatz, one thread, in one process: the
two take turns, and the medians of their times are compared. `factor`: of these,
`predicted` of the stretches alone. `loss`: how much longer than the better of the two the
planner's takes; the last line has the largest of all. With --precision complex128, or --encoding of any other name, the
same for these.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from qmltrain.circuit.circuit import Circuit
from qmltrain.circuit.library.assemble import assemble, assemble_observables
from qmltrain.circuit.observables import PauliString
from qmltrain.engines.cpu import CpuEngine
from qmltrain.engines.protocol import EngineOptions
from qmltrain.engines.step_recipe import SpanInputs
from qmltrain.fusion.compile import compile_plan
from qmltrain.fusion.plan import Plan, SharedBlock
from qmltrain.fusion.reductions.planner import PLAN_REDUCTIONS, ReducedPlanner
from qmltrain.fusion.reductions.setting import Setting
from qmltrain.fusion.stretches import shared_stretches
from qmltrain.training.heads import HEADS
from qmltrain.training.losses import CrossEntropy
from qmltrain.training.model import Model
from qmltrain.training.native_recipe import feature_columns, step_recipe
from qmltrain.training.optimizers import Adam
from qmltrain.training.state import TrainingPlan

FEWEST = 8  # operations of a stretch that is tried as a matrix
TRAINING = TrainingPlan(1, 1, None, "train/loss", None, None, lambda step: 0.01)


@dataclass(frozen=True)
class Case:
    qubits: int
    layers: int
    batch: int
    encoding: str = "angle"
    precision: str = "complex64"
    repeats: int | None = None  # of the encoding, each followed by `layers` layers

    def model(self) -> Model:
        options = {} if self.repeats is None else {"repeats": self.repeats}
        ansatz = {"layers": self.layers}
        circuit = assemble(self.qubits, self.qubits, self.encoding, options, "hea", ansatz)
        observables = assemble_observables(self.qubits, "z", {})
        loss = CrossEntropy(2)
        return Model(circuit, observables, HEADS["linear"](observables.n_observables, loss.n_outputs), loss)


def planner_of(case: Case, names: tuple[str, ...] = tuple(PLAN_REDUCTIONS)) -> ReducedPlanner:
    return ReducedPlanner(names, Setting(case.batch, case.precision))  # type: ignore[arg-type]


def gate_by_gate(case: Case) -> ReducedPlanner:
    """With every other reduction of a plan."""
    return planner_of(case, tuple(name for name in PLAN_REDUCTIONS if name != "shared_blocks"))


def as_matrices(circuit: Circuit, strings: tuple[PauliString, ...]) -> Plan:
    """Every stretch of at least `FEWEST` operations."""
    plan = compile_plan(circuit, strings)
    deep = [SharedBlock(a, b, 1.0) for a, b in shared_stretches(plan) if b - a >= FEWEST]
    return replace(plan, shared_blocks=tuple(deep))


def steps_of(case: Case, planner: Callable[[Circuit, tuple[PauliString, ...]], Plan]) -> Callable[[int], float]:
    """A function that takes so many steps and returns seconds a step."""
    model = case.model()
    options = EngineOptions(threads=1, planner=planner)
    program = CpuEngine().compile(
        model.measured_circuit,
        model.observables.strings,
        case.precision,  # type: ignore[arg-type]
        options=options,
    )
    optimizer = Adam(model.n_parameters)
    steps = program.training_steps(step_recipe(model, optimizer, TRAINING))
    generator = np.random.default_rng(0)
    rows = max(case.batch, 2048)
    columns_NF = np.ascontiguousarray(feature_columns(model, generator.uniform(-1, 1, (rows, case.qubits))))
    targets_N = generator.integers(0, 2, rows).astype(float)
    theta_P = generator.uniform(-1, 1, model.n_parameters)
    moments = [np.zeros(model.n_parameters), np.zeros(model.n_parameters)]
    none = np.zeros(0, dtype=np.int64)

    def take(count: int) -> float:
        taken = generator.integers(0, rows, count * case.batch)
        inputs = SpanInputs(
            columns_NF, targets_N, taken, np.arange(count + 1) * case.batch, np.full(count, 0.01), 1e9, 0, theta_P,
            moments, none, none,
        )  # fmt: skip
        begun = time.thread_time()
        steps.run(inputs, lambda: False)
        return (time.thread_time() - begun) / count

    return take


def compare(case: Case, rounds: int, seconds: float) -> tuple[float, float]:
    """Median seconds a step: gate by gate, as matrices."""
    both = [steps_of(case, gate_by_gate(case)), steps_of(case, as_matrices)]
    for take in both:
        take(1)
    counts = [max(1, round(seconds / take(1))) for take in both]
    times = [[take(count) for take, count in zip(both, counts, strict=True)] for _ in range(rounds)]
    gates, matrices = (statistics.median(column) for column in zip(*times, strict=True))
    return gates, matrices


def chosen(case: Case) -> tuple[SharedBlock, ...]:
    """What the planner takes."""
    model = case.model()
    return planner_of(case)(model.measured_circuit, model.observables.strings).shared_blocks or ()


def numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--qubits", type=numbers, default=numbers("2,3,4,5,6,7,8"))
    parser.add_argument("--layers", type=numbers, default=numbers("3,10,30,100"))
    parser.add_argument("--batches", type=numbers, default=numbers("32,64,128,256,512,1024"))
    parser.add_argument("--case", type=numbers, action="append", help="qubits,layers,batch, in place of all of these")
    parser.add_argument("--encoding", default="angle")
    parser.add_argument("--repeats", type=int, help="of an encoding that is uploaded again")
    parser.add_argument("--precision", default="complex64")
    parser.add_argument("--core", type=int, default=0, help="-1: do not pin")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.05, help="of each in a round")
    arguments = parser.parse_args()
    if arguments.core >= 0:
        os.sched_setaffinity(0, {arguments.core})
    sizes = arguments.case or list(product(arguments.qubits, arguments.layers, arguments.batches))
    print("| n, layers, batch | gate by gate, us | as matrices, us | factor | predicted | planner takes | loss |")
    print("|---|---|---|---|---|---|---|")
    largest = 0.0
    for n, layers, batch in sizes:
        case = Case(n, layers, batch, arguments.encoding, arguments.precision, arguments.repeats)
        gates, matrices = compare(case, arguments.rounds, arguments.seconds)
        blocks = chosen(case)
        loss = (matrices if blocks else gates) / min(gates, matrices) - 1
        largest = max(largest, loss)
        predicted = f"{min(one.gain for one in blocks):.1f}" if blocks else "-"
        print(
            f"| {n}, {layers}, {batch} | {1e6 * gates:,.1f} | {1e6 * matrices:,.1f} | {gates / matrices:.2f} | "
            f"{predicted} | {'matrices' if blocks else 'gates'} | {100 * loss:.0f} % |",
            flush=True,
        )
    print(f"\nThe planner's choice takes at most {100 * largest:.0f} % longer than the better one.")


if __name__ == "__main__":
    main()
