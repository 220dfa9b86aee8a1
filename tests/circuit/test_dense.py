"""The dense judge itself: gate by gate against Kronecker products, derivatives against differences of values."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings

from qmltrain.circuit.circuit import Circuit
from qmltrain.circuit.gates import gate_matrix
from qmltrain.circuit.observables import from_sums, pauli_string
from tests.circuit import dense
from tests.circuit.strategies import circuits, random_inputs
from tests.examples import examples


def embedded(matrix: np.ndarray, qubits: tuple[int, ...], n: int) -> np.ndarray:
    """The matrix on the whole register, element by element."""
    whole = np.zeros((2**n, 2**n), dtype=complex)
    for column in range(2**n):
        inside = sum((column >> qubit & 1) << position for position, qubit in enumerate(qubits))
        rest = column & ~sum(1 << qubit for qubit in qubits)
        for row_inside in range(len(matrix)):
            row = rest | sum((row_inside >> position & 1) << qubit for position, qubit in enumerate(qubits))
            whole[row, column] = matrix[row_inside, inside]
    return whole


@settings(deadline=None)
@given(circuits(max_qubits=4, max_gates=6))
def test_states_are_products_of_embedded_matrices(circuit: Circuit) -> None:
    theta_P, x_BF = random_inputs(circuit, batch=1)
    expected = np.eye(2**circuit.n_qubits, dtype=complex)
    for gate in circuit.gates:
        values = tuple(dense.angle_value(angle, theta_P, x_BF[0]) for angle in gate.angles)
        matrix = gate_matrix(gate.name, len(gate.qubits), values, gate.pauli)
        expected = embedded(matrix, gate.qubits, circuit.n_qubits) @ expected
    np.testing.assert_allclose(dense.unitary(circuit, theta_P, x_BF[0]), expected, atol=1e-12)


@settings(deadline=None, max_examples=examples(50))
@given(circuits(min_qubits=2, max_qubits=3, max_gates=8))
def test_gradients_are_differences_of_values(circuit: Circuit) -> None:
    theta_P, x_BF = random_inputs(circuit, batch=1, seed=3)
    observables = from_sums(
        [("a", [(0.7, pauli_string({0: "Z"})), (-0.4, pauli_string({0: "X", 1: "Y"}))]), ("b", [(1, pauli_string({}))])]
    )
    values_K, gradient_KP = dense.expectations(circuit, observables, theta_P, x_BF[0])
    assert abs(values_K[1] - 1) < 1e-12 and np.abs(gradient_KP[1]).max() < 1e-10
    step = 1e-5
    for index in range(circuit.n_parameters):
        shift = step * np.eye(circuit.n_parameters)[index]
        up, _ = dense.expectations(circuit, observables, theta_P + shift, x_BF[0])
        down, _ = dense.expectations(circuit, observables, theta_P - shift, x_BF[0])
        np.testing.assert_allclose(gradient_KP[:, index], (up - down) / (2 * step), atol=2e-6)
