"""Pauli strings as integers, and carried through fixed Clifford gates.

A `Pauli` (x, z, k) is the operator i^k X^x Z^z, x and z masks of qubits; it is Hermitian where k is the number of Y, or
two more (then with a minus sign).
"""

from __future__ import annotations

import functools
import itertools

import numpy as np
from numpy.typing import NDArray

from qmltrain.circuit.gates import PAULI, gate_matrix

Pauli = tuple[int, int, int]
Images = dict[tuple[str, int], Pauli]  # of every X_q and Z_q, by ("X", q) and ("Z", q)


def multiply(a: Pauli, b: Pauli) -> Pauli:
    """The product a b."""
    return a[0] ^ b[0], a[1] ^ b[1], (a[2] + b[2] + 2 * (a[1] & b[0]).bit_count()) % 4


def commute(a: Pauli, b: Pauli) -> bool:
    """Whether a b = b a; if not, a b = -b a."""
    return ((a[0] & b[1]).bit_count() + (a[1] & b[0]).bit_count()) % 2 == 0


def from_letters(letters: str) -> Pauli:
    """A string on qubits 0, 1, ...; Y = i X Z."""
    x = sum((letter in "XY") << q for q, letter in enumerate(letters))
    z = sum((letter in "YZ") << q for q, letter in enumerate(letters))
    return x, z, (x & z).bit_count() % 4


def unmoved(n_qubits: int) -> Images:
    """The images under no gates."""
    return {("X", q): (1 << q, 0, 0) for q in range(n_qubits)} | {("Z", q): (0, 1 << q, 0) for q in range(n_qubits)}


def through(local: Pauli, qubits: tuple[int, ...], images: Images) -> Pauli:
    """A string on a gate's own qubits 0, 1, ... carried back through all fixed gates before it."""
    result: Pauli = (0, 0, local[2])
    for place, qubit in enumerate(qubits):  # X^x Z^z, the X's first: different qubits commute
        if local[0] >> place & 1:
            result = multiply(result, images["X", qubit])
        if local[1] >> place & 1:
            result = multiply(result, images["Z", qubit])
    return result


def images_after(
    name: str, qubits: tuple[int, ...], angles: tuple[float, ...], pauli: str, images: Images
) -> Images | None:
    """The images C^dagger P C after one more fixed gate, those before being `images`; None where it is not Clifford."""
    changed = {}
    for place, qubit in enumerate(qubits):
        for letter in "XZ":
            local = conjugated(name, len(qubits), angles, pauli, letter, place)
            if local is None:
                return None
            changed[letter, qubit] = through(local, qubits, images)
    return images | changed


@functools.cache
def conjugated(name: str, n: int, angles: tuple[float, ...], pauli: str, letter: str, place: int) -> Pauli | None:
    """G^dagger P G for a letter on one qubit of gate G; None where it is not one Pauli string."""
    matrix = gate_matrix(name, n, angles, pauli)
    carried = matrix.conj().T @ _dense("I" * place + letter + "I" * (n - place - 1)) @ matrix
    for letters in itertools.product("IXYZ", repeat=n):
        overlap = np.trace(_dense("".join(letters)) @ carried) / 2**n
        if abs(abs(overlap) - 1) < 1e-9:
            x, z, k = from_letters("".join(letters))
            return x, z, (k + (0 if overlap.real > 0 else 2)) % 4
    return None


def _dense(letters: str) -> NDArray[np.complex128]:
    product: NDArray[np.complex128] = np.ones((1, 1), dtype=np.complex128)
    for letter in letters:
        product = np.kron(PAULI[letter], product).astype(np.complex128)
    return product
