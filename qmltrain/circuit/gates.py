"""Gate definitions: the matrix of every gate, written as its textbook says. The reference engine trusts only this.

Rotations are exp(-i theta G / 2), angles in radians. A matrix of k qubits is (2^k, 2^k); bit j of its index is the
gate's j-th qubit (the first qubit is the least significant bit), so `cx` on (control, target) is
``|t c> -> |t ^ c, c>``. Names are OpenQASM's (stdgates.inc, qelib1.inc).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.complex128]

_I = np.eye(2, dtype=np.complex128)
_X = np.array([[0, 1], [1, 0]], dtype=np.complex128)
_Y = np.array([[0, -1j], [1j, 0]], dtype=np.complex128)
_Z = np.diag([1, -1]).astype(np.complex128)
PAULI: dict[str, Matrix] = {"I": _I, "X": _X, "Y": _Y, "Z": _Z}


@dataclass(frozen=True)
class GateDefinition:
    """`n_qubits` None: any number. `matrix(*angles)` takes radians; for `pauli_rot` use `pauli_rotation`."""

    name: str
    n_qubits: int | None
    n_angles: int
    matrix: Callable[..., Matrix]
    summary: str


def pauli_product(letters: str) -> Matrix:
    """The Kronecker product of Pauli letters, the first letter on the first (least significant) qubit."""
    product: Matrix = np.ones((1, 1), dtype=np.complex128)
    for letter in letters:
        product = np.kron(PAULI[letter], product).astype(np.complex128)
    return product


def pauli_rotation(letters: str, theta: float) -> Matrix:
    """exp(-i theta P / 2) for the Pauli product P = `letters`; P squares to 1."""
    pair = _few_qubits(letters) if len(letters) <= 3 else _identity_and_product(letters)
    return math.cos(theta / 2) * pair[0] - 1j * math.sin(theta / 2) * pair[1]


def _identity_and_product(letters: str) -> tuple[Matrix, Matrix]:
    product = pauli_product(letters)
    return np.eye(len(product), dtype=np.complex128), product


_few_qubits = lru_cache(maxsize=128)(_identity_and_product)  # large ones would fill the memory


def phase(angle: float) -> Matrix:
    """diag(1, e^{i angle})."""
    return np.array([[1, 0], [0, np.exp(1j * angle)]], dtype=np.complex128)


def general(theta: float, phi: float, lam: float) -> Matrix:
    """OpenQASM 3's U(theta, phi, lambda): [[cos, -e^{i lam} sin], [e^{i phi} sin, e^{i(phi+lam)} cos]] of theta/2."""
    c, s = np.cos(theta / 2), np.sin(theta / 2)
    return np.array([[c, -np.exp(1j * lam) * s], [np.exp(1j * phi) * s, np.exp(1j * (phi + lam)) * c]])


def controlled(matrix: Matrix, n_controls: int = 1) -> Matrix:
    """`matrix` on the last qubits where the first `n_controls` qubits are all 1."""
    size = len(matrix)
    total = size << n_controls
    result = np.eye(total, dtype=np.complex128)
    ones = (1 << n_controls) - 1
    rows = ones + (np.arange(size) << n_controls)
    result[np.ix_(rows, rows)] = matrix
    return result


_H: Matrix = np.array([[1, 1], [1, -1]], dtype=np.complex128) / np.sqrt(2)
_SX: Matrix = np.array([[1 + 1j, 1 - 1j], [1 - 1j, 1 + 1j]], dtype=np.complex128) / 2
_SWAP: Matrix = np.eye(4, dtype=np.complex128)[[0, 2, 1, 3]]


def _cu(theta: float, phi: float, lam: float, gamma: float) -> Matrix:
    return controlled(np.exp(1j * gamma) * general(theta, phi, lam))


def _fixed(matrix: Matrix) -> Callable[[], Matrix]:
    return lambda: matrix


def _multi_rz_needs_qubits(*_: float) -> Matrix:
    raise TypeError("multi_rz and pauli_rot act on any number of qubits: use pauli_rotation(letters, theta)")


_DEFINITIONS: list[tuple[str, int | None, int, Callable[..., Matrix], str]] = [
    ("id", 1, 0, _fixed(_I), "identity"),
    ("x", 1, 0, _fixed(_X), "Pauli X"),
    ("y", 1, 0, _fixed(_Y), "Pauli Y"),
    ("z", 1, 0, _fixed(_Z), "Pauli Z"),
    ("h", 1, 0, _fixed(_H), "Hadamard"),
    ("s", 1, 0, _fixed(phase(np.pi / 2)), "diag(1, i)"),
    ("sdg", 1, 0, _fixed(phase(-np.pi / 2)), "diag(1, -i)"),
    ("t", 1, 0, _fixed(phase(np.pi / 4)), "diag(1, e^{i pi/4})"),
    ("tdg", 1, 0, _fixed(phase(-np.pi / 4)), "diag(1, e^{-i pi/4})"),
    ("sx", 1, 0, _fixed(_SX), "square root of X"),
    ("sxdg", 1, 0, _fixed(_SX.conj().T), "inverse square root of X"),
    ("rx", 1, 1, lambda a: pauli_rotation("X", a), "exp(-i theta X / 2)"),
    ("ry", 1, 1, lambda a: pauli_rotation("Y", a), "exp(-i theta Y / 2)"),
    ("rz", 1, 1, lambda a: pauli_rotation("Z", a), "exp(-i theta Z / 2)"),
    ("p", 1, 1, phase, "diag(1, e^{i lambda})"),
    ("u", 1, 3, general, "U(theta, phi, lambda)"),
    ("cx", 2, 0, _fixed(controlled(_X)), "controlled X"),
    ("cy", 2, 0, _fixed(controlled(_Y)), "controlled Y"),
    ("cz", 2, 0, _fixed(controlled(_Z)), "controlled Z"),
    ("ch", 2, 0, _fixed(controlled(_H)), "controlled Hadamard"),
    ("csx", 2, 0, _fixed(controlled(_SX)), "controlled square root of X"),
    ("cp", 2, 1, lambda a: controlled(phase(a)), "controlled phase"),
    ("crx", 2, 1, lambda a: controlled(pauli_rotation("X", a)), "controlled RX"),
    ("cry", 2, 1, lambda a: controlled(pauli_rotation("Y", a)), "controlled RY"),
    ("crz", 2, 1, lambda a: controlled(pauli_rotation("Z", a)), "controlled RZ"),
    ("cu", 2, 4, _cu, "controlled e^{i gamma} U(theta, phi, lambda)"),
    ("swap", 2, 0, _fixed(_SWAP), "exchange of two qubits"),
    ("rxx", 2, 1, lambda a: pauli_rotation("XX", a), "exp(-i theta XX / 2)"),
    ("ryy", 2, 1, lambda a: pauli_rotation("YY", a), "exp(-i theta YY / 2)"),
    ("rzz", 2, 1, lambda a: pauli_rotation("ZZ", a), "exp(-i theta ZZ / 2)"),
    ("ccx", 3, 0, _fixed(controlled(_X, 2)), "Toffoli"),
    ("ccz", 3, 0, _fixed(controlled(_Z, 2)), "Z where all three are 1"),
    ("cswap", 3, 0, _fixed(controlled(_SWAP)), "Fredkin: exchange of the last two where the first is 1"),
    ("multi_rz", None, 1, _multi_rz_needs_qubits, "exp(-i theta Z...Z / 2)"),
    ("pauli_rot", None, 1, _multi_rz_needs_qubits, "exp(-i theta P / 2), P a product of Pauli letters"),
]
GATES: dict[str, GateDefinition] = {d.name: d for d in (GateDefinition(*row) for row in _DEFINITIONS)}


def gate_matrix(name: str, n_qubits: int, angles: tuple[float, ...], pauli: str = "") -> Matrix:
    """The matrix of any registered gate on `n_qubits` qubits at the given angles (radians)."""
    if name == "multi_rz":
        return pauli_rotation("Z" * n_qubits, *angles)
    if name == "pauli_rot":
        return pauli_rotation(pauli, *angles)
    return GATES[name].matrix(*angles)
