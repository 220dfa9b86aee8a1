"""Observables as dense matrices, by Kronecker products of their letters."""

from __future__ import annotations

import numpy as np

from qmltrain.circuit.circuit import Circuit
from qmltrain.circuit.gates import PAULI
from qmltrain.circuit.observables import Observables, PauliString
from tests.circuit.dense import unitary


def letters_matrix(string: PauliString, n: int) -> np.ndarray:
    """The dense matrix of one string, by Kronecker products of letters."""
    product = np.ones((1, 1))
    for qubit in range(n):
        letter = {(0, 0): "I", (1, 0): "X", (1, 1): "Y", (0, 1): "Z"}[
            (string.x_mask >> qubit & 1, string.z_mask >> qubit & 1)
        ]
        product = np.kron(PAULI[letter], product)
    return product


def matrix(observables: Observables, number: int, n: int) -> np.ndarray:
    """The dense matrix of one observable."""
    total = observables.constants[number] * np.eye(2**n, dtype=complex)
    for column, coefficient in observables.coefficients[number].items():
        total += coefficient * letters_matrix(observables.strings[column], n)
    turn = unitary(Circuit(n, observables.diagonalizing_gates), np.empty(0), np.empty(0))
    return turn.conj().T @ total @ turn
