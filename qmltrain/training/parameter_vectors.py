"""A circuit at many parameter vectors at once: expectations, and the gradient of each vector by itself.

Studies of trainability, landscapes and several seeds evaluate one circuit at thousands of parameter vectors. Here every
angle of the circuit is a feature whose value each vector gives, so that vectors are samples to the engine: they share a
plan, fill the lanes, and go through the circuit in chunks bounded by memory. Chunks are whole blocks of 16, so neither
chunks nor threads change a bit.

With `axes` the one-qubit rotations RX, RY, RZ of the circuit turn about axes that each vector chooses (random
ansaetze), on one plan for all: RX(v) = RZ(-pi/2) RY(v) RZ(pi/2) and RZ(v) = RZ(0) RY(0) RZ(v) differ from RY(v) in
angles alone.

Without strings it is the final states that can be asked for.

Shape letters: B vectors, P parameters, F features, M Pauli strings, N amplitudes, G rotation gates, A distinct angles,
S slots of the engine.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import pi
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qmltrain.circuit.angle import Angle, feature
from qmltrain.circuit.circuit import Circuit, Gate
from qmltrain.circuit.observables import PauliString
from qmltrain.engines.protocol import (
    DEFAULT_GRADIENT,
    DEFAULT_OPTIONS,
    Array,
    Engine,
    EngineOptions,
    FloatArray,
    GradientInOneCall,
    GradientOptions,
    Precision,
    Program,
    Tape,
    check_states,
)
from qmltrain.errors import InputError, NonFiniteError
from qmltrain.fusion.compile import compile_plan
from qmltrain.fusion.plan import Plan
from qmltrain.training.angles import AngleColumns, feature_value
from qmltrain.training.gradients import PENDING_BYTES, chunk_size
from qmltrain.training.states import states_chunk

IntArray = NDArray[np.int64]
Role = Literal["whole", "first z", "y", "last z"]  # of a slot: an angle, or one of three that stand for a rotation

ROTATIONS = ("rx", "ry", "rz")
X, Y, Z = range(3)  # axes, as they index ROTATIONS


@dataclass(frozen=True)
class VectorGradients:
    """`expectations_BM`; `gradient_BP` of ``sum_m cotangent_bm * expectation_bm`` with respect to vector b."""

    expectations_BM: FloatArray
    gradient_BP: FloatArray


class ParameterVectors:
    """`circuit`, measured in `strings`, on `engine`. Programs are compiled when they are first needed, one for the
    circuit as it is and one for chosen axes.

    Angles are in radians. Parameter vectors are rows of theta_BP; features are rows of x_BF that match, or one row (F,)
    or (1, F) for all; of amplitude-encoded circuits initial_BN is a row of real amplitudes each, normalised by the
    caller, or one for all. axes_BG, or (G,) for all, has 0, 1, 2 for x, y, z of each gate rx, ry, rz in the order of
    the circuit. Raises InputError for arrays that do not match, NonFiniteError for an angle that is NaN or infinite,
    MemoryLimitError where not one chunk fits.
    """

    def __init__(
        self,
        circuit: Circuit,
        strings: tuple[PauliString, ...],
        engine: Engine,
        precision: Precision = "complex64",
        gradient: GradientOptions = DEFAULT_GRADIENT,
        options: EngineOptions = DEFAULT_OPTIONS,
    ) -> None:
        self.circuit, self.strings, self.engine = circuit, strings, engine
        self.precision, self.gradient_options = precision, gradient
        merges = options.planner is compile_plan
        self.options = replace(options, planner=_merged_plan) if merges else options
        self.rotations = tuple(k for k, gate in enumerate(circuit.gates) if gate.name in ROTATIONS)
        self.angles = tuple(dict.fromkeys(angle for gate in circuit.gates for angle in gate.angles))  # A, constants too
        self._columns = AngleColumns.of(self.angles, circuit.n_parameters)
        self._weights = _Links(self._columns.weight, circuit.n_parameters)
        self._biases = _Links(self._columns.bias, circuit.n_parameters)
        self._variants: dict[bool, _Variant] = {}

    @property
    def n_rotations(self) -> int:
        """G: gates whose axis may be chosen."""
        return len(self.rotations)

    def memory_bytes(self, vectors: int, *, free: bool = False) -> int:
        """Forecast for so many vectors; `free`: with chosen axes. Raises MemoryLimitError where not one chunk fits."""
        variant = self._variant(free)
        return variant.program.forecast.bytes(min(vectors, variant.chunk))

    def expectations(
        self,
        theta_BP: ArrayLike,
        x: ArrayLike | None = None,
        *,
        axes: ArrayLike | None = None,
        initial: ArrayLike | None = None,
    ) -> FloatArray:
        """(B, M)."""
        return np.concatenate([found for found, *_ in self._evaluate(theta_BP, x, axes, initial, None)])

    def gradients(
        self,
        theta_BP: ArrayLike,
        cotangent: ArrayLike | None = None,
        x: ArrayLike | None = None,
        *,
        axes: ArrayLike | None = None,
        initial: ArrayLike | None = None,
    ) -> VectorGradients:
        """`cotangent` (M,) for all vectors or (B, M); None: ones, the gradient of the sum of the expectations."""
        weights = np.ones(len(self.strings)) if cotangent is None else np.asarray(cotangent, dtype=np.float64)
        chunks = list(self._evaluate(theta_BP, x, axes, initial, weights))
        return VectorGradients(
            np.concatenate([found for found, _ in chunks]), np.concatenate([gradient for _, gradient in chunks])
        )

    def states(
        self,
        theta_BP: ArrayLike,
        x: ArrayLike | None = None,
        *,
        axes: ArrayLike | None = None,
        initial: ArrayLike | None = None,
    ) -> NDArray[np.complexfloating]:
        """(B, N) final states, complex of the precision, amplitudes by basis index; each up to a phase. Of vectors
        without `strings` (ValueError): their program leaves nothing out that strings do not see."""
        check_states(len(self.strings))
        given = self._given(theta_BP, x, axes, initial)
        variant = self._variant(axes is not None)
        step = variant.program.begin_step(np.zeros(0))
        chunks = _chunks(len(given.theta_BP), states_chunk(variant.program.forecast, self.circuit.n_qubits))
        found = [
            step.states(slots_bS, initial_bN) for slots_bS, initial_bN, _, _ in self._inputs(given, variant, chunks)
        ]
        return np.concatenate(found)

    def _given(
        self, theta_BP: ArrayLike, x: ArrayLike | None, axes: ArrayLike | None, initial: ArrayLike | None
    ) -> _Given:
        theta = np.asarray(theta_BP, dtype=np.float64)
        if theta.ndim != 2 or theta.shape[1] != self.circuit.n_parameters or not len(theta):
            raise InputError(
                f"parameter vectors of shape {theta.shape}: rows of {self.circuit.n_parameters} parameters are needed"
            )
        batch = len(theta)
        x_BF = _rows("features", x, batch, self.circuit.n_features)
        initial_BN = _rows("initial states", initial, batch, 2**self.circuit.n_qubits * self.circuit.amplitude_encoded)
        return _Given(theta, x_BF, None if axes is None else self._axes(axes, batch), initial_BN)

    def _inputs(
        self, given: _Given, variant: _Variant, chunks: Iterator[slice]
    ) -> Iterator[tuple[FloatArray, FloatArray | None, FloatArray, IntArray | None]]:
        """Of each chunk: slots and initial states for the engine, then factors of the angles and axes."""
        for rows in chunks:
            factors_bA = self._factors(given.x_BF[rows])
            values_bA = self._values(given.theta_BP[rows], factors_bA)
            _require_finite(values_bA, rows.start)
            axes_bG = None if given.axes_BG is None else given.axes_BG[rows]
            initial_bN = np.ascontiguousarray(given.initial_BN[rows]) if self.circuit.amplitude_encoded else None
            yield np.ascontiguousarray(variant.slots(values_bA, axes_bG)), initial_bN, factors_bA, axes_bG

    def _evaluate(
        self,
        theta_BP: ArrayLike,
        x: ArrayLike | None,
        axes: ArrayLike | None,
        initial: ArrayLike | None,
        cotangent: FloatArray | None,
    ) -> list[tuple[FloatArray, ...]]:
        """Expectations of each chunk, and gradients (b, P) where there is a cotangent."""
        given = self._given(theta_BP, x, axes, initial)
        batch = len(given.theta_BP)
        cotangent_BM = None if cotangent is None else _rows("cotangents", cotangent, batch, len(self.strings))
        variant = self._variant(axes is not None)
        step = variant.program.begin_step(np.zeros(0))
        found: list[tuple[FloatArray, ...]] = []
        factors: list[tuple[FloatArray, IntArray | None]] = []  # of chunks whose results are to come

        def fetch() -> None:
            for (factors_bA, axes_bG), (expectations_bM, *gradients) in zip(factors, step.results(), strict=True):
                slots = [variant.angle_gradient(gradient_bS, axes_bG) for gradient_bS in gradients]
                found.append((expectations_bM, *(self._chain_rule(one_bA, factors_bA) for one_bA in slots)))
            factors.clear()

        inputs = self._inputs(given, variant, _chunks(batch, variant.chunk))
        for rows, (slots_bS, initial_bN, factors_bA, axes_bG) in zip(
            _chunks(batch, variant.chunk), inputs, strict=True
        ):
            if cotangent_BM is not None and isinstance(step, GradientInOneCall):
                cotangent_bM = np.ascontiguousarray(cotangent_BM[rows])
                expectations_bM, _, gradient_bS = step.expectation_gradient(slots_bS, cotangent_bM, initial_bN)
                gradient_bA = variant.angle_gradient(gradient_bS, axes_bG)
                found.append((expectations_bM, self._chain_rule(gradient_bA, factors_bA)))
                continue
            if cotangent_BM is None:
                step.chunk(_expectations_of, slots_bS, initial_bN, (), backward=False)
            else:
                step.chunk(_gradients_of, slots_bS, initial_bN, (np.ascontiguousarray(cotangent_BM[rows]),))
            factors.append((factors_bA, axes_bG))
            if step.pending_bytes > PENDING_BYTES:
                fetch()
        fetch()
        return found

    def _factors(self, x_bF: FloatArray) -> FloatArray:
        """(b, A) scale * f(x) of every angle; f is 1 where it has no feature, and (1, A) where none has one."""
        if not self.circuit.n_features:
            return self._columns.scale[None]
        factors_bA = np.tile(self._columns.scale, (len(x_bF), 1))
        for column, angle in enumerate(self.angles):
            if angle.feature is not None:
                factors_bA[:, column] *= feature_value(angle.feature, x_bF)
        return factors_bA

    def _values(self, theta_bP: FloatArray, factors_bA: FloatArray) -> FloatArray:
        """(b, A) values of the angles."""
        if self._weights.same:
            values_bA = factors_bA * theta_bP
        else:
            values_bA = np.tile(factors_bA, (len(theta_bP) // len(factors_bA), 1))
            for columns, parameters in self._weights.layers:
                values_bA[:, columns] *= theta_bP[:, parameters]
        for columns, parameters in self._biases.layers:
            values_bA[:, columns] += theta_bP[:, parameters]
        values_bA += self._columns.offset
        return values_bA

    def _chain_rule(self, gradient_bA: FloatArray, factors_bA: FloatArray) -> FloatArray:
        """Gradients of the angles (b, A) -> of the parameters (b, P)."""
        if self._weights.same:
            gradient_bP = gradient_bA * factors_bA
        else:
            gradient_bP = np.zeros((len(gradient_bA), self.circuit.n_parameters))
            for columns, parameters in self._weights.layers:
                gradient_bP[:, parameters] += gradient_bA[:, columns] * factors_bA[:, columns]
        for columns, parameters in self._biases.layers:
            gradient_bP[:, parameters] += gradient_bA[:, columns]
        return gradient_bP

    def _axes(self, axes: ArrayLike, batch: int) -> IntArray:
        given = np.asarray(axes)
        if not np.isin(given, (X, Y, Z)).all():
            raise InputError("axes: 0, 1 and 2 stand for x, y and z; others were given")
        return _rows("axes", given, batch, self.n_rotations).astype(np.int64)

    def _variant(self, free: bool) -> _Variant:
        if free not in self._variants:
            self._variants[free] = self._compile(free)
        return self._variants[free]

    def _compile(self, free: bool) -> _Variant:
        """The circuit with a feature for every angle that is not constant; `free`: three for every rotation."""
        place = {angle: column for column, angle in enumerate(self.angles)}
        slots: list[
            tuple[int, int, Role]
        ] = []  # angle, rotation gate, role; in order of first use, as a Circuit has them
        known: dict[Angle, Angle] = {}

        def new(angle: Angle, gate: int, role: Role) -> Angle:
            slots.append((place[angle], gate, role))
            return feature(len(slots) - 1)

        def replaced(angle: Angle) -> Angle:
            if angle.is_constant:
                return angle
            if angle not in known:
                known[angle] = new(angle, -1, "whole")
            return known[angle]

        sequence: list[Gate] = []
        turned = 0
        for gate in self.circuit.gates:
            if free and gate.name in ROTATIONS:
                (angle,) = gate.angles
                for name, role in (("rz", "first z"), ("ry", "y"), ("rz", "last z")):
                    sequence.append(Gate(name, gate.qubits, (new(angle, turned, role),)))  # type: ignore[arg-type]
                turned += 1
            else:
                sequence.append(replace(gate, angles=tuple(map(replaced, gate.angles))))
        circuit = Circuit(
            self.circuit.n_qubits,
            tuple(sequence),
            n_features=len(slots),
            amplitude_encoded=self.circuit.amplitude_encoded,
        )
        program = self.engine.compile(circuit, self.strings, self.precision, self.gradient_options, self.options)
        return _Variant(program, chunk_size(program.forecast, len(self.strings)), slots, len(self.angles))


@dataclass(frozen=True)
class _Given:
    """What the caller gave, a row for each vector."""

    theta_BP: FloatArray
    x_BF: FloatArray
    axes_BG: IntArray | None
    initial_BN: FloatArray


class _Variant:
    """A program whose slots stand for the angles of the circuit, or for parts of its rotations."""

    def __init__(self, program: Program, chunk: int, slots: list[tuple[int, int, Role]], n_angles: int) -> None:
        self.program, self.chunk = program, chunk
        self._angle = np.array([angle for angle, _, _ in slots], dtype=np.int64)
        self._of_angle = _as_slice(self._angle) if slots else self._angle
        self._gate = np.array([gate for _, gate, _ in slots], dtype=np.int64)
        roles = np.array([role for _, _, role in slots])
        self._first, self._y, self._last = (np.flatnonzero(roles == role) for role in ("first z", "y", "last z"))
        self._links = _Links(self._angle, n_angles)
        self._n_angles = n_angles

    def slots(self, values_bA: FloatArray, axes_bG: IntArray | None) -> FloatArray:
        """(b, S) values of the slots from those of the angles."""
        slots_bS: FloatArray = values_bA[:, self._of_angle]
        if axes_bG is None:
            return slots_bS
        axes_bS = axes_bG[:, self._gate] if axes_bG.shape[1] else np.zeros(slots_bS.shape, dtype=np.int64)
        first, y, last = self._first, self._y, self._last
        turns = np.where(axes_bS[:, first] == X, pi / 2, 0.0)
        slots_bS[:, last] = -turns
        slots_bS[:, first] = np.where(axes_bS[:, first] == Z, slots_bS[:, first], turns)
        slots_bS[:, y] = np.where(axes_bS[:, y] == Z, 0.0, slots_bS[:, y])
        return slots_bS

    def angle_gradient(self, gradient_bS: FloatArray, axes_bG: IntArray | None) -> FloatArray:
        """(b, A) gradient of the angles: of a rotation that of the part which its value went to."""
        if axes_bG is not None and axes_bG.shape[1]:
            about_z = axes_bG[:, self._gate[self._y]] == Z
            gradient_bS = gradient_bS.copy()
            gradient_bS[:, self._last] = 0.0
            gradient_bS[:, self._first] *= about_z
            gradient_bS[:, self._y] *= ~about_z
        if self._links.same:
            return gradient_bS
        gradient_bA = np.zeros((len(gradient_bS), self._n_angles))
        for columns, angles in self._links.layers:
            gradient_bA[:, angles] += gradient_bS[:, columns]
        return gradient_bA


class _Links:
    """Which column belongs to which target: `layers` of (columns, targets), the targets of a layer all different, so
    that what is added up by target has one order. Targets beyond `n_targets` are left out. `same`: column k is target
    k, and there are no others."""

    def __init__(self, targets: IntArray, n_targets: int) -> None:
        self.same = np.array_equal(targets, np.arange(n_targets))
        count = [0] * n_targets
        layers: list[list[int]] = []
        for column, target in enumerate(targets.tolist()):
            if target >= n_targets:
                continue
            if count[target] == len(layers):
                layers.append([])
            layers[count[target]].append(column)
            count[target] += 1
        self.layers = [(_as_slice(np.array(columns)), _as_slice(targets[columns])) for columns in layers]


def _as_slice(indices: IntArray) -> IntArray | slice:
    """Consecutive indices as a slice, which NumPy does not copy."""
    if np.array_equal(indices, np.arange(indices[0], indices[0] + len(indices))):
        return slice(int(indices[0]), int(indices[0]) + len(indices))
    return indices


def _merged_plan(circuit: Circuit, strings: tuple[PauliString, ...]) -> Plan:
    """Every angle is per sample: the plan that is made for such circuits (`Plan.sample_angles`)."""
    return compile_plan(circuit, strings, sample_angles=True)


def _expectations_of(tape: Tape) -> tuple[Array, ...]:
    return (tape.expectations_BM,)


def _gradients_of(tape: Tape, cotangent_bM: Array) -> tuple[Array, ...]:
    return tape.expectations_BM, tape.backward(cotangent_bM).per_sample_BS


def _chunks(batch: int, chunk: int) -> Iterator[slice]:
    for first in range(0, batch, chunk):
        yield slice(first, min(first + chunk, batch))


def _rows(what: str, given: ArrayLike | None, batch: int, columns: int) -> NDArray[np.float64]:
    """(B, columns): a row each, or one for all; an empty one where nothing is needed."""
    if given is None and columns == 0:
        return np.zeros((batch, 0))
    if given is None:
        raise InputError(f"{what}: the circuit needs {columns} for every vector, or one row for all")
    rows = np.asarray(given, dtype=np.float64)
    rows = rows[None] if rows.ndim == 1 else rows
    if rows.ndim != 2 or rows.shape[1] != columns or len(rows) not in (1, batch):
        raise InputError(f"{what} of shape {rows.shape}: (1, {columns}) or ({batch}, {columns}) is needed")
    return np.broadcast_to(rows, (batch, columns))


def _require_finite(values_bA: FloatArray, first: int) -> None:
    if np.isfinite(values_bA).all():
        return
    row, column = np.argwhere(~np.isfinite(values_bA))[0]
    raise NonFiniteError(
        f"angle {column} of parameter vector {first + row} is {values_bA[row, column]}; a parameter or a feature is NaN"
        " or infinite"
    )
