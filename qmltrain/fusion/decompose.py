"""Every gate as a product of the three primitives that the lowering knows, exact up to a global phase.

    Rotate(axis, qubit, angle)   exp(-i angle P / 2), P = X, Y or Z on one qubit
    Phase(qubits, angle)         exp(-i angle Z...Z / 2)
    Permute("cx" | "swap" | "x", qubits)

in time order. Angles are `AffineAngle`s of the gate's own angles, so gradients flow through constants and factors.
This table and `circuit.gates` are written independently of each other; a test multiplies both out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import pi

from qmltrain.circuit.circuit import Gate
from qmltrain.fusion.plan import AffineAngle, Axis


@dataclass(frozen=True, slots=True)
class Rotate:
    axis: Axis
    qubit: int
    angle: AffineAngle


@dataclass(frozen=True, slots=True)
class Phase:
    qubits: tuple[int, ...]
    angle: AffineAngle


@dataclass(frozen=True, slots=True)
class Permute:
    kind: str
    qubits: tuple[int, ...]


Primitive = Rotate | Phase | Permute
Decomposition = Callable[[tuple[int, ...], tuple[AffineAngle, ...]], Iterator[Primitive]]


def constant(value: float) -> AffineAngle:
    return AffineAngle(None, False, 0.0, value)


def scaled(angle: AffineAngle, factor: float) -> AffineAngle:
    return AffineAngle(angle.slot, angle.per_sample, angle.coefficient * factor, angle.offset * factor)


def _rotation(axis: Axis) -> Decomposition:
    def decompose(qubits: tuple[int, ...], angles: tuple[AffineAngle, ...]) -> Iterator[Primitive]:
        yield Rotate(axis, qubits[0], angles[0])

    return decompose


def _fixed(*steps: tuple[Axis, float]) -> Decomposition:
    def decompose(qubits: tuple[int, ...], angles: tuple[AffineAngle, ...]) -> Iterator[Primitive]:
        for axis, value in steps:
            yield Rotate(axis, qubits[0], constant(value))

    return decompose


def _general(qubit: int, theta: AffineAngle, phi: AffineAngle, lam: AffineAngle) -> Iterator[Primitive]:
    """U(theta, phi, lambda) = RZ(phi) RY(theta) RZ(lambda) up to a phase."""
    yield Rotate("z", qubit, lam)
    yield Rotate("y", qubit, theta)
    yield Rotate("z", qubit, phi)


def _hadamard(qubit: int) -> Iterator[Primitive]:
    yield Rotate("z", qubit, constant(pi))
    yield Rotate("y", qubit, constant(pi / 2))


def _controlled_phase(qubits: tuple[int, ...], angle: AffineAngle) -> Iterator[Primitive]:
    """e^{i angle} where all qubits are 1: prod (1 - Z)/2 expanded into one phase a non-empty subset.

    The subset S has coefficient (-1)^|S| / 2^k in the projector, hence exp(-i/2 * phi_S Z_S) with
    phi_S = -2 angle (-1)^|S| / 2^k.
    """
    k = len(qubits)
    for subset in range(1, 1 << k):
        sign = -1 if subset.bit_count() % 2 else 1
        members = tuple(q for i, q in enumerate(qubits) if subset >> i & 1)
        yield Phase(members, scaled(angle, -2.0 * sign / 2**k))


def _controlled_rz(control: int, target: int, angle: AffineAngle) -> Iterator[Primitive]:
    """exp(-i angle/2 * (1 - Z_c)/2 * Z_t)."""
    yield Phase((target,), scaled(angle, 0.5))
    yield Phase((control, target), scaled(angle, -0.5))


def _cx(qubits: tuple[int, ...], angles: tuple[AffineAngle, ...]) -> Iterator[Primitive]:
    yield Permute("cx", qubits)


def _cy(qubits: tuple[int, ...], angles: tuple[AffineAngle, ...]) -> Iterator[Primitive]:
    """S on the target makes X a Y."""
    yield Rotate("z", qubits[1], constant(-pi / 2))
    yield Permute("cx", qubits)
    yield Rotate("z", qubits[1], constant(pi / 2))


def _cz(qubits: tuple[int, ...], angles: tuple[AffineAngle, ...]) -> Iterator[Primitive]:
    yield from _controlled_phase(qubits, constant(pi))


def _ch(qubits: tuple[int, ...], angles: tuple[AffineAngle, ...]) -> Iterator[Primitive]:
    """H = RY(pi/4) Z RY(-pi/4)."""
    yield Rotate("y", qubits[1], constant(-pi / 4))
    yield from _cz(qubits, angles)
    yield Rotate("y", qubits[1], constant(pi / 4))


def _csx(qubits: tuple[int, ...], angles: tuple[AffineAngle, ...]) -> Iterator[Primitive]:
    """SX = H diag(1, i) H."""
    yield from _hadamard(qubits[1])
    yield from _controlled_phase(qubits, constant(pi / 2))
    yield from _hadamard(qubits[1])


def _cp(qubits: tuple[int, ...], angles: tuple[AffineAngle, ...]) -> Iterator[Primitive]:
    yield from _controlled_phase(qubits, angles[0])


def _crz(qubits: tuple[int, ...], angles: tuple[AffineAngle, ...]) -> Iterator[Primitive]:
    yield from _controlled_rz(qubits[0], qubits[1], angles[0])


def _crx(qubits: tuple[int, ...], angles: tuple[AffineAngle, ...]) -> Iterator[Primitive]:
    """RY(-pi/2) brings X to Z: X = RY(pi/2) Z RY(-pi/2)."""
    yield Rotate("y", qubits[1], constant(-pi / 2))
    yield from _controlled_rz(qubits[0], qubits[1], angles[0])
    yield Rotate("y", qubits[1], constant(pi / 2))


def _cry(qubits: tuple[int, ...], angles: tuple[AffineAngle, ...]) -> Iterator[Primitive]:
    """RX(pi/2) brings Y to Z: Y = RX(-pi/2) Z RX(pi/2)."""
    yield Rotate("x", qubits[1], constant(pi / 2))
    yield from _controlled_rz(qubits[0], qubits[1], angles[0])
    yield Rotate("x", qubits[1], constant(-pi / 2))


def _real_cry(qubits: tuple[int, ...], angles: tuple[AffineAngle, ...]) -> Iterator[Primitive]:
    """X turns RY(-angle/2) round."""
    for factor in (0.5, -0.5):
        yield Rotate("y", qubits[1], scaled(angles[0], factor))
        yield Permute("cx", qubits)


def _cu(qubits: tuple[int, ...], angles: tuple[AffineAngle, ...]) -> Iterator[Primitive]:
    """Controlled e^{i gamma} U = e^{i gamma + i (phi+lam)/2} A X B X C on the target, its phase on the control."""
    control, target = qubits
    theta, phi, lam, gamma = angles
    for angle in (scaled(phi, 0.5), scaled(lam, 0.5), gamma):
        yield Rotate("z", control, angle)
    for angle in (scaled(lam, 0.5), scaled(phi, -0.5)):
        yield Rotate("z", target, angle)
    yield Permute("cx", qubits)
    for angle in (scaled(lam, -0.5), scaled(phi, -0.5)):
        yield Rotate("z", target, angle)
    yield Rotate("y", target, scaled(theta, -0.5))
    yield Permute("cx", qubits)
    yield Rotate("y", target, scaled(theta, 0.5))
    yield Rotate("z", target, phi)


def _swap(qubits: tuple[int, ...], angles: tuple[AffineAngle, ...]) -> Iterator[Primitive]:
    yield Permute("swap", qubits)


def _x(qubits: tuple[int, ...], angles: tuple[AffineAngle, ...]) -> Iterator[Primitive]:
    yield Permute("x", qubits)


def _y(qubits: tuple[int, ...], angles: tuple[AffineAngle, ...]) -> Iterator[Primitive]:
    """Y is X after Z up to a phase."""
    yield Rotate("z", qubits[0], constant(pi))
    yield Permute("x", qubits)


def _ccz(qubits: tuple[int, ...], angles: tuple[AffineAngle, ...]) -> Iterator[Primitive]:
    yield from _controlled_phase(qubits, constant(pi))


def _ccx(qubits: tuple[int, ...], angles: tuple[AffineAngle, ...]) -> Iterator[Primitive]:
    yield from _hadamard(qubits[2])
    yield from _ccz(qubits, angles)
    yield from _hadamard(qubits[2])


def _cswap(qubits: tuple[int, ...], angles: tuple[AffineAngle, ...]) -> Iterator[Primitive]:
    control, a, b = qubits
    yield Permute("cx", (b, a))
    yield from _ccx((control, a, b), angles)
    yield Permute("cx", (b, a))


def _rzz(qubits: tuple[int, ...], angles: tuple[AffineAngle, ...]) -> Iterator[Primitive]:
    yield Phase(qubits, angles[0])


def _identity(qubits: tuple[int, ...], angles: tuple[AffineAngle, ...]) -> Iterator[Primitive]:
    return iter(())


def pauli_rotation(qubits: tuple[int, ...], letters: str, angle: AffineAngle) -> Iterator[Primitive]:
    """Rotate every letter to Z, one phase, rotate back: X by RY(-pi/2), Y by RX(pi/2)."""
    to_z: dict[str, tuple[Axis, float]] = {"X": ("y", -pi / 2), "Y": ("x", pi / 2)}
    for qubit, letter in zip(qubits, letters, strict=True):
        if letter in to_z:
            yield Rotate(to_z[letter][0], qubit, constant(to_z[letter][1]))
    yield Phase(qubits, angle)
    for qubit, letter in zip(qubits, letters, strict=True):
        if letter in to_z:
            yield Rotate(to_z[letter][0], qubit, constant(-to_z[letter][1]))


DECOMPOSITIONS: dict[str, Decomposition] = {
    "id": _identity,
    "x": _x,
    "y": _y,
    "z": _fixed(("z", pi)),
    "h": lambda qubits, angles: _hadamard(qubits[0]),
    "s": _fixed(("z", pi / 2)),
    "sdg": _fixed(("z", -pi / 2)),
    "t": _fixed(("z", pi / 4)),
    "tdg": _fixed(("z", -pi / 4)),
    "sx": _fixed(("x", pi / 2)),
    "sxdg": _fixed(("x", -pi / 2)),
    "rx": _rotation("x"),
    "ry": _rotation("y"),
    "rz": _rotation("z"),
    "p": _rotation("z"),
    "u": lambda qubits, angles: _general(qubits[0], *angles),
    "cx": _cx,
    "cy": _cy,
    "cz": _cz,
    "ch": _ch,
    "csx": _csx,
    "cp": _cp,
    "crx": _crx,
    "cry": _cry,
    "crz": _crz,
    "cu": _cu,
    "swap": _swap,
    "rxx": lambda qubits, angles: pauli_rotation(qubits, "XX", angles[0]),
    "ryy": lambda qubits, angles: pauli_rotation(qubits, "YY", angles[0]),
    "rzz": _rzz,
    "ccx": _ccx,
    "ccz": _ccz,
    "cswap": _cswap,
    "multi_rz": _rzz,
}


# gates that are real, though what they are made of above is not
REAL_DECOMPOSITIONS: dict[str, Decomposition] = {"cry": _real_cry}


def decompose(gate: Gate, angles: tuple[AffineAngle, ...], real: bool = False) -> Iterator[Primitive]:
    """The primitives of `gate` in time order; `angles` are its angles as slots. `real`: real ones where the gate is."""
    if real and gate.name in REAL_DECOMPOSITIONS:
        return REAL_DECOMPOSITIONS[gate.name](gate.qubits, angles)
    if gate.name == "pauli_rot":
        return pauli_rotation(gate.qubits, gate.pauli, angles[0])
    return DECOMPOSITIONS[gate.name](gate.qubits, angles)
