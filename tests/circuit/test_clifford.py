"""Pauli strings as integers, and carried through gates, against matrices."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from qmltrain.circuit.circuit import Circuit, Gate
from qmltrain.circuit.clifford import commute, from_letters, images_after, multiply, through, unmoved
from qmltrain.circuit.gates import GATES, pauli_product
from tests.circuit.dense import unitary

STRINGS = ["".join(letters) for letters in itertools.product("IXYZ", repeat=2)]


def dense(pauli, n=2):
    """i^k X^x Z^z as its definition says."""
    x, z, k = pauli
    product = np.eye(2**n)
    for q in range(n):
        for mask, letter in ((x, "X"), (z, "Z")):
            if mask >> q & 1:
                product = product @ pauli_product("I" * q + letter + "I" * (n - q - 1))
    # all X before all Z: those of different qubits commute, so only the order within a qubit matters
    return 1j**k * product


@pytest.mark.parametrize("letters", STRINGS)
def test_letters(letters):
    np.testing.assert_allclose(dense(from_letters(letters)), pauli_product(letters), atol=1e-15)


def test_products_and_commutation():
    for a, b in itertools.product(map(from_letters, STRINGS), repeat=2):
        np.testing.assert_allclose(dense(multiply(a, b)), dense(a) @ dense(b), atol=1e-15)
        assert commute(a, b) == np.allclose(dense(a) @ dense(b), dense(b) @ dense(a))


CLIFFORD = ["x", "y", "z", "h", "s", "sdg", "sx", "sxdg", "cx", "cy", "cz", "swap", "id"]


@pytest.mark.parametrize("name", CLIFFORD)
def test_images_are_conjugates(name):
    n = GATES[name].n_qubits
    first = images_after("h", (0,), (), "", unmoved(2))
    second = images_after("cx", (1, 0), (), "", first)
    images = images_after(name, (1, 0)[:n], (), "", second)
    gates = (Gate("h", (0,)), Gate("cx", (1, 0)), Gate(name, (1, 0)[:n]))
    matrix = unitary(Circuit(2, gates))
    for letters in STRINGS:
        found = through(from_letters(letters), (0, 1), images)
        np.testing.assert_allclose(dense(found), matrix.conj().T @ pauli_product(letters) @ matrix, atol=1e-12)
    assert set(images) == set(unmoved(2))


@pytest.mark.parametrize("name", ["t", "ch", "csx", "ccx"])
def test_other_gates_are_none(name):
    n = GATES[name].n_qubits
    assert images_after(name, tuple(range(n)), (), "", unmoved(3)) is None


def test_right_angles_are_clifford_gates():
    assert images_after("rx", (0,), (np.pi / 2,), "", unmoved(1)) is not None
    assert images_after("rx", (0,), (np.pi / 4,), "", unmoved(1)) is None
