"""The matrix of every gate of OpenQASM's libraries, phase included, from the words of its definition."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import expm

from qmltrain.circuit.interchange.qasm_gates import GATES

X, Y, Z = np.array([[0, 1], [1, 0]]), np.array([[0, -1j], [1j, 0]]), np.diag([1, -1])
H = (X + Z) / np.sqrt(2)
SX = np.array([[1 + 1j, 1 - 1j], [1 - 1j, 1 + 1j]]) / 2
SWAP = (np.eye(4) + sum(np.kron(pauli, pauli) for pauli in (X, Y, Z))) / 2


def turn(pauli: NDArray, angle: float) -> NDArray:
    return expm(-0.5j * angle * pauli)


def zyz(theta: float, phi: float, lam: float) -> NDArray:
    """The `U` of OpenQASM 2 and `u3` of OpenQASM 3, of determinant 1."""
    return turn(Z, phi) @ turn(Y, theta) @ turn(Z, lam)


def real_corner(theta: float, phi: float, lam: float) -> NDArray:
    """The `U` of Qiskit, whose upper left corner is cos(theta/2)."""
    return np.exp(0.5j * (phi + lam)) * zyz(theta, phi, lam)


def phase(angle: float) -> NDArray:
    return np.diag([1, np.exp(1j * angle)])


def where(blocks: dict[int, NDArray], n_controls: int) -> NDArray:
    """`blocks[bits]` on the last qubits where the first ones are `bits` (the first is the lowest bit), else nothing."""
    controls = 1 << n_controls
    size = len(next(iter(blocks.values())))
    total = np.eye(controls * size, dtype=complex)
    for bits, block in blocks.items():
        rows = bits + controls * np.arange(size)
        total[np.ix_(rows, rows)] = block
    return total


def controlled(block: NDArray, n_controls: int = 1) -> NDArray:
    return where({(1 << n_controls) - 1: block}, n_controls)


MATRICES = {
    "id": lambda: np.eye(2), "x": lambda: X, "y": lambda: Y, "z": lambda: Z, "h": lambda: H,
    "s": lambda: phase(np.pi / 2), "sdg": lambda: phase(-np.pi / 2), "t": lambda: phase(np.pi / 4),
    "tdg": lambda: phase(-np.pi / 4), "sx": lambda: SX, "sxdg": lambda: SX.conj().T,
    "rx": lambda a: turn(X, a), "ry": lambda a: turn(Y, a), "rz": lambda a: turn(Z, a), "p": phase,
    "phase": phase, "u1": phase, "u0": lambda a: np.eye(2),
    "U": lambda a, b, c: np.exp(0.5j * (a + b + c)) * zyz(a, b, c),
    "u2": lambda b, c: zyz(np.pi / 2, b, c), "u3": zyz, "u": real_corner,
    "cx": lambda: controlled(X), "CX": lambda: controlled(X), "cy": lambda: controlled(Y), "cz": lambda: controlled(Z),
    "ch": lambda: controlled(H), "csx": lambda: controlled(SX), "swap": lambda: SWAP,
    "cp": lambda a: controlled(phase(a)), "cphase": lambda a: controlled(phase(a)),
    "cu1": lambda a: controlled(phase(a)), "cu3": lambda a, b, c: controlled(real_corner(a, b, c)),
    "cu": lambda a, b, c, d: controlled(np.exp(1j * d) * real_corner(a, b, c)),
    "crx": lambda a: controlled(turn(X, a)), "cry": lambda a: controlled(turn(Y, a)),
    "crz": lambda a: controlled(turn(Z, a)), "rxx": lambda a: turn(np.kron(X, X), a),
    "ryy": lambda a: turn(np.kron(Y, Y), a), "rzz": lambda a: turn(np.kron(Z, Z), a),
    "ccx": lambda: controlled(X, 2), "ccz": lambda: controlled(Z, 2), "cswap": lambda: controlled(SWAP),
    "c3x": lambda: controlled(X, 3), "c4x": lambda: controlled(X, 4), "c3sqrtx": lambda: controlled(SX, 3),
    "rccx": lambda: where({0b01: Z, 0b11: Y}, 2),
    "rc3x": lambda: where({0b011: 1j * Z, 0b111: Z @ X}, 3),
}  # fmt: skip
ANGLES = (0.3, -1.1, 0.7, 2.2)


def call(name: str, modifiers: str = "", before: int = 0) -> str:
    """`name` at `ANGLES` on qubits in order, after `before` others for controls."""
    rule = GATES[name]
    angles = f"({', '.join(map(str, ANGLES[: rule.n_angles]))})" if rule.n_angles else ""
    n = rule.n_qubits + before
    return f"qubit[{n}] q; {modifiers} {name}{angles} {', '.join(f'q[{k}]' for k in range(n))};"


def matrix(name: str) -> NDArray:
    """The matrix of that call."""
    return MATRICES[name](*ANGLES[: GATES[name].n_angles])
