"""An OpenQASM file as the ansatz: features, layers and names, and files that do not fit."""

from __future__ import annotations

import pytest

from qmltrain.circuit.angle import Angle, Feature
from qmltrain.circuit.library.assemble import assemble
from qmltrain.errors import InputError
from tests.circuit.interchange.programs import HEADER, LIBRARY

pytest.importorskip("openqasm3", reason="needs the extra qasm")


def test_the_ansatz_takes_a_file(tmp_path):
    path = tmp_path / "mine.qasm"
    path.write_text(HEADER + "input float a; input float x1; qubit[2] q; rx(a) q[0]; ry(a * x1) q[1]; cz q[0], q[1];")
    circuit = assemble(3, 2, "none", {}, "qasm", {"path": str(path), "layers": 2})
    assert circuit.parameter_names == ("ansatz.0.a", "ansatz.1.a") and circuit.parameter_layers == (0, 1)
    assert circuit.layer_starts == (0, 3)
    weighted = [gate.angles[0] for gate in circuit.gates if gate.name == "ry"]
    assert weighted == [Angle(1.0, Feature("linear", (1,)), k) for k in (0, 1)]


@pytest.mark.parametrize(
    ("n_qubits", "n_features", "options", "message"),
    [
        (1, 2, {}, "has 2 qubits, the circuit 1; set circuit.n_qubits to 2"),
        (2, 1, {}, "uses the feature x1, the data has 1 features"),
        (2, 2, {"layers": 0}, "ansatz.layers"),
        (2, 2, {"path": "absent.qasm"}, "ansatz.path: the file absent.qasm cannot be read"),
        (2, 2, {"path": None}, "ansatz.path: needed by qasm"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path, n_qubits, n_features, options, message):
    path = tmp_path / "mine.qasm"
    path.write_text(LIBRARY + "input float x1; qubit[2] q; rx(x1) q;")
    with pytest.raises(InputError, match=message):
        assemble(n_qubits, n_features, "none", {}, "qasm", {"path": str(path), **options})


RESETS = "input float a; qubit[3] q; reset q[0]; ry(a) q[0]; reset q[{1, 2}]; cx q[0], q[1];"


def test_a_reset_of_fresh_qubits_changes_nothing(tmp_path):
    path, without = tmp_path / "resets.qasm", tmp_path / "without.qasm"
    path.write_text(HEADER + RESETS)
    without.write_text(HEADER + "input float a; qubit[3] q; ry(a) q[0]; cx q[0], q[1];")
    found, expected = (assemble(3, 0, "none", {}, "qasm", {"path": str(file)}) for file in (path, without))
    assert found == expected


@pytest.mark.parametrize(
    ("n_features", "encoding", "layers", "qubit"),
    [(0, "none", 2, 0), (1, "angle", 1, 0), (3, "angle", 1, 0), (8, "amplitude", 1, 0)],
)
def test_a_reset_of_what_came_before_the_file_is_refused(tmp_path, n_features, encoding, layers, qubit):
    """In the file its qubits are fresh, in the circuit they are not."""
    path = tmp_path / "resets.qasm"
    path.write_text(HEADER + RESETS)
    with pytest.raises(InputError, match=f"resets qubit {qubit}, which the encoding or the layer before has changed"):
        assemble(3, n_features, encoding, {}, "qasm", {"path": str(path), "layers": layers})


def test_more_qubits_than_any_circuit_has(tmp_path):
    path = tmp_path / "large.qasm"
    path.write_text(HEADER + "qubit[30] a; qubit[4000] b; h a;")
    with pytest.raises(InputError, match="large.qasm has 4030 qubits; circuits have at most 1000"):
        assemble(30, 0, "none", {}, "qasm", {"path": str(path)})
    path.write_text(HEADER + "const int n = 521; qubit[n] a; qubit[n] b; h a;")  # seen when it is read, not before
    with pytest.raises(InputError, match="large.qasm has 1042 qubits; circuits have at most 1000"):
        assemble(30, 0, "none", {}, "qasm", {"path": str(path)})
