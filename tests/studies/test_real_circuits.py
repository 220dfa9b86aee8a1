"""Real circuits: against the states that dense circuits have at drawn parameters."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.circuit.angle import constant, parameter
from qmltrain.circuit.circuit import Circuit, Gate
from qmltrain.circuit.gates import GATES
from qmltrain.circuit.library.assemble import assemble
from qmltrain.studies.real_circuits import is_real
from tests.circuit.dense import run


def stays_real(circuit):
    theta = np.random.default_rng(1).uniform(-3, 3, circuit.n_parameters)
    psi = run(circuit, theta, np.zeros(0), tangents=False)[0]
    turned = psi * np.exp(-1j * np.angle(psi[np.argmax(np.abs(psi))]))
    return bool(np.abs(turned.imag).max() < 1e-12)


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("real_amplitudes", {"layers": 2}, True),
        ("simplified_two_design", {"layers": 2}, True),
        ("sim_15", {"layers": 1}, True),
        ("sim_13", {"layers": 1}, False),
        ("hea", {"layers": 2, "rotations": ["ry"]}, True),
        ("hea", {"layers": 2, "rotations": ["ry", "rz"]}, False),
    ],
)
def test_ansaetze(name, options, expected):
    circuit = assemble(3, 0, "none", {}, name, options)
    assert is_real(circuit) is expected and stays_real(circuit) is expected


@pytest.mark.parametrize("name", GATES)
def test_what_is_said_of_a_gate_holds(name):
    """Between real gates that leave no amplitude 0. What is not said may still be so."""
    n, n_angles = GATES[name].n_qubits or 2, GATES[name].n_angles
    gate = Gate(
        name, tuple(range(n)), tuple(parameter(k) for k in range(n_angles)), "XY" if name == "pauli_rot" else ""
    )
    before = tuple(Gate("ry", (q,), (constant(0.7 + q),)) for q in range(3))
    circuit = Circuit(3, (*before, gate), tuple("abcd"[:n_angles]))
    assert is_real(circuit) <= stays_real(circuit)
    assert is_real(circuit) == (name in REAL)


REAL = ["id", "x", "y", "z", "h", "cx", "cz", "ch", "swap", "ccx", "ccz", "cswap", "ry", "cry", "pauli_rot"]


def test_constant_angles_and_phases():
    assert is_real(Circuit(1, (Gate("rz", (0,), (constant(2 * np.pi),)), Gate("y", (0,)))))
    assert is_real(Circuit(1, (Gate("rx", (0,), (constant(np.pi),)),)))
    assert not is_real(Circuit(1, (Gate("rx", (0,), (constant(0.1),)),)))
