"""An OpenQASM file as the ansatz: features, layers and names, and files that do not fit."""

from __future__ import annotations

import pytest

from qmltrain.circuit.angle import Angle, Feature
from qmltrain.circuit.library.assemble import assemble
from qmltrain.errors import InputError
from tests.circuit.interchange.programs import HEADER

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
    path.write_text("input float x1; qubit[2] q; rx(x1) q;")
    with pytest.raises(InputError, match=message):
        assemble(n_qubits, n_features, "none", {}, "qasm", {"path": str(path), **options})
