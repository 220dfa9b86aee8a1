"""What names a scan and its points, for ever."""

from __future__ import annotations

from pathlib import Path

import pytest

from qmltrain.cli.grids import compose_grid
from qmltrain.config.schema import CommandContext
from qmltrain.errors import InputError
from qmltrain.scans.identity import check_same_scan, check_swept, common_settings, drawn_from, scan_hash, settings
from qmltrain.scans.session import plan_points, scan_directory
from tests.scans.small_scans import CIRCUIT, GRID


def configs(*words: str):
    return [point.settle(lambda config: config) for point in compose_grid([*CIRCUIT, *words]).points]


@pytest.fixture(scope="module")
def plain():
    """The config that nothing is swept in."""
    (config,) = configs()
    return config


def directory(*words: str) -> Path:
    grid = compose_grid([*CIRCUIT, *words])
    points = plan_points(grid, CommandContext(["qmltrain"], []))
    return scan_directory(points[0].config, common_settings(grid, points[0].settings), grid.swept)


def test_names_are_fixed_for_ever():
    """Another value here gives every existing scan another directory."""
    assert str(directory(*GRID)) == "runs/run-abbc988c"
    (point,) = plan_points(compose_grid([*CIRCUIT, "circuit.n_qubits=2"]), CommandContext([], []))
    assert point.identity[:16] == "8f3de7f991dadf93"


def test_the_directory_is_that_of_a_larger_grid_and_of_more_draws():
    name = directory(*GRID)
    for words in (
        ("circuit.n_qubits=range(2,5)", "ansatz.layers=3,2"),
        ("ansatz.layers=choice(1)", "circuit.n_qubits=2,3"),
        (*GRID, "scan.draws=7", "engine.threads=2", "scan.shard=1/2", "optimizer=sgd", "train.epochs=3"),
        (*GRID, "run.progress=lines", "scan.bins=null"),
    ):
        assert directory(*words) == name
    for words in (
        ("circuit.n_qubits=2,3",),
        ("circuit.n_qubits=2", "ansatz.layers=1"),
        (*GRID, "scan.quantities=[loss]"),
        (*GRID, "run.seed=1"),
        (*GRID, "train.initial=normal"),
        (*GRID, "observable.terms=['Z0']"),
    ):
        assert directory(*words) != name


def test_swept_groups_and_derived_values_name_nothing():
    assert directory("ansatz=hea,sim_2") == directory("ansatz=sim_14,sim_15", "ansatz.layers=3")
    proportional = 'ansatz.layers="${times:2,${circuit.n_qubits}}"'
    assert directory("circuit.n_qubits=choice(2)", proportional) == directory("circuit.n_qubits=3,4", proportional)


@pytest.mark.parametrize(
    ("word", "same_point", "same_draws"),
    [
        ("engine.threads=3", True, True),
        ("scan.draws=7", True, True),
        ("train.epochs=7", True, True),
        ("optimizer=sgd", True, True),
        ("engine.precision=complex128", False, True),
        ("observable.terms=['Z0']", False, True),
        ("scan.quantities=[loss]", False, True),
        ("scan.line=random", False, True),
        ("circuit.n_qubits=4", False, False),
        ("ansatz.rotations=[rx]", False, False),
        ("train.initial_scale=0.1", False, False),
    ],
)
def test_what_makes_another_point_and_other_draws(plain, word, same_point, same_draws):
    (after,) = configs(word)
    assert (settings(plain) == settings(after)) == same_point
    assert (drawn_from(plain) == drawn_from(after)) == same_draws


def test_a_run_around_which_a_landscape_lies_counts_by_what_it_is():
    (config,) = configs("scan.line=random", "scan.run=a")
    assert settings(config, "digest")["scan.run"] == "digest"


def test_other_settings_are_named(tmp_path):
    stored = {"common": '{"a": 1, "b": null}', "swept": ["x"]}
    check_same_scan(stored, {"a": 1}, ("x",), tmp_path)
    with pytest.raises(InputError, match=r"another config \(a was 1, now 2, c was null, now \"d\"\)"):
        check_same_scan(stored, {"a": 2, "c": "d"}, ("x",), tmp_path)
    with pytest.raises(InputError, match="swept were x, now none"):
        check_same_scan(stored, {"a": 1}, (), tmp_path)


@pytest.mark.parametrize(
    "word", ["scan.draws=1,2", "scan.shard=1/2,2/2", "run.progress=bar,lines", "schedule=step,cosine"]
)
def test_keys_that_cannot_be_swept(word):
    with pytest.raises(InputError, match=word.partition("=")[0]):
        check_swept(compose_grid([word]))


def test_names_differ_by_what_is_swept():
    assert scan_hash({"a": 1}, ("x",)) != scan_hash({"a": 1}, ("y",)) != scan_hash({"a": 2}, ("y",))
    assert scan_hash({"a": 1}, ("x", "y")) == scan_hash({"a": 1}, ("y", "x"))
