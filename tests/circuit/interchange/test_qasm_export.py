"""OpenQASM out: what is written reads back as the same circuit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from qmltrain.circuit.angle import constant
from qmltrain.circuit.circuit import Circuit, Gate, from_gates
from qmltrain.circuit.gates import GATES as OUR_GATES
from qmltrain.circuit.gates import gate_matrix
from qmltrain.circuit.interchange.qasm_export import to_qasm3
from qmltrain.errors import InputError
from tests.circuit.dense import apply, assert_same_up_to_phase, run, unitary
from tests.circuit.interchange.programs import circuit_of
from tests.circuit.strategies import circuits, random_inputs
from tests.examples import examples

pytest.importorskip("openqasm3", reason="needs the extra qasm")


@settings(max_examples=examples(60))
@given(circuits(max_qubits=4, max_gates=12))
def test_what_is_written_reads_back_as_the_same_circuit(circuit):
    theta, x = random_inputs(circuit, batch=1, seed=4)
    again = circuit_of(to_qasm3(circuit, theta, ["a note"]), n_features=3)
    assert again.n_parameters == 0 and again.n_qubits == circuit.n_qubits
    (state, _), (state_again, _) = (
        run(circuit, theta, x[0], tangents=False),
        run(again, theta[:0], x[0], tangents=False),
    )
    assert abs(np.vdot(state, state_again)) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("name", OUR_GATES)
def test_every_gate_is_written_with_its_matrix(name):
    definition = OUR_GATES[name]
    n = definition.n_qubits or 3
    values = (0.3, -1.1, 0.7, 2.2)[: definition.n_angles]
    gate = Gate(name, tuple(reversed(range(n))), tuple(map(constant, values)), "XYZ" if name == "pauli_rot" else "")
    circuit = from_gates(n, [gate])
    expected = apply(gate_matrix(name, n, values, gate.pauli), np.eye(2**n), gate.qubits, n).T
    assert_same_up_to_phase(unitary(circuit_of(to_qasm3(circuit, []))), expected)


def test_an_initial_state_cannot_be_written():
    circuit = Circuit(1, (), n_features=2, amplitude_encoded=True)
    with pytest.raises(InputError, match="export to pennylane or qiskit"):
        to_qasm3(circuit, [])


def test_notes_stay_comments():
    text = to_qasm3(Circuit(1, ()), [], ["one", "two"])
    assert text.splitlines()[1:3] == ["// one", "// two"]
