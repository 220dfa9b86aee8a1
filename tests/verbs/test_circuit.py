"""`qmltrain circuit`: the drawing, and the names of the parameters."""

from __future__ import annotations

from qmltrain.verbs import circuit
from tests.small_configs import CONTEXT, moons


def test_circuit_draws_and_names(tmp_path, capsys):
    assert circuit.run(moons(tmp_path), CONTEXT) == 0
    printed = capsys.readouterr().out
    assert "q0:" in printed and "q1:" in printed
    assert "encoding.0" in printed and "head." in printed
