"""Gates of stdgates.inc and qelib1.inc: each name gives the matrix of its definition."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from qmltrain.circuit.interchange.qasm_gates import GATES
from tests.circuit.dense import assert_same_up_to_phase, unitary
from tests.circuit.interchange.openqasm_matrices import ANGLES, MATRICES, call, matrix
from tests.circuit.interchange.programs import HEADER, circuit_of

pytest.importorskip("openqasm3", reason="needs the extra qasm")

# of the specification of OpenQASM 3, and of Qiskit
STDGATES = {
    "p", "x", "y", "z", "h", "s", "sdg", "t", "tdg", "sx", "rx", "ry", "rz", "cx", "cy", "cz", "cp", "crx", "cry",
    "crz", "ch", "swap", "ccx", "cswap", "cu", "CX", "phase", "cphase", "id", "u1", "u2", "u3",
}  # fmt: skip
QELIB1 = {
    "u3", "u2", "u1", "cx", "id", "u0", "u", "p", "x", "y", "z", "h", "s", "sdg", "t", "tdg", "rx", "ry", "rz",
    "sx", "sxdg", "cz", "cy", "swap", "ch", "ccx", "cswap", "crx", "cry", "crz", "cu1", "cp", "cu3", "csx", "cu",
    "rxx", "rzz", "rccx", "rc3x", "c3x", "c3sqrtx", "c4x",
}  # fmt: skip


@pytest.mark.parametrize("name", GATES)
def test_every_gate_name_gives_the_matrix_of_its_definition(name):
    assert_same_up_to_phase(unitary(circuit_of(HEADER + call(name))), matrix(name))


def test_the_libraries_are_complete():
    assert GATES.keys() == MATRICES.keys() >= {*STDGATES, *QELIB1, "U"}


def test_a_gate_needs_its_library():
    """Without an include a program has `U`, in version 2 also `CX`, and what it defines itself."""
    own = "gate h a { U(pi/2, 0, pi) a; } qubit q; h q;"
    assert_same_up_to_phase(unitary(circuit_of(own)), MATRICES["h"]())
    own = "OPENQASM 2.0; qreg q[2]; U(pi/2, 0, pi) q[1]; CX q[0], q[1];"
    expected = MATRICES["CX"]() @ np.kron(MATRICES["h"](), np.eye(2))
    assert_same_up_to_phase(unitary(circuit_of(own)), expected)


@pytest.mark.parametrize(
    ("text", "gate", "library"),
    [
        ("qubit q; h q; h q;", "h", "stdgates.inc"),
        ("OPENQASM 2.0; qreg q[1]; h q; h q;", "h", "qelib1.inc"),
        ("qubit[2] q; CX q[0], q[1];", "CX", "stdgates.inc"),
    ],
)
def test_a_library_that_is_not_included_is_said_once(text, gate, library):
    with pytest.warns(UserWarning, match=f"gate '{gate}' is not defined, taken from a library; .*{library}") as said:
        found = circuit_of(text)
    assert len(said) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        register = "qubit" if "qubit" in text else "qreg"
        expected = circuit_of(text.replace(register, f'include "{library}"; {register}', 1))
    assert found == expected


@pytest.mark.field
@pytest.mark.parametrize("name", sorted({*QELIB1, "ccz", "ryy"}))
def test_qiskit_has_the_same_matrices(name):
    """What the specification does not define is Qiskit's, phase included; the others may differ in a phase."""
    pytest.importorskip("qiskit")
    from qiskit.circuit import library
    from qiskit.quantum_info import Operator

    names = {
        "id": "I", "u0": "I", "p": "Phase", "cp": "CPhase", "sdg": "Sdg", "tdg": "Tdg", "sxdg": "SXdg", "swap": "Swap",
        "cswap": "CSwap", "rc3x": "RC3X", "c3sqrtx": "C3SX",
    }  # fmt: skip
    theirs = getattr(library, f"{names.get(name, name.upper())}Gate")
    gate = theirs(*(() if name == "u0" else ANGLES[: GATES[name].n_angles]))
    found = Operator(gate).data
    if name in ("u2", "u3", "rzz", "rxx"):
        assert_same_up_to_phase(matrix(name), found)
    else:
        np.testing.assert_allclose(matrix(name), found, atol=1e-12)
