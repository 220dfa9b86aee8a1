"""The text that ends a scan."""

from __future__ import annotations

import pytest

from qmltrain.scans.reading import read_scan
from qmltrain.scans.summary import MOST_POINTS, number_text, summary_lines
from tests.scans.drawn_scans import EVERY, PAULI, PRODUCT, draw

LOCAL = (*PRODUCT, "observable=local_projector")


@pytest.fixture(scope="module")
def lines(tmp_path_factory):
    words = ["circuit.n_qubits=2,4", "scan.draws=30", EVERY]
    return summary_lines(read_scan(draw(tmp_path_factory.mktemp("s") / "scan", *words, *LOCAL)))


def table_of(lines, title):
    begin = next(k for k, line in enumerate(lines) if line.startswith(title))
    rest = lines[begin:]
    return rest[: rest.index("")] if "" in rest else rest


def test_it_says_over_what_a_variance_is_taken(lines):
    assert lines[0] == "variances are over draws of all parameters (uniform in [-3.14159, 3.14159])"


@pytest.mark.parametrize(
    ("title", "columns", "known"),
    [
        ("loss ", "mean exact variance exact Haar", ["0.5", "0.0625", "0.025"]),
        ("gradient ", "parameters mean exact variance, mean of those not 0 exact Haar", ["0.03125", "0.01667"]),
        ("squared gradient norm", "mean exact Haar", ["0.0625", "0.03333"]),
        ("entanglement", "mean Q exact Haar", ["0", "0.4"]),
        ("fidelity", "KL to Haar (nats) bias exact frame potential 2 exact Haar", ["0.1406", "0.1"]),
        ("dynamical Lie algebra", "dimension", ["2"]),
    ],
)
def test_every_quantity_has_a_table_with_exact_values(lines, title, columns, known):
    header, *rows = table_of(lines, title)
    assert " ".join(header.removeprefix(title).split()).endswith(columns)
    assert [row.split()[0] for row in rows] == ["n_qubits=2", "n_qubits=4"]
    assert set(known) <= set(rows[0].split())


def test_slopes_end_it(lines):
    [line] = [line for line in lines if line.startswith("gradient variance per circuit.n_qubits")]
    assert "(exact -0.6931, Haar -1.07)" in line and "[" in line  # 1/32 to 1/128 over two qubits


def test_values_are_written_as_in_a_config(tmp_path):
    words = ("circuit.n_qubits=2,3", "ansatz=pauli_two_design", "ansatz.layers=2", "ansatz.seed=null,1")
    found = list(summary_lines(read_scan(draw(tmp_path, *words, "scan.draws=4", *PAULI))))
    assert any(line.startswith("n_qubits=2 seed=null ") for line in found)
    assert any(line.startswith("loss variance per circuit.n_qubits at seed=null: ") for line in found)
    assert not any("None" in line for line in found)


def test_lines_are_as_long_as_they_need_to_be(lines):
    assert all(line == line.rstrip() for line in lines)


def test_many_points_are_cut_short(tmp_path):
    seeds = ",".join(map(str, range(MOST_POINTS + 3)))
    words = ["circuit.n_qubits=1", f"run.seed={seeds}", "scan.draws=2", "scan.quantities=[loss]"]
    found = summary_lines(read_scan(draw(tmp_path / "scan", *words, *LOCAL)))
    assert f"3 points more: qmltrain collect {tmp_path / 'scan'}" in found
    assert sum(line.startswith("seed=") for line in table_of(found, "loss ")) == MOST_POINTS


def test_a_gradient_that_is_0_everywhere(tmp_path):
    words = ["circuit.n_qubits=2", "ansatz=hea", "ansatz.rotations=[rz]", "ansatz.layers=1", "scan.draws=3"]
    found = summary_lines(read_scan(draw(tmp_path / "scan", *words, *PAULI)))
    assert table_of(found, "gradient ")[1].split()[:6] == ["all", "2", "(2", "of", "them", "0)"]


def test_a_plane_has_no_variances(tmp_path):
    words = ["circuit.n_qubits=2", "ansatz=hea", "ansatz.layers=1", "scan.plane=[random,gradient]", "scan.resolution=3"]
    found = summary_lines(read_scan(draw(tmp_path / "scan", *words, *PAULI)))
    assert not any("variance" in line for line in found)
    assert any(line.startswith("loss on the line or plane") for line in found)


def test_number_text():
    assert [number_text(value) for value in (None, 0.000123456, 3, "x", 1234567.0)] == [
        "-", "0.0001235", "3", "x", "1.235e+06",
    ]  # fmt: skip
