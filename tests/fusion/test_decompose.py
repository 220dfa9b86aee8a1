"""Decompositions multiplied out against the gates' matrices."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.circuit.circuit import Gate
from qmltrain.circuit.gates import GATES, gate_matrix
from qmltrain.engines.reference import apply
from qmltrain.fusion.decompose import DECOMPOSITIONS, Phase, Rotate, constant, decompose
from tests.circuit.dense import assert_same_up_to_phase
from tests.circuit.gate_instances import INSTANCES


@pytest.mark.parametrize(("name", "width", "angles", "pauli"), INSTANCES)
def test_decomposition_equals_the_matrix_up_to_a_phase(name, width, angles, pauli):
    gate = Gate(name, tuple(range(width)), pauli=pauli)
    total = np.eye(2**width, dtype=complex)  # rows are basis states
    for primitive in decompose(gate, tuple(constant(a) for a in angles)):
        if isinstance(primitive, Rotate):
            matrix, qubits = gate_matrix("r" + primitive.axis, 1, (primitive.angle.offset,)), (primitive.qubit,)
        elif isinstance(primitive, Phase):
            qubits = primitive.qubits
            matrix = gate_matrix("multi_rz", len(qubits), (primitive.angle.offset,))
        else:
            matrix, qubits = gate_matrix(primitive.kind, len(primitive.qubits), ()), primitive.qubits
        total = apply(total, matrix[None], qubits)
    assert_same_up_to_phase(total.T, gate_matrix(name, width, angles, pauli))


def test_every_gate_has_a_decomposition():
    assert set(GATES) - {"pauli_rot"} == set(DECOMPOSITIONS)
