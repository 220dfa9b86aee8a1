"""A user's functions and files that make a circuit: kept with the run, checked, and used from there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import qmltrain
from qmltrain.errors import InputError
from qmltrain.verbs import evaluate, repeat
from tests.sessions.complete_runs import complete
from tests.small_configs import CONTEXT


def test_a_changed_function_is_noticed(tmp_path, monkeypatch):
    text = (
        "from qmltrain.circuit.angle import parameter\n"
        "def ansatz(builder, layers):\n"
        "    layer = builder.start_layer()\n"
        "    [theta] = builder.parameters([f'ansatz.{layer}.theta'])\n"
        "    builder.add('rx', 0, parameter(theta))\n"
    )
    (tmp_path / "own_circuit_of_a_test.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    directory = complete(
        tmp_path / "runs", train__epochs=1, ansatz__name="python", ansatz__function="own_circuit_of_a_test:ansatz"
    )
    code = f"import qmltrain; print(qmltrain.load({str(directory)!r}).predict([[0.1, 0.2]]).shape)"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(Path(qmltrain.__file__).parents[1]), str(tmp_path)]),
    }

    def load_elsewhere() -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False
        )

    assert load_elsewhere().stdout.strip() == "(1,)"
    (tmp_path / "own_circuit_of_a_test.py").write_text(text.replace("'rx'", "'ry'"))
    failed = load_elsewhere()
    assert failed.returncode == 1 and "has changed since the run" in failed.stderr


def test_a_circuit_from_a_file_is_the_runs_own(tmp_path):
    pytest.importorskip("openqasm3", reason="needs the extra qasm")
    path = tmp_path / "mine.qasm"
    text = 'include "stdgates.inc"; input float x0; input float x1; input float a; qubit[2] q; '
    path.write_text(text + "ry(a) q; rx(x0) q[1]; rx(x1) q[0]; cx q[0], q[1];", newline="")
    directory = complete(
        tmp_path / "runs",
        train__epochs=1,
        encoding__name="none",
        encoding__repeats=None,
        ansatz__name="qasm",
        ansatz__path=str(path),
    )
    model, x = qmltrain.load(directory), np.random.default_rng(5).normal(size=(7, 2))
    assert list(model.parameters)[0] == "ansatz.0.a"
    path.write_text(path.read_text().replace("rx", "rz"))
    np.testing.assert_array_equal(qmltrain.load(directory).scores(x), model.scores(x))
    with pytest.raises(InputError, match=r"^ansatz.path: .*mine.qasm has changed since the run"):
        repeat.run(directory, CONTEXT)
    path.unlink()
    np.testing.assert_array_equal(qmltrain.load(directory).scores(x), model.scores(x))
    assert evaluate.run(directory, CONTEXT) == 0
