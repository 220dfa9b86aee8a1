"""Circuit: an ordered list of gates on named parameters and features, and the distinct angles ("slots") in it.

Qubit q is bit q of the amplitude index (little-endian). A Circuit is immutable and holds no numbers beside
constants: parameters theta_P and features x_BF come in when it is run.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from qmltrain.circuit.angle import Angle
from qmltrain.circuit.gates import GATES
from qmltrain.errors import InputError

MAX_QUBITS = 1_000  # where every light cone fits; engines say what does


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate: a name from `GATES`, its qubits in order, its angles, and the Pauli letters of a `pauli_rot`."""

    name: str
    qubits: tuple[int, ...]
    angles: tuple[Angle, ...] = ()
    pauli: str = ""


@dataclass(frozen=True, slots=True)
class SlotReference:
    """Where an angle's value stands: column `index` of the shared (S,) or of the per-sample (B, S') slots."""

    per_sample: bool
    index: int


@dataclass(frozen=True)
class Slots:
    """The distinct angles of a circuit that are not constant, in order of first use."""

    shared: tuple[Angle, ...]
    per_sample: tuple[Angle, ...]
    reference: dict[Angle, SlotReference]


@dataclass(frozen=True)
class Circuit:
    """`gates` on `n_qubits`, starting from |0...0> or, with `amplitude_encoded`, from a state given per sample.

    `layer_starts` are gate indices at which a layer of the ansatz begins (for drawing and for per-layer gradient
    norms); `parameter_names` has one name per parameter, in order; `parameter_layers` gives the layer each parameter
    belongs to (-1: to none).
    """

    n_qubits: int
    gates: tuple[Gate, ...]
    parameter_names: tuple[str, ...] = ()
    n_features: int = 0
    amplitude_encoded: bool = False
    layer_starts: tuple[int, ...] = ()
    parameter_layers: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        validate(self)

    @property
    def n_parameters(self) -> int:
        return len(self.parameter_names)

    @cached_property
    def slots(self) -> Slots:
        shared: list[Angle] = []
        per_sample: list[Angle] = []
        reference: dict[Angle, SlotReference] = {}
        for gate in self.gates:
            for angle in gate.angles:
                if angle.is_constant or angle in reference:
                    continue
                column = per_sample if angle.is_per_sample else shared
                reference[angle] = SlotReference(angle.is_per_sample, len(column))
                column.append(angle)
        return Slots(tuple(shared), tuple(per_sample), reference)


def validate(circuit: Circuit) -> None:
    """Raise InputError with the position of the first gate that cannot be."""
    n = circuit.n_qubits
    if not 1 <= n <= MAX_QUBITS:
        raise InputError(f"circuit.n_qubits: {n} is not possible; choose 1 to {MAX_QUBITS}")
    for position, gate in enumerate(circuit.gates):
        where = f"gate {position} ({gate.name})"
        definition = GATES.get(gate.name)
        if definition is None:
            raise InputError(f"{where}: unknown gate; known are {', '.join(sorted(GATES))}")
        if definition.n_qubits is not None and len(gate.qubits) != definition.n_qubits:
            raise InputError(f"{where}: takes {definition.n_qubits} qubits, {len(gate.qubits)} given")
        if not gate.qubits or len(set(gate.qubits)) != len(gate.qubits):
            raise InputError(f"{where}: qubits {gate.qubits} must be distinct and at least one")
        if not all(0 <= q < n for q in gate.qubits):
            raise InputError(f"{where}: qubits {gate.qubits} are not all in 0..{n - 1}")
        if len(gate.angles) != definition.n_angles:
            raise InputError(f"{where}: takes {definition.n_angles} angles, {len(gate.angles)} given")
        if gate.name == "pauli_rot":
            if len(gate.pauli) != len(gate.qubits) or set(gate.pauli) - set("XYZ"):
                raise InputError(f"{where}: needs one letter X, Y or Z a qubit, found {gate.pauli!r}")
        elif gate.pauli:
            raise InputError(f"{where}: takes no Pauli letters, found {gate.pauli!r}")
        for angle in gate.angles:
            _validate_angle(angle, where, circuit)
    if circuit.parameter_layers and len(circuit.parameter_layers) != circuit.n_parameters:
        raise InputError(
            f"parameter_layers: {len(circuit.parameter_layers)} entries for {circuit.n_parameters} parameters"
        )


def _validate_angle(angle: Angle, where: str, circuit: Circuit) -> None:
    for index in (angle.weight, angle.bias):
        if index is not None and not 0 <= index < circuit.n_parameters:
            raise InputError(f"{where}: parameter {index} is not in 0..{circuit.n_parameters - 1}")
    if angle.feature is not None:
        for index in angle.feature.indices:
            if not 0 <= index < circuit.n_features:
                raise InputError(f"{where}: feature {index} is not in 0..{circuit.n_features - 1}")


def from_gates(n_qubits: int, gates: Iterable[Gate], **fields: object) -> Circuit:
    """A Circuit from any iterable of gates; `fields` as in Circuit."""
    return Circuit(n_qubits, tuple(gates), **fields)  # type: ignore[arg-type]
