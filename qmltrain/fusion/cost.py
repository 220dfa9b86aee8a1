"""The cost model: multiply-adds and bytes of a plan, counted per amplitude in its plain form.

One R costs 4 real multiply-adds an amplitude (2 for each of the real and the imaginary part), one D 4 (a complex
product). Going back both are un-applied on psi and lambda; taking v_x and v_y of a run costs 4 (a real run v_y
alone, 2; a run without trainable angle none), and w = Im(conj(lambda) psi) of a D or of the v_z of a step costs 2.
A pass reads and writes each of its states once. The interpreter counts what it does; a test demands that both
agree. Fast engines do better in arithmetic (a scaled R costs 2) but make the same passes.
"""

from __future__ import annotations

from dataclasses import dataclass

from qmltrain.fusion.plan import AffineAngle, Diagonal, Plan, Rotations, Run, Term

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


def is_trainable(run: Run) -> bool:
    """Whether any angle of the run has a slot, so that its gradient is wanted."""
    return any(rotation.angle.slot is not None for rotation in run.rotations)


def has_gradient(term: Term) -> bool:
    """Whether a term of a D carries a slot of its own (alpha and gamma get theirs through v)."""
    return isinstance(term.angle, AffineAngle) and term.angle.slot is not None


def needs_v_z(run: Run) -> bool:
    """v_z is wanted for trainable runs that are not real (per-sample ones are)."""
    return is_trainable(run) and not run.real


def forward_cost(plan: Plan, amplitude_bytes: int) -> Cost:
    """One forward sweep of one sample."""
    per_amplitude = 0
    for one in plan.passes:
        for operation in one.operations:
            if isinstance(operation, Rotations):
                per_amplitude += R_MULTIPLY_ADDS * len(operation.rotations)
            else:
                per_amplitude += D_MULTIPLY_ADDS
    size = 1 << plan.n_qubits
    return Cost(per_amplitude * size, 2 * amplitude_bytes * size * len(plan.passes))


def backward_cost(plan: Plan, amplitude_bytes: int) -> Cost:
    """One backward sweep of one sample that un-applies everything on psi and lambda."""
    per_amplitude = 0
    for one in plan.passes:
        for operation in one.operations:
            if isinstance(operation, Rotations):
                per_amplitude += 2 * R_MULTIPLY_ADDS * len(operation.rotations)
                per_amplitude += sum(v_multiply_adds(plan.runs[r.run]) for r in operation.rotations)
                per_amplitude += W_MULTIPLY_ADDS * any(needs_v_z(plan.runs[r.run]) for r in operation.rotations)
            else:
                per_amplitude += 2 * D_MULTIPLY_ADDS
                terms = (*operation.shared, *operation.per_sample)
                per_amplitude += W_MULTIPLY_ADDS * any(has_gradient(term) for term in terms)
    size = 1 << plan.n_qubits
    return Cost(per_amplitude * size, 4 * amplitude_bytes * size * len(plan.passes))


def v_multiply_adds(run: Run) -> int:
    """v_x and v_y of a general run, v_y of a real one."""
    if not is_trainable(run):
        return 0
    return V_PAIR_MULTIPLY_ADDS if run.real else 2 * V_PAIR_MULTIPLY_ADDS


@dataclass(frozen=True)
class TableCost:
    """Of the diagonals' tables, beside `Cost`: real additions of the Walsh-Hadamard transforms that turn the angles of
    a diagonal's strings into a phase for every amplitude (and, going back, `w` into the gradient of every angle), and
    sines with cosines. `once` for the whole batch where angles are shared, `a_sample` where they are the sample's own.
    """

    additions_once: int
    sines_once: int
    additions_a_sample: int
    sines_a_sample: int


def table_cost(plan: Plan) -> TableCost:
    """Forward and backward. A transform costs t additions an amplitude in tiles of 2^t, whatever the number of strings:
    so all pairs of qubits cost what neighbours cost.
    """
    size = 1 << plan.n_qubits
    transform = min(plan.tile_bits, plan.n_qubits) * size
    once = own = gradients = 0
    for one in plan.passes:
        for operation in one.operations:
            if isinstance(operation, Diagonal):
                once += bool(operation.shared)
                own += bool(operation.per_sample)
                gradients += any(has_gradient(term) for term in (*operation.shared, *operation.per_sample))
    # the tables of the backward sweep are made anew
    return TableCost(2 * once * transform, 2 * once * size, (2 * own + gradients) * transform, 2 * own * size)


@dataclass(frozen=True)
class Composition:
    """What a plan holds, for `qmltrain plan`."""

    passes: int
    steps: int
    rotations: int
    diagonals: int
    shared_terms: int
    per_sample_terms: int
    largest_diagonal: int


def composition(plan: Plan) -> Composition:
    rotations = diagonals = shared = per_sample = largest = 0
    for one in plan.passes:
        for operation in one.operations:
            if isinstance(operation, Diagonal):
                diagonals += 1
                shared += len(operation.shared)
                per_sample += len(operation.per_sample)
                largest = max(largest, len(operation.shared) + len(operation.per_sample))
            else:
                rotations += len(operation.rotations)
    return Composition(len(plan.passes), plan.n_steps, rotations, diagonals, shared, per_sample, largest)
