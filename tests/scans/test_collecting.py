"""`qmltrain collect SCAN`."""

from __future__ import annotations

import csv
import io

import pytest

from qmltrain.cli import main
from tests.scans.drawn_scans import PAULI, PRODUCT, draw


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    words = ["circuit.n_qubits=2,3", "observable=local_projector", "scan.draws=12"]
    return draw(tmp_path_factory.mktemp("s") / "scan", *PRODUCT, *words)


def collected(capsys, *arguments):
    assert main(["collect", *map(str, arguments)]) == 0
    return list(csv.DictReader(io.StringIO(capsys.readouterr().out)))


def test_a_row_for_each_point_with_exact_values(directory, capsys):
    rows = collected(capsys, directory)
    assert [row["circuit.n_qubits"] for row in rows] == ["2", "3"]
    assert [float(row["gradient_variance_exact"]) for row in rows] == pytest.approx([1 / 32, 1 / 72])
    assert [float(row["loss_mean_exact"]) for row in rows] == pytest.approx([0.5, 0.5])
    assert float(rows[0]["loss_variance_low"]) < float(rows[0]["loss_variance"]) < float(rows[0]["loss_variance_high"])
    assert rows[0]["lie_algebra"] == "2" and rows[0]["lie_algebra_note"] == ""


@pytest.mark.parametrize(("each", "count"), [("parameter", 5), ("layer", 4), ("slope", 3)])
def test_rows_of_other_things(directory, capsys, each, count):
    assert len(collected(capsys, directory, "--each", each)) == count


def test_a_scan_file_and_a_new_file(directory, tmp_path, capsys):
    out = tmp_path / "table.csv"
    assert main(["collect", str(directory / "scan.h5"), "--output", str(out)]) == 0
    assert "2 rows" in capsys.readouterr().err
    assert out.read_text().startswith("circuit.n_qubits,draws,loss_mean,")
    assert main(["collect", str(directory), "--output", str(out)]) == 2
    assert "exists" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--over", "run.seed"], "--over: not used by a scan"),
        (["--each", "gate"], "--each: found 'gate'; allowed: point, parameter, layer, slope"),
    ],
)
def test_what_it_does_not_take(directory, capsys, flags, message):
    assert main(["collect", str(directory), *flags]) == 2
    told = capsys.readouterr().err
    assert message in told and told.count("\n") == 1


def test_each_is_of_scans_alone(tmp_path, capsys):
    assert main(["collect", str(tmp_path), "--each", "layer"]) == 2
    assert "--each: only of a scan" in capsys.readouterr().err


def test_a_missing_shard_is_one_line(tmp_path, capsys):
    words = ["circuit.n_qubits=2,3", "ansatz=hea", "ansatz.layers=1", "scan.draws=2", *PAULI]
    draw(tmp_path / "scan", *words, "scan.shard=1/2")
    assert main(["collect", str(tmp_path / "scan")]) == 2
    told = capsys.readouterr().err
    assert "2/2" in told and told.count("\n") == 1
