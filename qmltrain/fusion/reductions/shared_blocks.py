"""Shared blocks: a deep stretch of gates whose angles all samples share is one matrix.

Its N = 2^n columns are had by taking the basis states through the gates; a sample then costs a product with the matrix,
and going back an outer product. That is less than the gates where they are many, and samples are many more than
columns: about twice as fast with 4 N samples and 7 N gates. Formulas: docs/method.md; what a stretch is:
`qmltrain.fusion.stretches`.

Whether it pays is predicted from circuit, samples of a step and precision alone, in nanoseconds of one core of a Zen 4
with AVX-512 (`scripts/bench/blocks.py`): of these only ratios matter, and on other machines they are alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from qmltrain.circuit.circuit import Circuit
from qmltrain.circuit.observables import PauliString
from qmltrain.fusion.passes import Operation, Rotations
from qmltrain.fusion.plan import Diagonal, Plan, SharedBlock
from qmltrain.fusion.reductions.setting import Setting
from qmltrain.fusion.stretches import shared_stretches, whole_pass
from qmltrain.wording import plural

MOST_QUBITS = 8  # a matrix of 256 x 256 numbers fits the second cache
COLUMNS = 16  # columns, and samples, that go together; half of them in complex128
LARGE = 7  # qubits of a matrix that leaves the first cache
SHORT = 7  # qubits, at most, of states of which a few samples behind full vectors take as long as a vector
WORTH = 0.98  # of the time of the gates: chosen below

# Forward and back, of an amplitude
ROTATION_NS, REAL_ROTATION_NS, DIAGONAL_NS = 0.15, 0.11, 0.3
FEW_NS = 1.2  # beside them, of an operation on each sample of small states
COLUMN_FACTOR = 1.15  # columns go one unit at a time, and their states leave the caches
# A sample: of an element of the matrix, forward and for the outer product, of one of a large matrix; and beside them
ELEMENT_NS, LARGE_ELEMENT_NS, SAMPLE_NS = 0.068, 0.095, 3.0
# A step: of an element (taken from the columns, sums of the samples to columns), and whatever the size
MATRIX_NS, BLOCK_NS = 4.0, 1000.0
DOUBLE = 2.0  # complex128 beside complex64
# Gates on real states beside the same on complex ones, which matrices are of; the second over rows
REAL, REAL_FEW = 0.5, 3.5


@dataclass(frozen=True)
class Costs:
    """Nanoseconds of a stretch in one step: gate by gate, and as a matrix."""

    gates: float
    matrix: float


def reduce(plan: Plan, circuit: Circuit, strings: tuple[PauliString, ...], setting: Setting) -> Plan:
    """Mark the stretches that cost less as a matrix; of a real plan only where that saves more than real states do."""
    if plan.n_qubits > MOST_QUBITS:
        return plan
    trainable_encoding = any(one.weight is not None or one.bias is not None for one in circuit.slots.per_sample)
    chosen, saved = [], 0.0
    for first, last in shared_stretches(plan):
        costs = costs_of(plan, (first, last), setting, trainable_encoding)
        if costs.matrix < WORTH * costs.gates:
            chosen.append(SharedBlock(first, last, costs.gates / costs.matrix))
            saved += costs.gates - costs.matrix
    real = REAL + REAL_FEW / (1 << plan.n_qubits)
    if plan.real and (not chosen or saved < (1 - WORTH * real) * _gates_ns(plan, setting)):
        return replace(plan, shared_blocks=())
    # the raw sums of a product start are in another order
    product_start = plan.product_start and not chosen
    return replace(plan, real=False, shared_blocks=tuple(chosen), product_start=product_start)


def line(plan: Plan) -> str:
    blocks = plan.shared_blocks
    if plan.n_qubits > MOST_QUBITS:
        return f"none: more than {MOST_QUBITS} qubits"
    if plan.real:
        return "none: real states save more"
    if not blocks:
        return "none: no stretch of gates without features is deep enough for so few samples"
    operations = whole_pass(plan).operations
    gates = sum(_n_rotations(operations[one.first : one.last]) for one in blocks)
    gains = f"{min(one.gain for one in blocks):.1f}"
    if len(blocks) > 1:
        gains += f" to {max(one.gain for one in blocks):.1f}"
    return (
        f"{gates} of {plural(len(plan.gate_runs), 'rotation')} in {plural(len(blocks), 'block')}, each a matrix of "
        f"2^{plan.n_qubits} rows: predicted {gains} times as fast"
    )


def costs_of(plan: Plan, stretch: tuple[int, int], setting: Setting, trainable_encoding: bool) -> Costs:
    """Predicted. `trainable_encoding`: gradients of the samples' angles are wanted."""
    n, size = plan.n_qubits, 1 << plan.n_qubits
    operations = whole_pass(plan).operations
    before, inside = operations[: stretch[0]], operations[stretch[0] : stretch[1]]
    if before and isinstance(before[0], Diagonal) and not plan.amplitude_encoded:
        before = before[1:]  # a phase of |0...0>
    of_state = _state_ns(plan, inside)
    element = ELEMENT_NS if n < LARGE else LARGE_ELEMENT_NS
    # as much again for complex states, and to carry the bra on
    products = 1 + (not _starts_real(before)) + _has_gradient(plan, before, trainable_encoding)
    samples = _rounded_up(setting.samples, COLUMNS)
    matrix = (
        COLUMN_FACTOR * max(size, _together(setting)) * of_state
        + samples * products * (element * size**2 + SAMPLE_NS)
        + MATRIX_NS * size**2
    )
    scale = _scale(setting)
    return Costs(scale * _samples_by_gates(n, setting) * of_state, scale * matrix + BLOCK_NS)


def _samples_by_gates(n_qubits: int, setting: Setting) -> int:
    """That cost as much as those of a step."""
    full = _together(setting)
    if n_qubits > SHORT or setting.samples < full:
        return setting.samples
    return _rounded_up(setting.samples, full)


def _rounded_up(samples: int, vector: int) -> int:
    return -(-samples // vector) * vector


def _together(setting: Setting) -> int:
    return COLUMNS if setting.precision == "complex64" else COLUMNS // 2


def _gates_ns(plan: Plan, setting: Setting) -> float:
    """Of all gates in a step, one by one."""
    return _scale(setting) * _samples_by_gates(plan.n_qubits, setting) * _state_ns(plan, whole_pass(plan).operations)


def _scale(setting: Setting) -> float:
    return 1.0 if setting.precision == "complex64" else DOUBLE


def _state_ns(plan: Plan, operations: Sequence[Operation]) -> float:
    return (1 << plan.n_qubits) * sum(_amplitude_ns(plan, one) for one in operations) + FEW_NS * len(operations)


def _amplitude_ns(plan: Plan, operation: Operation) -> float:
    if isinstance(operation, Diagonal):
        return DIAGONAL_NS
    return sum(REAL_ROTATION_NS if plan.gate_runs[one.gate_run].real else ROTATION_NS for one in operation.rotations)


def _starts_real(before: Sequence[Operation]) -> bool:
    """Whether states are still real: rotations of |0...0> or of encoded amplitudes, of one moment."""
    return not any(isinstance(one, Diagonal) for one in before) and len(before) <= 1


def _has_gradient(plan: Plan, before: Sequence[Operation], trainable_encoding: bool) -> bool:
    """Whether something in these operations is trained."""
    for one in before:
        if isinstance(one, Diagonal):
            if (one.per_sample and trainable_encoding) or any(term.has_gradient for term in one.shared):
                return True
            continue
        for rotation in one.rotations:
            angles = [turn.angle for turn in plan.gate_runs[rotation.gate_run].rotations]
            if any(a.slot is not None and (trainable_encoding or not a.per_sample) for a in angles):
                return True
    return False


def _n_rotations(operations: Sequence[Operation]) -> int:
    return sum(len(one.rotations) for one in operations if isinstance(one, Rotations))
