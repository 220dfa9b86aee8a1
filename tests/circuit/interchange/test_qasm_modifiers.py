"""Modifiers of OpenQASM gate calls, against matrices with their phases and against gates written without them."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.circuit.interchange.qasm_gates import GATES
from qmltrain.circuit.interchange.qasm_import import read_program
from qmltrain.errors import InputError
from tests.circuit.dense import assert_same_up_to_phase, unitary
from tests.circuit.interchange.openqasm_matrices import MATRICES, call, controlled, matrix, phase, where
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


@pytest.mark.parametrize("name", GATES)
def test_every_gate_under_controls_keeps_its_phase(name):
    """`ctrl @` of what the specification defines is the controlled matrix of its definition; of all else, Qiskit's."""
    once = unitary(circuit_of(HEADER + call(name, "ctrl @", 1)))
    assert_same_up_to_phase(once, controlled(matrix(name)))
    if GATES[name].n_qubits <= 3:
        twice = unitary(circuit_of(HEADER + call(name, "negctrl @ ctrl @", 2)))
        assert_same_up_to_phase(twice, where({0b10: matrix(name)}, 2))
        undone = unitary(circuit_of(HEADER + call(name, "ctrl(2) @ inv @", 2)))
        assert_same_up_to_phase(undone, controlled(matrix(name).conj().T, 2))


def test_the_phases_of_u_u2_u3_are_those_of_the_specification():
    """Written out: they differ from one another, and from Qiskit's, by a phase on the control."""
    theta, phi, lam = 0.3, 0.5, 0.7
    c, s = np.cos(theta / 2), np.sin(theta / 2)
    corner = np.array([[c, -np.exp(1j * lam) * s], [np.exp(1j * phi) * s, np.exp(1j * (phi + lam)) * c]])
    right_angle = np.array([[1, -np.exp(1j * lam)], [np.exp(1j * phi), np.exp(1j * (phi + lam))]]) / np.sqrt(2)
    for gate, expected in (
        (f"U({theta}, {phi}, {lam})", np.exp(1j * theta / 2) * corner),
        (f"u3({theta}, {phi}, {lam})", np.exp(-1j * (phi + lam) / 2) * corner),
        (f"u2({phi}, {lam})", np.exp(-1j * (phi + lam) / 2) * right_angle),
        (f"u({theta}, {phi}, {lam})", corner),
    ):
        found = unitary(circuit_of(HEADER + f"qubit[2] q; ctrl @ {gate} q[0], q[1];"))
        assert_same_up_to_phase(found, controlled(expected))


@pytest.mark.field
def test_qiskits_controlled_gates_differ_by_the_documented_phase():
    pytest.importorskip("qiskit")
    from qiskit.circuit.library import U2Gate, U3Gate, UGate
    from qiskit.quantum_info import Operator

    theta, phi, lam = 0.3, 0.5, 0.7
    for gate, theirs, angle in (
        (f"U({theta}, {phi}, {lam})", UGate(theta, phi, lam), theta / 2),
        (f"u3({theta}, {phi}, {lam})", U3Gate(theta, phi, lam), -(phi + lam) / 2),
        (f"u2({phi}, {lam})", U2Gate(phi, lam), -(phi + lam) / 2),
        (f"u({theta}, {phi}, {lam})", UGate(theta, phi, lam), 0.0),
    ):
        found = unitary(circuit_of(HEADER + f"qubit[2] q; ctrl @ {gate} q[0], q[1];"))
        on_control = np.kron(np.eye(2), phase(angle))
        assert_same_up_to_phase(found, on_control @ Operator(theirs.control(1)).data)


def test_many_controls():
    found = unitary(circuit_of(HEADER + "qubit[5] q; ctrl(4) @ ry(0.4) q[0], q[1], q[2], q[3], q[4];"))
    assert_same_up_to_phase(found, controlled(MATRICES["ry"](0.4), 4))


def test_too_many_controls_are_refused_before_they_are_written_out():
    places = ", ".join(f"q[{k}]" for k in range(30))
    with pytest.raises(InputError, match="line 3: more than 1000000 gates for 29 controls"):
        read_program(HEADER + f"qubit[30] q; ctrl(29) @ z {places};", "f")
