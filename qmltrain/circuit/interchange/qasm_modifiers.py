"""The modifiers inv, pow and ctrl of OpenQASM on operations; phases count."""

from __future__ import annotations

import math
from collections.abc import Sequence

from qmltrain.circuit.interchange.qasm_gates import Operation, number, phase_where_all_are_1

_SELF_INVERSE = {"id", "x", "y", "z", "h", "cx", "cy", "cz", "ch", "swap", "ccx", "ccz", "cswap"}
_INVERSE = {"s": "sdg", "sdg": "s", "t": "tdg", "tdg": "t", "sx": "sxdg", "sxdg": "sx"}
_CONTROLLED = {
    "x": "cx", "y": "cy", "z": "cz", "h": "ch", "sx": "csx", "rx": "crx", "ry": "cry", "rz": "crz", "swap": "cswap",
    "cx": "ccx", "cz": "ccz",
}  # fmt: skip
_PHASES = {"s": math.pi / 2, "sdg": -math.pi / 2, "t": math.pi / 4, "tdg": -math.pi / 4, "ccz": math.pi}


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
    """Every operation where `control` is 1."""
    return [found for operation in operations for found in _controlled(operation, control)]


def _controlled(operation: Operation, control: int) -> list[Operation]:
    name, angles = operation.name, operation.angles
    qubits = (control, *operation.qubits)
    if name == "id":
        return []
    if name == "u":
        return [Operation("cu", qubits, (*angles, number(0.0)))]
    if name == "U":
        return [Operation("cu", qubits, (*angles, angles[0].scaled(0.5)))]
    if name in _PHASES:
        return [phase_where_all_are_1(number(_PHASES[name]), qubits)]
    if name in ("gphase", "p", "cp", "mcp"):
        return [phase_where_all_are_1(angles[0], qubits)]
    if name == "sxdg":
        return [Operation("csx", qubits), Operation("cx", qubits)]
    if name in _CONTROLLED:
        return [Operation(_CONTROLLED[name], qubits, angles)]
    if name == "crz":
        return [
            phase_where_all_are_1(angles[0].scaled(-0.5), qubits[:-1]),
            phase_where_all_are_1(angles[0], qubits),
        ]
    if name in ("rzz", "multi_rz"):
        half = angles[0].scaled(0.5)
        return [Operation("multi_rz", operation.qubits, (half,)), Operation("multi_rz", qubits, (-half,))]
    if name == "cu":
        return controlled(_rotations_of_cu(operation), control)
    before, inner, after = _between(operation)  # what undoes itself around the inner one needs no control
    return [*before, *_controlled(inner, control), *after]


def _rotations_of_cu(operation: Operation) -> list[Operation]:
    """cu = e^{i (gamma + (phi + lambda)/2)} RZ(phi) RY(theta) RZ(lambda) where the first qubit is 1."""
    qubits, (theta, phi, lam, gamma) = operation.qubits, operation.angles
    rotations = [Operation(name, qubits, (angle,)) for name, angle in (("crz", lam), ("cry", theta), ("crz", phi))]
    return [*rotations, *(Operation("p", qubits[:1], (angle,)) for angle in (phi.scaled(0.5), lam.scaled(0.5), gamma))]


def _between(operation: Operation) -> tuple[list[Operation], Operation, list[Operation]]:
    """A gate as one that has a controlled form, between gates that undo each other."""
    name, qubits, angles = operation.name, operation.qubits, operation.angles
    last = qubits[-1:]
    hadamard, s, sdg = (Operation(gate, last) for gate in ("h", "s", "sdg"))
    if name == "ccx":  # X = H Z H
        return [hadamard], Operation("ccz", qubits), [hadamard]
    if name == "csx":
        return [hadamard], Operation("cp", qubits, (number(math.pi / 2),)), [hadamard]
    if name == "crx":
        return [hadamard], Operation("crz", qubits, angles), [hadamard]
    if name in ("cy", "cry"):  # Y = S X S^-1
        return [sdg], Operation({"cy": "cx", "cry": "crx"}[name], qubits, angles), [s]
    if name == "ch":  # H = RY(pi/4) Z RY(-pi/4)
        turns = [Operation("ry", last, (number(angle),)) for angle in (-math.pi / 4, math.pi / 4)]
        return turns[:1], Operation("cz", qubits), turns[1:]
    if name == "cswap":
        control, a, b = qubits
        return [Operation("cx", (b, a))], Operation("ccx", (control, a, b)), [Operation("cx", (b, a))]
    if name == "rxx":
        both = [Operation("h", (qubit,)) for qubit in qubits]
        return both, Operation("rzz", qubits, angles), both
    if name == "ryy":
        before, after = ([Operation(gate, (qubit,)) for qubit in qubits] for gate in ("sdg", "s"))
        return before, Operation("rxx", qubits, angles), after
    raise AssertionError(name)
