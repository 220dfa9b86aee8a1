"""Modifiers of OpenQASM gate calls, against the same gates written without them."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.circuit.gates import controlled as controlled_matrix
from qmltrain.circuit.gates import general
from tests.circuit.dense import assert_same_up_to_phase, unitary
from tests.circuit.interchange.programs import HEADER, circuit_of

pytest.importorskip("openqasm3", reason="needs the extra qasm")


@pytest.mark.parametrize(
    ("statement", "same_as"),
    [
        ("inv @ s q[0];", "sdg q[0];"),
        ("inv @ rx(0.3) q[0];", "rx(-0.3) q[0];"),
        ("inv @ u3(0.3, 0.5, 0.7) q[0];", "u3(-0.3, -0.7, -0.5) q[0];"),
        ("pow(3) @ t q[0];", "t q[0]; s q[0];"),
        ("pow(-2) @ rz(0.2) q[0];", "rz(-0.4) q[0];"),
        ("pow(0) @ x q[0];", "id q[0];"),
        ("ctrl @ x q[0], q[1];", "cx q[0], q[1];"),
        ("ctrl(2) @ x q[0], q[1], q[2];", "ccx q[0], q[1], q[2];"),
        ("ctrl @ ctrl @ z q[2], q[0], q[1];", "ccz q[0], q[1], q[2];"),
        ("negctrl @ ry(0.4) q[0], q[1];", "x q[0]; cry(0.4) q[0], q[1]; x q[0];"),
        ("ctrl @ s q[1], q[0];", "cp(pi/2) q[0], q[1];"),
        ("ctrl @ sxdg q[0], q[1];", "inv @ csx q[0], q[1];"),
        ("ctrl @ inv @ sx q[0], q[1];", "inv @ ctrl @ sx q[0], q[1];"),
        ("ctrl @ gphase(0.3) q[0];", "p(0.3) q[0];"),
        ("gphase(0.3); h q[0];", "h q[0];"),
        ("inv @ pair(0.4) q[0], q[1];", "crz(-0.4) q[0], q[1]; h q[1];"),
        ("ctrl @ u(0.3, 0.5, 0.7) q[0], q[1];", "cu(0.3, 0.5, 0.7, 0) q[0], q[1];"),
        ("ctrl @ shifted q[0], q[1];", "crx(pi) q[0], q[1];"),
        ("ctrl @ id q[0], q[1];", "id q[0];"),
        ("negctrl @ ctrl @ x q[0], q[1], q[2];", "x q[0]; ccx q[0], q[1], q[2]; x q[0];"),
        ("inv @ cu(0.3, 0.5, 0.7, 0.9) q[0], q[1]; cu(0.3, 0.5, 0.7, 0.9) q[0], q[1];", "id q[0];"),
    ],
)
def test_modifiers(statement, same_as):
    text = HEADER + "gate pair(t) a, b { h b; crz(t) a, b; } gate shifted a { x a; gphase(-pi/2); } qubit[3] q; "
    assert_same_up_to_phase(unitary(circuit_of(text + statement)), unitary(circuit_of(text + same_as)))


def test_the_builtin_gate_keeps_its_phase_under_a_control():
    """U(theta, phi, lambda) of OpenQASM 3 is e^{i theta/2} times the matrix with cos(theta/2) in its corner."""
    found = unitary(circuit_of(HEADER + "qubit[2] q; ctrl @ U(0.3, 0.5, 0.7) q[0], q[1];"))
    np.testing.assert_allclose(found, controlled_matrix(np.exp(0.15j) * general(0.3, 0.5, 0.7)), atol=1e-14)
