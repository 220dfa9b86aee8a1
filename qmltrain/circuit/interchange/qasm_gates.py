"""The gates of OpenQASM's stdgates.inc and Qiskit's qelib1.inc in terms of ours.

Phases count here, since a modifier may put a control on any gate. The standard: what the specification of OpenQASM 3
defines is as it defines it, so that ``U`` is e^{i theta/2} times the matrix with cos(theta/2) in its corner,
``u3(theta, phi, lambda)`` e^{-i (phi + lambda)/2} times that matrix, ``u2(phi, lambda)`` the same with theta = pi/2.
What it does not define (u, u0, csx, sxdg, rxx, ryy, rzz, ccz, cu1, cu3, and rccx to c4x) is as Qiskit has it.

A gate here is an `Operation`: one of our gates, or one of three that exist only while a program is read: `gphase`, a
phase of the whole state, `U` as above, and `mcp`, a phase where all of three or more qubits are 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from qmltrain.circuit.interchange.qasm_expressions import LARGEST_COUNT, Expression, NotAnAngleError


class Operation(NamedTuple):
    """A gate with its angles on its qubits."""

    name: str
    qubits: tuple[int, ...]
    angles: tuple[Expression, ...] = ()


Angles = Sequence[Expression]
Qubits = tuple[int, ...]


class Rule(NamedTuple):
    """How many angles and qubits a gate of OpenQASM takes, and the operations that it is."""

    n_angles: int
    n_qubits: int
    operations: Callable[[Angles, Qubits], list[Operation]]


def number(value: float) -> Expression:
    return Expression.number(float(value))


_ZERO, _HALF_PI = number(0.0), number(math.pi / 2)


def _same(n_angles: int, n_qubits: int, name: str) -> Rule:
    return Rule(n_angles, n_qubits, lambda angles, qubits: [Operation(name, qubits, tuple(angles))])


def _u3(angles: Angles, qubits: Qubits) -> list[Operation]:
    theta, phi, lam = angles
    phases = [Operation("gphase", (), (angle.scaled(-0.5),)) for angle in (phi, lam)]
    return [*phases, Operation("u", qubits, (theta, phi, lam))]


def phase_where_all_are_1(angle: Expression, qubits: Qubits) -> Operation:
    """diag(1, ..., 1, e^{i angle}) on one qubit or more."""
    return Operation({1: "p", 2: "cp"}.get(len(qubits), "mcp"), qubits, (angle,))


def _controlled_x(angle: float) -> Callable[[Angles, Qubits], list[Operation]]:
    """X^(angle/pi) on the last qubit where all others are 1: a phase between two Hadamard gates."""

    def operations(angles: Angles, qubits: Qubits) -> list[Operation]:
        hadamard = Operation("h", qubits[-1:])
        return [hadamard, phase_where_all_are_1(number(angle), qubits), hadamard]

    return operations


def _rccx(angles: Angles, qubits: Qubits) -> list[Operation]:
    """Margolus' gate: where a is 1, Z on c if b is 0 and Y = i X Z if b is 1."""
    a, b, c = qubits
    return [Operation("cz", (a, c)), Operation("ccx", (a, b, c)), Operation("cp", (a, b), (_HALF_PI,))]


def _rc3x(angles: Angles, qubits: Qubits) -> list[Operation]:
    """Where a and b are 1, i Z on d if c is 0, and X, then Z if c is 1 (Maslov, arXiv:1508.03273)."""
    a, b, c, d = qubits
    return [
        *_controlled_x(math.pi)((), qubits),
        Operation("ccz", (a, b, d)),
        Operation("cp", (a, b), (_HALF_PI,)),
        Operation("mcp", (a, b, c), (-_HALF_PI,)),
    ]


GATES: dict[str, Rule] = {
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
    "u0": Rule(1, 1, lambda angles, qubits: [Operation("id", qubits)]),
    "u1": _same(1, 1, "p"),
    "u2": Rule(2, 1, lambda angles, qubits: _u3((_HALF_PI, *angles), qubits)),
    "u3": Rule(3, 1, _u3),
    "cu1": _same(1, 2, "cp"),
    "cu3": Rule(3, 2, lambda angles, qubits: [Operation("cu", qubits, (*angles, _ZERO))]),
    "rccx": Rule(0, 3, _rccx),
    "rc3x": Rule(0, 4, _rc3x),
    "c3x": Rule(0, 4, _controlled_x(math.pi)),
    "c3sqrtx": Rule(0, 4, _controlled_x(math.pi / 2)),
    "c4x": Rule(0, 5, _controlled_x(math.pi)),
}


def circuit_gates(operation: Operation) -> list[Operation]:
    """`operation` in gates that a circuit has, up to a global phase; NotAnAngleError where they are too many."""
    if operation.name == "gphase":
        return []
    if operation.name == "U":
        return [Operation("u", operation.qubits, operation.angles)]
    if operation.name != "mcp":
        return [operation]
    # e^{i angle} times prod (1 - Z)/2, multiplied out: one rotation about Z...Z for every subset of the qubits
    qubits, [angle], found = operation.qubits, operation.angles, []
    if len(qubits) >= LARGEST_COUNT.bit_length():
        raise NotAnAngleError(f"more than {LARGEST_COUNT} gates for {len(qubits) - 1} controls")
    for subset in range(1, 1 << len(qubits)):
        members = tuple(qubit for position, qubit in enumerate(qubits) if subset >> position & 1)
        share = angle.scaled((2.0 if len(members) % 2 else -2.0) / 2 ** len(qubits))
        found.append(Operation({1: "rz", 2: "rzz"}.get(len(members), "multi_rz"), members, (share,)))
    return found
