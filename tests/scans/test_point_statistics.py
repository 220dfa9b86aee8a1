"""Numbers of a point against NumPy on its draws, and what is said of points of other kinds."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.scans.point_statistics import point_statistics, setting_of
from qmltrain.scans.reading import read_scan
from qmltrain.scans.summary import summary_lines
from tests.scans.drawn_scans import EVERY, PAULI, draw

HEA = ("circuit.n_qubits=3", "ansatz=hea", "ansatz.layers=2", "ansatz.entangler=cz_ring", *PAULI)


@pytest.fixture(scope="module")
def point(tmp_path_factory):
    directory = tmp_path_factory.mktemp("scan") / "scan"
    return read_scan(draw(directory, *HEA, EVERY, "scan.draws=40", "scan.bins=10")).points[0]


def test_means_variances_and_quantiles(point):
    numbers, columns = point_statistics(point).numbers, point.columns
    assert numbers["draws"] == 40
    for name in ("loss", "entanglement"):
        assert numbers[f"{name}_mean"] == np.mean(columns[name])
        assert numbers[f"{name}_variance"] == pytest.approx(np.var(columns[name], ddof=1), rel=1e-12)
        assert numbers[f"{name}_mean_error"] == pytest.approx(np.std(columns[name], ddof=1) / np.sqrt(40), rel=1e-12)
        assert numbers[f"{name}_median"] == np.median(columns[name])
        assert numbers[f"{name}_least"] == columns[name].min() and numbers[f"{name}_greatest"] == columns[name].max()
        assert numbers[f"{name}_variance_low"] < numbers[f"{name}_variance"] < numbers[f"{name}_variance_high"]
    for order in (1, 2, 3):
        assert numbers[f"frame_potential_{order}"] == np.mean(columns["fidelity"] ** order)


def test_gradients_that_are_0_are_counted_and_left_out(point):
    """RZ on qubit 2 in the last layer, and RZ before the observable, change nothing."""
    found = point_statistics(point)
    gradient = point.columns["gradient"]
    kept = np.abs(gradient).max(axis=0) > 1e-5
    assert 0 < np.sum(~kept) < gradient.shape[1]
    assert found.numbers["gradient_zero"] == np.sum(~kept)
    variances = np.var(gradient[:, kept], axis=0, ddof=1)
    assert found.numbers["gradient_variance"] == pytest.approx(variances.mean(), rel=1e-12)
    assert found.numbers["gradient_variance_median"] == pytest.approx(np.median(variances), rel=1e-12)
    zeros = [name for name, one in found.parameters.items() if one["is_zero"]]
    assert zeros == [name for name, is_kept in zip(point.labels["gradient"], kept, strict=True) if not is_kept]
    assert all(found.parameters[name]["variance_haar"] in (0.0, None) or name.startswith("ansatz.0") for name in zeros)


def test_layers(point):
    found = point_statistics(point)
    assert list(found.layers) == ["layer.0", "layer.1", "all"]
    assert [one["parameters"] for one in found.layers.values()] == [9, 9, 18]
    norms = point.columns["gradient_norms"]
    np.testing.assert_allclose([one["mean"] for one in found.layers.values()], norms.mean(axis=0), rtol=1e-13)
    assert found.numbers["squared_norm_mean"] == found.layers["all"]["mean"]


def test_bins_are_those_of_the_config(point):
    assert setting_of(point).n_bins == 10


def test_draws_are_not_kept(point):
    fresh = read_scan(point.path).points[0]
    point_statistics(fresh)
    assert "columns" not in vars(fresh)


def test_the_same_draws_give_the_same_numbers(point):
    assert point_statistics(point).numbers == point_statistics(read_scan(point.path).points[0]).numbers


@pytest.mark.parametrize(
    ("words", "drawn", "labels"),
    [
        (["ansatz=pauli_two_design", "ansatz.layers=2"], "axes", ("ansatz.0.0", "ansatz.0.1", "ansatz.1.0")),
        (["ansatz=random_layers", "ansatz.layers=2"], "circuit", ("ansatz.0.0", "ansatz.0.1", "ansatz.1.0")),
        (["ansatz=pauli_two_design", "ansatz.seed=3", "ansatz.layers=2"], "nothing", None),
    ],
)
def test_random_ansaetze(tmp_path, words, drawn, labels):
    [stored] = read_scan(draw(tmp_path / "s", "circuit.n_qubits=2", *words, *PAULI, "scan.draws=3")).points
    found = point_statistics(stored)
    assert found.setting.drawn == drawn
    assert found.setting.chosen == tuple(range(len(stored.labels["gradient"])))
    if labels:
        assert stored.labels["gradient"][:3] == labels
        assert "circuit" in found.setting.over
        assert found.numbers["lie_algebra"] is None


REUPLOADING = (
    "circuit.n_qubits=2", "dataset=make_moons", "dataset.n_samples=50", "preprocess=angles", "encoding=reuploading",
    "encoding.trainable=weights_and_biases", "encoding.repeats=1", "ansatz=hea", "ansatz.rotations=[ry]",
    "ansatz.entangler=none", "observable=z", "observable.qubits=[0]", "scan.draws=30", "scan.rows=5",
)  # fmt: skip
RAW = ("head=raw", "loss=expectation")
ANGLES = "draws of the angles (uniform in [-3.14159, 3.14159])"
FEATURES = "weights and biases of features (uniform in [0, 6.28319])"


@pytest.mark.parametrize(
    ("words", "over", "known"),
    [
        (RAW, f"{ANGLES}; weights (1) and biases (0) of features are constant", {"ansatz"}),
        ((*RAW, "train.initial_features=[0,6.283185307179586]"), f"{ANGLES} and {FEATURES}", {"ansatz", "bias"}),
        (
            ("head=linear", "loss=binary_cross_entropy"),
            f"{ANGLES} and parameters outside the circuit (as each part starts its own); "
            "weights (1) and biases (0) of features are constant",
            {"ansatz"},
        ),
    ],
    ids=["constant", "drawn", "linear head"],
)
def test_what_is_not_drawn_has_no_mean_of_0_and_is_said(tmp_path, words, over, known):
    [stored] = read_scan(draw(tmp_path / "s", *REUPLOADING, *words)).points
    found = point_statistics(stored)
    assert found.setting.over == over
    exact = {name: one["mean_exact"] for name, one in found.parameters.items() if one["mean_exact"] is not None}
    assert {name.partition(".")[0] if name.startswith("ansatz") else name.rpartition(".")[2] for name in exact} == known
    assert set(exact.values()) == {0.0}
    for name, one in found.parameters.items():
        if name in exact and not one["is_zero"]:
            assert abs(one["mean"]) < 4 * one["mean_error"], name


def test_derivatives_of_drawn_structures_have_no_haar_value(tmp_path):
    """Of two-designs, whose axes alone are drawn, first and last parameters keep their own."""
    for ansatz, expected in (("random_layers", None), ("pauli_two_design", 4 / (3 * 15))):
        words = [
            "circuit.n_qubits=2",
            f"ansatz={ansatz}",
            "ansatz.layers=2",
            *PAULI,
            "scan.gradients=first",
            "scan.draws=20",
        ]
        scan = read_scan(draw(tmp_path / ansatz, *words))
        value = point_statistics(scan.points[0]).numbers["gradient_variance_haar"]
        assert value == (None if expected is None else pytest.approx(expected, rel=1e-12))
        lines = summary_lines(scan)
        row = lines[next(k for k, line in enumerate(lines) if line.startswith("gradient ")) + 1]
        assert row.split()[-1] == ("-" if expected is None else "0.08889")


def test_chosen_parameters_are_found_by_name(tmp_path):
    [stored] = read_scan(draw(tmp_path / "s", *HEA, "scan.gradients=[1]", "scan.draws=3")).points
    assert setting_of(stored).chosen == tuple(range(9, 18))


def test_other_heads_have_statistics_without_exact_values(tmp_path):
    words = ["circuit.n_qubits=2", "dataset=iris", "dataset.classes=[0,1]", "preprocess=pca_angles", "encoding=angle"]
    words += ["head=linear", "loss=binary_cross_entropy", "ansatz=hea", "ansatz.layers=1", "preprocess.pca=2"]
    [stored] = read_scan(draw(tmp_path / "s", *words, "observable=z", "scan.rows=5", "scan.draws=4")).points
    numbers = point_statistics(stored).numbers
    assert numbers["loss_mean"] > 0 and numbers["loss_mean_exact"] is None and numbers["loss_variance_haar"] is None
    assert numbers["lie_algebra_note"] == "features are encoded"


def test_a_single_draw_has_means_alone(tmp_path):
    [stored] = read_scan(draw(tmp_path / "s", *HEA, EVERY, "scan.draws=1")).points
    numbers = point_statistics(stored).numbers
    assert numbers["loss_mean"] == stored.columns["loss"][0]
    assert numbers["loss_variance"] is None and numbers["gradient_variance_low"] is None


def test_lines_have_quantiles(tmp_path):
    [stored] = read_scan(draw(tmp_path / "s", *HEA, "scan.line=gradient", "scan.resolution=5")).points
    numbers = point_statistics(stored).numbers
    values = stored.columns["value"]
    assert (numbers["value_least"], numbers["value_greatest"]) == (values.min(), values.max())
    assert "lie_algebra" not in numbers


def test_without_the_data_file_statistics_remain(tmp_path, monkeypatch):
    """A scan is read on another machine: what needs the circuit is missing, and said."""
    rows = [f"{a},{b},{a > b}" for a in range(4) for b in range(5)]
    (tmp_path / "table.csv").write_text("a,b,label\n" + "\n".join(rows) + "\n")
    words = ["circuit.n_qubits=2", "dataset=csv", f"dataset.path={tmp_path / 'table.csv'}", "dataset.target=label"]
    words += [
        "encoding=angle",
        "preprocess=angles",
        "head=linear",
        "loss=cross_entropy",
        "ansatz=hea",
        "ansatz.layers=1",
    ]
    scan = read_scan(draw(tmp_path / "s", *words, "observable=z", "scan.draws=4", "scan.rows=3"))
    before = point_statistics(scan.points[0])
    (tmp_path / "table.csv").unlink()
    after = point_statistics(read_scan(tmp_path / "s").points[0])
    assert str(after.numbers["lie_algebra_note"]).startswith("no exact values: ")
    assert any(line.startswith("no exact values: ") for line in summary_lines(read_scan(tmp_path / "s")))
    for name in ("loss_mean", "loss_variance_low", "squared_norm_mean", "gradient_parameters"):
        assert after.numbers[name] == before.numbers[name]
    assert list(after.layers) == list(before.layers)
    assert before.numbers["gradient_mean_exact"] == 0.0 or after.numbers["gradient_mean_exact"] is None


def test_draws_of_an_input_layer_are_no_single_state(tmp_path):
    """The circuit's own angles are all 0, and yet features differ from draw to draw."""
    words = ("dataset=iris", "dataset.classes=[0,1]", "preprocess=angles", "preprocess.pca=1", "scan.rows=1")
    model = ("circuit.n_qubits=1", "encoding=angle", "ansatz=hea", "ansatz.entangler=none", "train.initial=zeros")
    layer = ("input=linear", "head=bias", "loss=binary_cross_entropy", "observable=pauli", "observable.terms=['Z0']")
    drawn = draw(tmp_path / "s", *words, *model, *layer, "scan.quantities=[fidelity]", "scan.draws=20")
    numbers = point_statistics(read_scan(drawn).points[0]).numbers
    assert numbers["frame_potential_1"] < 0.999
    assert numbers["frame_potential_1_exact"] is None and numbers["expressibility_exact"] is None
