"""The gates of OpenQASM's stdgates.inc and qelib1.inc in terms of ours, and the modifiers inv, pow and ctrl on them.

A gate here is an `Operation`: one of our gates, or one of two that exist only while a program is read: `gphase`, which
becomes a phase when it is controlled and else has no effect, and `U` as OpenQASM 3 defines it, which is our `u` times
e^{i theta / 2}: a phase that matters under a control alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qmltrain.circuit.interchange.qasm_expressions import Expression, NotAnAngleError


@dataclass(frozen=True)
class Operation:
    """A gate with its angles on its qubits."""

    name: str
    qubits: tuple[int, ...]
    angles: tuple[Expression, ...] = ()


_ZERO, _HALF_PI = Expression.number(0.0), Expression.number(math.pi / 2)

# name in OpenQASM -> (angles, qubits, our gate, our angles from its angles)
_Rule = tuple[int, int, str, Callable[[Sequence[Expression]], Sequence[Expression]]]


def _same(n_angles: int, n_qubits: int, name: str) -> _Rule:
    return n_angles, n_qubits, name, lambda angles: angles


GATES: dict[str, _Rule] = {
    **{name: _same(0, 1, name) for name in ("id", "x", "y", "z", "h", "s", "sdg", "t", "tdg", "sx", "sxdg")},
    **{name: _same(1, 1, name) for name in ("rx", "ry", "rz", "p")},
    **{name: _same(0, 2, name) for name in ("cx", "cy", "cz", "ch", "csx", "swap")},
    **{name: _same(1, 2, name) for name in ("cp", "crx", "cry", "crz", "rxx", "ryy", "rzz")},
    **{name: _same(0, 3, name) for name in ("ccx", "ccz", "cswap")},
    "u": _same(3, 1, "u"),
    "cu": _same(4, 2, "cu"),
    "U": _same(3, 1, "U"),
    "CX": _same(0, 2, "cx"),
    "phase": _same(1, 1, "p"),
    "cphase": _same(1, 2, "cp"),
    "u0": (1, 1, "id", lambda angles: ()),
    "u1": _same(1, 1, "p"),
    "u2": (2, 1, "u", lambda angles: (_HALF_PI, *angles)),
    "u3": _same(3, 1, "u"),
    "cu1": _same(1, 2, "cp"),
    "cu3": (3, 2, "cu", lambda angles: (*angles, _ZERO)),
}
_CONTROLLED = {
    "x": "cx", "y": "cy", "z": "cz", "h": "ch", "sx": "csx", "p": "cp", "rx": "crx", "ry": "cry", "rz": "crz",
    "swap": "cswap", "cx": "ccx", "cz": "ccz",
}  # fmt: skip
_CONTROLLED_PHASE = {"s": math.pi / 2, "sdg": -math.pi / 2, "t": math.pi / 4, "tdg": -math.pi / 4}
_SELF_INVERSE = {"id", "x", "y", "z", "h", "cx", "cy", "cz", "ch", "swap", "ccx", "ccz", "cswap"}
_INVERSE = {"s": "sdg", "sdg": "s", "t": "tdg", "tdg": "t", "sx": "sxdg", "sxdg": "sx"}


def inverse(operations: Sequence[Operation]) -> list[Operation]:
    """The operations that undo `operations`."""
    return [undone for operation in reversed(operations) for undone in _inverse(operation)]


def _inverse(operation: Operation) -> list[Operation]:
    name, qubits = operation.name, operation.qubits
    if name in _SELF_INVERSE:
        return [operation]
    if name in _INVERSE:
        return [Operation(_INVERSE[name], qubits)]
    if name == "csx":
        return [Operation("csx", qubits), Operation("cx", qubits)]
    negated = [-angle for angle in operation.angles]
    if name in ("u", "U", "cu"):  # U(theta, phi, lambda) is undone by U(-theta, -lambda, -phi)
        negated[1], negated[2] = negated[2], negated[1]
    return [Operation(name, qubits, tuple(negated))]


def power(operations: Sequence[Operation], exponent: int) -> list[Operation]:
    """`operations` so many times; negative: their inverse."""
    return list(operations if exponent >= 0 else inverse(operations)) * abs(exponent)


def controlled(operations: Sequence[Operation], control: int) -> list[Operation]:
    """Every operation where `control` is 1; NotAnAngleError for one that has no controlled form here."""
    return [found for operation in operations for found in _controlled(operation, control)]


def _controlled(operation: Operation, control: int) -> list[Operation]:
    name, qubits, angles = operation.name, (control, *operation.qubits), operation.angles
    if name == "id":
        return []
    if name == "gphase":
        return [Operation("p", (control,), angles)]
    if name == "u":
        return [Operation("cu", qubits, (*angles, _ZERO))]
    if name == "U":
        return [Operation("cu", qubits, (*angles, angles[0].scaled(0.5)))]
    if name in _CONTROLLED_PHASE:
        return [Operation("cp", qubits, (Expression.number(_CONTROLLED_PHASE[name]),))]
    if name == "sxdg":
        return [Operation("csx", qubits), Operation("cx", qubits)]
    if name in ("rxx", "ryy", "rzz"):
        raise NotAnAngleError(f"a controlled {name} is not available; write it with cx and crz")
    if name not in _CONTROLLED:
        raise NotAnAngleError(f"a controlled {name} is not available; write it with gates of one control fewer")
    return [Operation(_CONTROLLED[name], qubits, angles)]
