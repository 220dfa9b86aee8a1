"""`qmltrain.open_scan`: xarray and pandas over the grid, shards together, incomplete sets refused."""

from __future__ import annotations

import numpy as np
import pytest

import qmltrain
from qmltrain.errors import InputError
from tests.scans.drawn_scans import EVERY, PAULI, draw

HEA = ("ansatz=hea", "ansatz.rotations=[ry]", *PAULI, "scan.draws=5")
GRID = ("circuit.n_qubits=2,3", "ansatz.layers=1,2,4", EVERY)


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return draw(tmp_path_factory.mktemp("s") / "scan", *HEA, *GRID)


@pytest.fixture
def scan(directory):
    return qmltrain.open_scan(directory)


def test_what_it_says_of_itself(scan, directory):
    assert repr(scan) == f"<ScanView of {directory}: 6 points, 30 of 30 draws>"
    assert repr(scan[1]) == "<point n_qubits=2 layers=2: 5 of 5 draws>"
    assert scan.complete and len(scan) == 6
    assert scan.swept == ("circuit.n_qubits", "ansatz.layers")
    assert scan[5].values == {"circuit.n_qubits": 3, "ansatz.layers": 4}
    assert scan[5].config["ansatz.layers"] == 4
    assert scan.attributes["qmltrain_version"] == qmltrain.__version__


def test_statistics_over_the_grid(scan):
    found = scan.statistics
    assert dict(found.sizes) == {"circuit.n_qubits": 2, "ansatz.layers": 3}
    one = found["loss_mean"].sel({"circuit.n_qubits": 3, "ansatz.layers": 2})
    assert float(one) == scan[4].columns["loss"].mean()
    assert np.isnan(found["loss_mean_exact"]).all()
    haar = found["entanglement_mean_haar"].sel({"circuit.n_qubits": 2, "ansatz.layers": 1})
    assert float(haar) == 1 / 3  # of real states


def test_texts_are_left_out_of_arrays(tmp_path):
    """Of one point the Lie algebra has a dimension, of the other a reason why not."""
    words = [*PAULI, "circuit.n_qubits=2,8", "ansatz=hea", "ansatz.layers=4", "scan.draws=2", "scan.quantities=[loss]"]
    scan = qmltrain.open_scan(draw(tmp_path / "scan", *words))
    assert [one.numbers["lie_algebra_note"] for one in scan.point_statistics] == [None, "more than 10000"]
    found = scan.statistics
    assert "lie_algebra_note" not in found
    np.testing.assert_array_equal(found["lie_algebra"], [15, np.nan])


def test_a_table_has_a_row_for_each_point(scan):
    table = scan.table()
    assert len(table) == 6 and table["ansatz.layers"].tolist() == [1, 2, 4, 1, 2, 4]
    assert len(scan.table("slope")) == len(scan.slopes) == 3 * (3 + 2)


def test_draws_over_the_grid(scan):
    losses = scan.draws("loss")
    assert losses.dims == ("circuit.n_qubits", "ansatz.layers", "draw") and losses.shape == (2, 3, 5)
    found = losses.sel({"circuit.n_qubits": 3, "ansatz.layers": 1}).values
    np.testing.assert_array_equal(found, scan[3].columns["loss"])


def test_parameters_of_one_point(scan):
    one = scan[1].xarray()
    assert dict(one.sizes) == {"draw": 5, "parameter": 4, "layer": 3}
    assert one["gradient"].coords["parameter"].values.tolist() == list(scan[1].labels["gradient"])
    np.testing.assert_array_equal(one["gradient_norms"].sel(layer="all"), scan[1].columns["gradient_norms"][:, -1])


def test_columns_that_are_not_alike_have_no_common_array(scan):
    with pytest.raises(InputError, match=r"gradient is not the same in all points; take one, as scan\[0\]\.xarray"):
        scan.draws("gradient")
    with pytest.raises(InputError, match="no column 'value'; there are loss, gradient"):
        scan.draws("value")


def test_a_grid_that_is_no_product_has_one_dimension(tmp_path):
    directory = draw(tmp_path / "scan", *HEA, "circuit.n_qubits=2,3", "ansatz.layers=1,2")
    draw(directory, *HEA, "circuit.n_qubits=2,4", "ansatz.layers=1,3")
    scan = qmltrain.open_scan(directory)
    assert len(scan) == 7
    losses = scan.draws("loss")
    assert losses.dims == ("point", "draw")
    assert "n_qubits=4 layers=3" in losses.coords["point"].values.tolist()


def test_nothing_swept_has_no_grid(tmp_path):
    scan = qmltrain.open_scan(draw(tmp_path / "scan", *HEA, "circuit.n_qubits=2", "ansatz.layers=1"))
    assert scan.draws("loss").dims == ("draw",)
    assert scan.draws("gradient").dims == ("draw", "parameter")
    assert scan.statistics["loss_mean"].dims == ()


def test_planes_have_their_offsets(tmp_path):
    words = ["scan.plane=[random,gradient]", "scan.resolution=3", "scan.span=0.5", "circuit.n_qubits=2"]
    scan = qmltrain.open_scan(draw(tmp_path / "scan", *HEA, "ansatz.layers=1,2", *words))
    one = scan[0].xarray()["value"]
    assert one.dims == ("draw", "a", "b") and one.coords["a"].values.tolist() == [-0.5, 0.0, 0.5]
    assert scan[0].directions == ("random", "gradient")
    assert scan.draws("value").dims == ("ansatz.layers", "draw", "a", "b")


def test_shards_together_are_the_whole(directory, tmp_path):
    for k in (1, 2, 3):
        draw(tmp_path / "shards", *HEA, *GRID, f"scan.shard={k}/3")
    whole, shards = qmltrain.open_scan(directory), qmltrain.open_scan(tmp_path / "shards")
    assert [one.values for one in shards.points] == [one.values for one in whole.points]
    for name in ("loss", "entanglement", "fidelity"):
        assert shards.draws(name).values.tobytes() == whole.draws(name).values.tobytes()
    assert [one.numbers for one in shards.point_statistics] == [one.numbers for one in whole.point_statistics]


def test_an_incomplete_set_is_refused_in_one_line(tmp_path):
    for k in (1, 3):
        draw(tmp_path / "shards", *HEA, *GRID, f"scan.shard={k}/3")
    with pytest.raises(InputError, match="2/3") as refused:
        qmltrain.open_scan(tmp_path / "shards")
    assert "\n" not in str(refused.value)


def test_more_draws_in_some_points_are_filled_up(tmp_path):
    directory = draw(tmp_path / "scan", *HEA, "circuit.n_qubits=2", "ansatz.layers=1,2")
    draw(directory, *HEA[:-1], "scan.draws=8", "circuit.n_qubits=2", "ansatz.layers=2,3")
    losses = qmltrain.open_scan(directory).draws("loss")
    assert losses.shape == (3, 8)
    assert np.isnan(losses.values).sum() == 3


def test_no_scan_is_refused(tmp_path):
    with pytest.raises(InputError, match="there is no scan here"):
        qmltrain.open_scan(tmp_path)
