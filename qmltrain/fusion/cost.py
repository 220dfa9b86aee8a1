"""The cost model: multiply-adds and bytes of a plan, counted per amplitude in its plain form.

One R costs 4 real multiply-adds per amplitude (2 for each of the real and the imaginary part), one D 4 (a complex
product). Going back both are un-applied on psi and the bra; taking v_x and v_y of a gate run costs 4 (a real one v_y
alone, 2; one without trainable angle none), and w = Im(conj(bra) psi) of a D or of the v_z of a moment costs 2.
A pass reads and writes each of its states once, and engines choose their passes (`qmltrain.fusion.passes` has the
general schedule): what depends on them takes them. The interpreter counts what it does; a test demands that both
agree. Fast engines do better in arithmetic (a scaled R costs 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qmltrain.fusion.passes import Pass, Rotations
from qmltrain.fusion.plan import Diagonal, GateRun, Plan

R_MULTIPLY_ADDS = 4
D_MULTIPLY_ADDS = 4
V_PAIR_MULTIPLY_ADDS = 2  # each of v_x, v_y
W_MULTIPLY_ADDS = 2


@dataclass(frozen=True)
class Cost:
    """Of one sample: `multiply_adds` (real) and `bytes` moved between memory and tiles."""

    multiply_adds: int
    bytes: int

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.multiply_adds + other.multiply_adds, self.bytes + other.bytes)


def forward_cost(plan: Plan, passes: Sequence[Pass], amplitude_bytes: int) -> Cost:
    """One sample forward."""
    per_amplitude = 0
    for one in passes:
        for operation in one.operations:
            if isinstance(operation, Rotations):
                per_amplitude += R_MULTIPLY_ADDS * len(operation.rotations)
            else:
                per_amplitude += D_MULTIPLY_ADDS
    size = 1 << plan.n_qubits
    return Cost(per_amplitude * size, 2 * amplitude_bytes * size * len(passes))


def backward_cost(plan: Plan, passes: Sequence[Pass], amplitude_bytes: int) -> Cost:
    """One sample back, everything un-applied on psi and the bra."""
    per_amplitude = 0
    for one in passes:
        for operation in one.operations:
            if isinstance(operation, Rotations):
                per_amplitude += 2 * R_MULTIPLY_ADDS * len(operation.rotations)
                gate_runs = [plan.gate_runs[r.gate_run] for r in operation.rotations]
                per_amplitude += sum(map(v_multiply_adds, gate_runs))
                per_amplitude += W_MULTIPLY_ADDS * any(one.needs_v_z for one in gate_runs)
            else:
                per_amplitude += 2 * D_MULTIPLY_ADDS + W_MULTIPLY_ADDS * operation.has_gradient
    size = 1 << plan.n_qubits
    return Cost(per_amplitude * size, 4 * amplitude_bytes * size * len(passes))


def v_multiply_adds(gate_run: GateRun) -> int:
    """v_x and v_y of a general gate run, v_y of a real one."""
    if not gate_run.is_trainable:
        return 0
    return V_PAIR_MULTIPLY_ADDS if gate_run.real else 2 * V_PAIR_MULTIPLY_ADDS


@dataclass(frozen=True)
class TableCost:
    """Of the diagonals' tables, beside `Cost`: real additions of Walsh-Hadamard transforms, and sines with cosines.

    A transform makes a phase for every amplitude from the angles of a diagonal's strings, and going back the gradients
    of all its angles from `w`. `once` for the whole batch where angles are shared, `per_sample` where they are not.
    """

    additions_once: int
    sines_once: int
    additions_per_sample: int
    sines_per_sample: int


def table_cost(plan: Plan, tile_bits: int) -> TableCost:
    """Forward and backward. A transform costs t additions per amplitude in tiles of 2^t, whatever the number of
    strings: so all pairs of qubits cost what neighbours cost.
    """
    size = 1 << plan.n_qubits
    transform = min(tile_bits, plan.n_qubits) * size
    diagonals = _diagonals(plan)
    once = sum(bool(one.shared) for one in diagonals)
    own = sum(bool(one.per_sample) for one in diagonals)
    gradients = sum(one.has_gradient for one in diagonals)
    # the tables of the backward pass are made anew
    return TableCost(2 * once * transform, 2 * once * size, (2 * own + gradients) * transform, 2 * own * size)


@dataclass(frozen=True)
class Composition:
    """What a plan holds, for `qmltrain plan`."""

    depth: int
    rotations: int
    diagonals: int
    shared_terms: int
    per_sample_terms: int
    largest_diagonal: int


def composition(plan: Plan) -> Composition:
    diagonals = _diagonals(plan)
    return Composition(
        depth=plan.depth,
        rotations=len(plan.gate_runs),
        diagonals=len(diagonals),
        shared_terms=sum(len(one.shared) for one in diagonals),
        per_sample_terms=sum(len(one.per_sample) for one in diagonals),
        largest_diagonal=max((len(one.shared) + len(one.per_sample) for one in diagonals), default=0),
    )


def _diagonals(plan: Plan) -> list[Diagonal]:
    return [moment.diagonal for moment in plan.moments if moment.diagonal is not None]
