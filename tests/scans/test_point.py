"""From a config to a study: the rows, the parameters, the circuits and the directions that were asked for."""

from __future__ import annotations

import math

import numpy as np
import pytest

from qmltrain.cli.grids import compose_grid
from qmltrain.config.identity import complete, flatten
from qmltrain.config.storage import to_dict
from qmltrain.errors import InputError, UnusedOptionError
from qmltrain.scans.point import build_point, changes, config_of, draws_asked_for, model_of
from tests.scans.small_scans import CIRCUIT
from tests.small_configs import moons


def built(*words: str):
    (point,) = compose_grid([*CIRCUIT, "circuit.n_qubits=3", "ansatz.layers=2", *words]).points
    return point.settle(build_point)


@pytest.mark.parametrize(
    ("gradients", "names"),
    [
        ("first", ["ansatz.0.rx.0"]),
        ("last", ["ansatz.1.rz.2"]),
        ("[1]", [f"ansatz.1.{gate}.{q}" for q in range(3) for gate in ("rx", "ry", "rz")]),
        ("[ansatz.0.rx,ansatz.1.rz.0]", ["ansatz.0.rx.0", "ansatz.0.rx.1", "ansatz.0.rx.2", "ansatz.1.rz.0"]),
    ],
)
def test_chosen_parameters(gradients, names):
    found = built(f"scan.gradients={gradients}")
    (column,) = [column for column in found.ensemble.columns if column.name == "gradient"]
    assert sorted(column.labels) == sorted(names) and column.shape == (len(names),)


def test_without_a_choice_all_parameters():
    for words in ((), ("scan.gradients=all",)):
        study = built(*words).ensemble.study
        assert study.chosen == tuple(range(18)) and study.quantities == ("loss", "gradient", "gradient_norms")


def test_rows_are_the_first_of_the_training_split(tmp_path):
    config = moons(tmp_path, scan__rows=5)
    study = build_point(config).ensemble.study
    whole = build_point(moons(tmp_path)).ensemble.study
    assert study.features_RF.shape[0] == 5 and whole.n_rows > 30
    np.testing.assert_array_equal(study.features_RF, whole.features_RF[:5])
    np.testing.assert_array_equal(study.targets_R, whole.targets_R[:5])
    with pytest.raises(InputError, match=r"scan\.rows: 1000 of \d+ training samples"):
        build_point(moons(tmp_path, scan__rows=1000))


def test_input_layers_are_drawn_and_have_gradients(tmp_path):
    found = build_point(moons(tmp_path, input__name="linear", scan__rows=5))
    columns = found.ensemble.evaluate(found.drawing.draws(0, 3))
    names = {column.name: column.labels for column in found.ensemble.columns}
    of_input = [name.startswith("input.") for name in names["gradient"]]
    assert any(of_input) and "input" in names["gradient_norms"]
    assert np.all(np.abs(columns["gradient"][:, of_input]).sum(axis=1) > 0)


def test_a_random_ansatz_has_a_circuit_a_draw_unless_its_seed_is_given():
    drawn = built("ansatz=pauli_two_design")
    study, (first, second) = drawn.ensemble.study, drawn.drawing.draws(0, 2).seeds_D
    assert study.circuit_of(int(first)) != study.circuit_of(int(second))
    given = built("ansatz=pauli_two_design", "ansatz.seed=0")
    assert given.ensemble.study.circuit_of is None and given.drawing.draws(0, 2).seeds_D is None
    assert given.ensemble.study.model.circuit == study.circuit_of(0)
    assert built("ansatz=hea").ensemble.study.circuit_of is None


def test_directions_of_a_landscape():
    plane = built("scan.plane=[ansatz.0.ry.1,random]").ensemble.study.plane
    vector, other = plane.directions
    assert other == "random" and vector.sum() == 1 and plane.span == math.pi and plane.resolution == 51
    names = built().problem.model.parameter_names
    assert names[int(np.argmax(vector))] == "ansatz.0.ry.1"
    line = built("scan.line=gradient", "scan.span=0.5", "scan.resolution=9").ensemble.study.plane
    assert (line.directions, line.span, line.resolution) == (("gradient",), 0.5, 9)


def test_draws_asked_for():
    assert draws_asked_for(built().config) == 100
    assert draws_asked_for(built("scan.line=random").config) == 1
    assert draws_asked_for(built("scan.line=random", "scan.draws=3").config) == 3


def test_a_stored_point_gives_its_config_and_model_back():
    point = built("engine.threads=2")
    options = complete(flatten(to_dict(point.config)))
    assert config_of(options) == point.config
    assert model_of(config_of(options)).circuit == point.problem.model.circuit
    base = built().config
    assert changes(point.config, base) == {"engine.threads": 2}


def test_more_work_where_circuits_are_larger():
    work = [
        built(*words).ensemble.work
        for words in ((), ("ansatz.layers=20",), ("ansatz.layers=20", "circuit.n_qubits=12"))
    ]
    assert work == sorted(set(work))
    assert built("scan.plane=[random,random]").ensemble.work > 1000 * built().ensemble.work


def test_what_a_start_does_not_take(tmp_path):
    with pytest.raises(UnusedOptionError, match="train.initial_run"):
        built("train.initial_run=a")
    with pytest.raises(InputError, match="from_run is one start"):
        build_point(moons(tmp_path, train__initial="from_run", train__initial_run="a"))
    with pytest.raises(UnusedOptionError, match="train.initial_shape"):
        built("train.initial_shape=[1,2]")
