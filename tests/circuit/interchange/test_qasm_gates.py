"""Gates of stdgates.inc and qelib1.inc: each name gives the matrix of its definition."""

from __future__ import annotations

import math

import pytest

from qmltrain.circuit.gates import gate_matrix
from qmltrain.circuit.interchange.qasm_gates import GATES
from tests.circuit.dense import assert_same_up_to_phase, unitary
from tests.circuit.interchange.programs import HEADER, circuit_of

pytest.importorskip("openqasm3", reason="needs the extra qasm")


@pytest.mark.parametrize("name", GATES)
def test_every_gate_name_gives_the_matrix_of_its_definition(name):
    """Against the definitions of stdgates.inc and qelib1.inc, written out with matrices."""
    n_angles, n_qubits, _, _ = GATES[name]
    values = [0.3, -1.1, 0.7, 2.2][:n_angles]
    aliases = {
        "CX": ("cx", values), "phase": ("p", values), "cphase": ("cp", values), "u0": ("id", []), "u1": ("p", values),
        "u2": ("u", [math.pi / 2, *values]), "u3": ("u", values), "U": ("u", values), "cu1": ("cp", values),
        "cu3": ("cu", [*values, 0.0]),
    }  # fmt: skip
    ours, ours_values = aliases.get(name, (name, values))
    call = f"{name}({', '.join(map(str, values))})" if values else name
    text = HEADER + f"qubit[{n_qubits}] q; {call} {', '.join(f'q[{k}]' for k in range(n_qubits))};"
    expected = gate_matrix(ours, n_qubits, tuple(ours_values))
    assert_same_up_to_phase(unitary(circuit_of(text)), expected)
