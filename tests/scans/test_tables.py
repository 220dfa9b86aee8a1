"""Tables of a small scan: rows, columns, refusals."""

from __future__ import annotations

import pytest

from qmltrain.errors import InputError
from qmltrain.scans.reading import read_scan
from qmltrain.scans.summary import statistics_of
from qmltrain.scans.tables import cell, table
from tests.scans.drawn_scans import PAULI, draw


@pytest.fixture(scope="module")
def points(tmp_path_factory):
    words = ["circuit.n_qubits=2,3", "ansatz=hea", "ansatz.rotations=[rx],[rx,ry]", "ansatz.layers=1", "scan.draws=6"]
    return statistics_of(read_scan(draw(tmp_path_factory.mktemp("s") / "scan", *words, *PAULI)))


def rows_of(points, each="point"):
    header, rows = table(points, each)
    assert all(len(row) == len(header) for row in rows)
    return [dict(zip(header, row, strict=True)) for row in rows]


def test_a_row_for_each_point(points):
    rows = rows_of(points)
    assert [(row["circuit.n_qubits"], row["ansatz.rotations"]) for row in rows] == [
        (2, '["rx"]'), (2, '["rx", "ry"]'), (3, '["rx"]'), (3, '["rx", "ry"]'),
    ]  # fmt: skip
    names = "loss_mean loss_variance loss_variance_low loss_variance_high loss_variance_exact gradient_mean "
    names += "gradient_mean_exact gradient_variance gradient_variance_low gradient_variance_exact squared_norm_mean"
    assert set(names.split()) <= set(rows[0])
    assert rows[1]["loss_mean"] == points[1].numbers["loss_mean"]


def test_a_row_for_each_parameter_and_layer(points):
    rows = rows_of(points, "parameter")
    assert len(rows) == 2 + 4 + 3 + 6
    assert rows[0]["parameter"] == "ansatz.0.rx.0" and rows[0]["variance"] is not None
    layers = rows_of(points, "layer")
    assert [row["layer"] for row in layers] == ["layer.0", "all"] * 4


def test_a_row_for_each_slope(points):
    rows = [row for row in rows_of(points, "slope") if row["of"] == "loss_variance"]
    assert [(row["against"], row["ansatz.rotations"]) for row in rows] == [
        ("circuit.n_qubits", '["rx"]'),
        ("circuit.n_qubits", '["rx", "ry"]'),
    ]


def test_what_is_not_there_is_refused(points, tmp_path):
    with pytest.raises(InputError, match="^--each: found 'gate'; allowed: point, parameter, layer, slope"):
        table(points, "gate")
    words = ["circuit.n_qubits=2", "ansatz=hea", "ansatz.layers=1", "scan.draws=2", "scan.quantities=[loss]"]
    losses = statistics_of(read_scan(draw(tmp_path / "scan", *words, *PAULI)))
    with pytest.raises(InputError, match="^--each layer: gradient_norms is not among the quantities"):
        table(losses, "layer")


def test_cells():
    assert [cell(value) for value in (3, "a", None, [1, 2], {"a": 1})] == [3, "a", None, "[1, 2]", '{"a": 1}']
