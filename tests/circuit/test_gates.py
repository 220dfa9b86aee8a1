"""Gate matrices against independent definitions."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg

from qmltrain.circuit.gates import PAULI, controlled, gate_matrix, pauli_product
from tests.circuit.gate_instances import INSTANCES


@pytest.mark.parametrize(("name", "width", "angles", "pauli"), INSTANCES)
def test_matrices_are_unitary(name, width, angles, pauli):
    matrix = gate_matrix(name, width, angles, pauli)
    assert matrix.shape == (2**width, 2**width)
    np.testing.assert_allclose(matrix @ matrix.conj().T, np.eye(2**width), atol=1e-14)


@pytest.mark.parametrize("letters", ["X", "Y", "Z", "XY", "ZZ", "YXZ"])
def test_pauli_rotations_are_matrix_exponentials(letters):
    generator = pauli_product(letters)
    expected = scipy.linalg.expm(-0.5j * 0.83 * generator)
    np.testing.assert_allclose(gate_matrix("pauli_rot", len(letters), (0.83,), letters), expected, atol=1e-14)


def test_the_first_letter_is_the_lowest_qubit():
    np.testing.assert_array_equal(pauli_product("XZ"), np.kron(PAULI["Z"], PAULI["X"]))


def test_known_matrices():
    """Written out by hand in the order |q1 q0>, control q0."""
    np.testing.assert_array_equal(gate_matrix("cx", 2, ()), [[1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0], [0, 1, 0, 0]])
    np.testing.assert_allclose(gate_matrix("h", 1, ()), np.array([[1, 1], [1, -1]]) / np.sqrt(2))
    np.testing.assert_allclose(gate_matrix("sx", 1, ()) @ gate_matrix("sx", 1, ()), PAULI["X"], atol=1e-15)
    np.testing.assert_allclose(gate_matrix("rx", 1, (np.pi,)), -1j * PAULI["X"], atol=1e-15)
    np.testing.assert_allclose(gate_matrix("ry", 1, (np.pi / 2,)), np.array([[1, -1], [1, 1]]) / np.sqrt(2))
    np.testing.assert_allclose(gate_matrix("u", 1, (np.pi / 2, 0, np.pi)), gate_matrix("h", 1, ()), atol=1e-15)
    np.testing.assert_array_equal(gate_matrix("ccx", 3, ())[[3, 7]], np.eye(8)[[7, 3]])
    np.testing.assert_array_equal(gate_matrix("cswap", 3, ())[[3, 5]], np.eye(8)[[5, 3]])


def test_controlled_acts_only_where_all_controls_are_one():
    matrix = controlled(PAULI["Y"], 2)
    np.testing.assert_array_equal(matrix[np.ix_([3, 7], [3, 7])], PAULI["Y"])
    rest = [0, 1, 2, 4, 5, 6]
    np.testing.assert_array_equal(matrix[np.ix_(rest, rest)], np.eye(6))
