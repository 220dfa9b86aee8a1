"""The reference itself, judged by Kronecker products, full unitaries and finite differences."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from qmltrain.circuit.circuit import Circuit, Gate
from qmltrain.circuit.gates import PAULI, gate_matrix
from qmltrain.circuit.observables import PauliString
from qmltrain.engines.reference import ReferenceEngine, apply, apply_string
from qmltrain.training.angles import AngleMap
from tests.circuit.strategies import circuits, random_inputs, random_states
from tests.engines.comparison import random_cotangents, run
from tests.examples import examples


def kronecker(n_qubits: int, factors: dict[int, np.ndarray]) -> np.ndarray:
    """The operator with `factors` on their qubits: qubit n-1 is the leftmost factor."""
    total = np.ones((1, 1))
    for qubit in range(n_qubits):
        total = np.kron(factors.get(qubit, np.eye(2)), total)
    return total


@pytest.mark.parametrize("n_qubits", [1, 2, 3, 5])
def test_one_qubit_gates_are_kronecker_products(n_qubits):
    state = random_states(n_qubits, 3).astype(complex)
    matrix = gate_matrix("u", 1, (0.4, 1.2, -0.7))
    for qubit in range(n_qubits):
        expected = state @ kronecker(n_qubits, {qubit: matrix}).T
        np.testing.assert_allclose(apply(state, matrix[None], (qubit,)), expected, atol=1e-14)


@pytest.mark.parametrize("qubits", [(0, 1), (1, 0), (2, 0), (0, 2), (3, 1)])
def test_controlled_gates_are_projector_sums(qubits):
    """|0><0| x 1 + |1><1| x U, an asymmetric gate on every order of qubits."""
    control, target = qubits
    state = random_states(4, 2).astype(complex)
    u = gate_matrix("ry", 1, (0.9,))
    full = kronecker(4, {control: np.diag([1, 0])}) + kronecker(4, {control: np.diag([0, 1]), target: u})
    found = apply(state, gate_matrix("cry", 2, (0.9,))[None], qubits)
    np.testing.assert_allclose(found, state @ full.T, atol=1e-14)


@pytest.mark.parametrize("string", [PauliString(0b101, 0b110), PauliString(0, 0b111), PauliString(0b10, 0b10)])
def test_pauli_strings_are_kronecker_products(string):
    state = random_states(3, 2).astype(complex)
    letters = {q: "IXZY"[(string.x_mask >> q & 1) | (string.z_mask >> q & 1) << 1] for q in range(3)}
    full = kronecker(3, {q: PAULI[letter] for q, letter in letters.items()})
    np.testing.assert_allclose(apply_string(state, string), state @ full.T, atol=1e-14)


@settings(max_examples=examples(40), deadline=None)
@given(circuits(min_qubits=1, max_qubits=3, max_gates=8))
def test_slot_gradients_are_finite_differences(circuit):
    theta, x = random_inputs(circuit, 2)
    strings = (PauliString(0, 1), PauliString(1, 0))
    outputs = run(ReferenceEngine(), circuit, strings, theta, x)
    program = ReferenceEngine().compile(circuit, strings)
    angles = AngleMap(circuit)
    shared_S, per_sample_BS = angles.shared(theta), angles.per_sample(theta, x)
    cotangent = random_cotangents(2, 2)

    def value(shared, per_sample):
        return float(np.sum(cotangent * program.begin_step(shared).forward(per_sample).expectations_BM))

    step = 1e-5
    for k in range(len(shared_S)):
        move = np.zeros_like(shared_S)
        move[k] = step
        up, down = (value(shared_S + s * move, per_sample_BS) for s in (1, -1))
        assert abs((up - down) / (2 * step) - outputs.slots_S[k]) < 1e-7
    for k in np.ndindex(per_sample_BS.shape):
        move = np.zeros_like(per_sample_BS)
        move[k] = step
        up, down = (value(shared_S, per_sample_BS + s * move) for s in (1, -1))
        assert abs((up - down) / (2 * step) - outputs.per_sample_BS[k]) < 1e-7


def test_the_initial_bra_is_the_gradient_of_the_input_state():
    circuit = Circuit(
        2, (Gate("h", (0,)), Gate("cy", (0, 1)), Gate("t", (1,)), Gate("sx", (0,))), amplitude_encoded=True
    )
    initial = random_states(2, 1)
    strings = (PauliString(0b01, 0b10),)
    outputs = run(ReferenceEngine(), circuit, strings, np.zeros(0), np.zeros((1, 0)), initial)
    program = ReferenceEngine().compile(circuit, strings)
    step, angles = program.begin_step(np.zeros(0)), np.zeros((1, 0))
    weight = random_cotangents(1, 1)[0, 0]
    for z in range(4):
        move = np.zeros_like(initial)
        move[0, z] = 1e-6
        up, down = (weight * step.forward(angles, initial + s * move).expectations_BM[0, 0] for s in (1, -1))
        assert abs((up - down) / 2e-6 - 2 * outputs.initial_BN[0, z].real) < 1e-8
