"""The oracle: dense complex128, gate by gate as the Circuit says, no lowering and no fusion.

Written to be read, not to be fast. Its adjoint is the plainest: going back, ``2 Re <bra| dU |psi>`` for every
angle, dU from the gate's matrix itself. Judged by Kronecker products and finite differences in the tests.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qmltrain.circuit.angle import Angle
from qmltrain.circuit.circuit import Circuit, Gate
from qmltrain.circuit.gates import PAULI, gate_matrix
from qmltrain.circuit.observables import PauliString
from qmltrain.engines.host_step import HostStep, check_addresses
from qmltrain.engines.protocol import (
    BLOCK,
    DEFAULT_GRADIENT,
    DEFAULT_OPTIONS,
    Backward,
    EngineOptions,
    FloatArray,
    Forecast,
    GradientOptions,
    Precision,
    Traffic,
    check_states,
)
from qmltrain.errors import InputError
from qmltrain.job_limits import available_bytes

State = NDArray[np.complex128]  # (B, 2^n)

# Every matrix element is a trigonometric polynomial of degree at most 2 in t = angle / 2, whose derivative is a
# sum of 4 values at shifted points, exactly (Wierichs et al., arXiv:2107.12390, eq. 2 with R = 2, at t).
_SHIFTS = [(2 * k - 1) * np.pi / 4 for k in range(1, 5)]
_WEIGHTS = [(-1) ** (k - 1) / (8 * np.sin((2 * k - 1) * np.pi / 8) ** 2) for k in range(1, 5)]


class ReferenceEngine:
    """`engine.name=reference`: for tests and for checking other engines; complex128 only in effect."""

    name = "reference"
    has_baseline = False
    reductions: tuple[str, ...] = ("light_cones",)
    joint_training_steps = None

    def describe(self) -> str:
        return "reference: dense NumPy, complex128, gate by gate"

    def compile(
        self,
        circuit: Circuit,
        strings: tuple[PauliString, ...],
        precision: Precision = "complex128",
        gradient: GradientOptions = DEFAULT_GRADIENT,
        options: EngineOptions = DEFAULT_OPTIONS,
    ) -> ReferenceProgram:
        """Raises InputError for gradient checkpointing: nothing is kept here that could be recomputed."""
        check_addresses(self.name, circuit)
        if gradient.mode == "checkpoint":
            raise InputError(
                "gradient.mode: checkpoint is not possible with engine.name=reference, which un-applies gate by gate; "
                "set gradient.mode=auto, or another engine"
            )
        if gradient.checkpoint_interval is not None:
            raise InputError(
                f"gradient.checkpoint_interval: {gradient.checkpoint_interval} is not possible with "
                "engine.name=reference, which un-applies gate by gate; leave it null, or choose another engine"
            )
        return ReferenceProgram(circuit, strings, options.memory_bytes)


class ReferenceProgram:
    """Raw sums are the gradients of the shared slots themselves (R = S)."""

    training_steps = None

    def __init__(self, circuit: Circuit, strings: tuple[PauliString, ...], memory_bytes: int | None = None) -> None:
        self.circuit = circuit
        self.strings = strings
        self.n_raw = len(circuit.slots.shared)
        sample, memory_bytes = 4 * 16 << circuit.n_qubits, memory_bytes or available_bytes()
        reason = "the reference un-applies gate by gate"
        self.forecast = Forecast(0, BLOCK * sample, "reversible", None, reason, memory_bytes, (0, sample))

    def traffic(self) -> Traffic:
        """A pass per gate."""
        return Traffic(len(self.circuit.gates), max((len(gate.qubits) for gate in self.circuit.gates), default=0))

    def begin_step(self, shared_S: FloatArray) -> ReferenceStep:
        return ReferenceStep(self, shared_S)


class ReferenceStep(HostStep):
    def __init__(self, program: ReferenceProgram, shared_S: FloatArray) -> None:
        super().__init__()
        self.program, self.shared_S = program, shared_S

    def forward(self, per_sample_BS: FloatArray, initial_BN: FloatArray | None = None) -> ReferenceTape:
        return ReferenceTape(self.program, self.shared_S, per_sample_BS, initial_BN)

    def states(self, per_sample_BS: FloatArray, initial_BN: FloatArray | None = None) -> State:
        check_states(len(self.program.strings))
        return self.forward(per_sample_BS, initial_BN).state

    def slot_gradient(self, total_R: FloatArray) -> FloatArray:
        return total_R


class ReferenceTape:
    def __init__(
        self,
        program: ReferenceProgram,
        shared_S: FloatArray,
        per_sample_BS: FloatArray,
        initial_BN: FloatArray | None,
    ) -> None:
        self.program, self.shared_S, self.per_sample_BS = program, shared_S, per_sample_BS
        circuit = program.circuit
        self.start: State = np.zeros((len(per_sample_BS), 1 << circuit.n_qubits), dtype=np.complex128)
        if initial_BN is None:
            self.start[:, 0] = 1
        else:
            self.start[:] = initial_BN
        state = self.start
        for gate in circuit.gates:
            state = apply(state, self._matrices(gate), gate.qubits)
        self.state = state
        self.expectations_BM = np.empty((len(state), len(program.strings)))
        for column, string in enumerate(program.strings):
            self.expectations_BM[:, column] = np.sum(state.conj() * apply_string(state, string), axis=1).real

    def _angles(self, gate: Gate, shift: tuple[int, float] | None = None) -> FloatArray:
        """(B, angles) values of the gate's angles, the one at shift[0] moved by shift[1]."""
        values = np.stack([self._value(angle) for angle in gate.angles], axis=1)
        if shift is not None:
            values[:, shift[0]] += shift[1]
        return values

    def _value(self, angle: Angle) -> FloatArray:
        batch = len(self.per_sample_BS)
        if angle.is_constant:
            return np.full(batch, angle.offset)
        reference = self.program.circuit.slots.reference[angle]
        if reference.per_sample:
            return self.per_sample_BS[:, reference.index]
        return np.full(batch, self.shared_S[reference.index])

    def _matrices(self, gate: Gate, shift: tuple[int, float] | None = None) -> State:
        """(B or 1, d, d) matrices of the gate."""
        k = len(gate.qubits)
        if not gate.angles:
            return gate_matrix(gate.name, k, (), gate.pauli)[None]
        rows = self._angles(gate, shift)
        if not any(angle.is_per_sample for angle in gate.angles):
            rows = rows[:1]
        return np.stack([gate_matrix(gate.name, k, tuple(row), gate.pauli) for row in rows])

    def _derivative(self, gate: Gate, position: int) -> State:
        """d(matrix)/d(angle `position`), (B or 1, d, d)."""
        # shifting t = angle/2 by x is shifting the angle by 2x; d/d(angle) = 1/2 d/dt
        terms = [w * self._matrices(gate, (position, 2 * x)) for w, x in zip(_WEIGHTS, _SHIFTS, strict=True)]
        return 0.5 * sum(terms[1:], terms[0])

    def backward(self, cotangent_BM: FloatArray, *, per_sample_shared: bool = False, initial: bool = False) -> Backward:
        circuit, batch = self.program.circuit, len(self.per_sample_BS)
        references = circuit.slots.reference
        shared_BS = np.zeros((batch, len(circuit.slots.shared)))
        per_sample_BS = np.zeros((batch, len(circuit.slots.per_sample)))
        state = self.state
        bra = np.zeros_like(state)
        for column, string in enumerate(self.program.strings):
            bra += cotangent_BM[:, column, None] * apply_string(state, string)
        for gate in reversed(circuit.gates):
            inverse = self._matrices(gate).conj().transpose(0, 2, 1)
            state = apply(state, inverse, gate.qubits)
            for position, angle in enumerate(gate.angles):
                if angle.is_constant:
                    continue
                changed = apply(state, self._derivative(gate, position), gate.qubits)
                value = 2 * np.sum(bra.conj() * changed, axis=1).real
                reference = references[angle]
                (per_sample_BS if reference.per_sample else shared_BS)[:, reference.index] += value
            bra = apply(bra, inverse, gate.qubits)
        blocks = np.add.reduceat(shared_BS, np.arange(0, batch, BLOCK), axis=0)
        return Backward(
            block_sums_GR=blocks,
            per_sample_BS=per_sample_BS,
            drift_B=np.linalg.norm(state - self.start, axis=1),
            shared_BS=shared_BS if per_sample_shared else None,
            initial_BN=bra if initial else None,
        )


def apply(state: State, matrices: State, qubits: tuple[int, ...]) -> State:
    """`matrices` (B or 1, 2^k, 2^k) on `qubits` (the first is the lowest bit of the matrix index) of (B, 2^n)."""
    batch, size = state.shape
    n, k = size.bit_length() - 1, len(qubits)
    tensor = state.reshape(batch, *(2,) * n)
    axes = [n - q for q in reversed(qubits)]  # axis of qubit q is n - q behind the batch axis
    front = np.moveaxis(tensor, axes, range(1, k + 1))
    result = matrices @ front.reshape(batch, 1 << k, -1)
    return np.moveaxis(result.reshape(front.shape), range(1, k + 1), axes).reshape(batch, size)


def apply_string(state: State, string: PauliString) -> State:
    """A Pauli string applied letter by letter."""
    n = state.shape[1].bit_length() - 1
    for qubit in range(n):
        letter = "IXZY"[(string.x_mask >> qubit & 1) | (string.z_mask >> qubit & 1) << 1]
        if letter != "I":
            state = apply(state, PAULI[letter][None], (qubit,))
    return state
