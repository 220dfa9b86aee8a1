"""The points of a grid: those that Hydra's own sweep would have, in its order, each the config of a single run."""

from __future__ import annotations

from pathlib import Path

import pytest

from qmltrain.cli.composing import compose_config
from qmltrain.cli.grids import compose_grid, first_point
from qmltrain.config.grid import single_point
from qmltrain.config.schema import Config
from qmltrain.errors import InputError, UnusedOptionError


def configs(words: list[str], directory: str | None = None) -> list[Config]:
    return [point.settle(lambda config: config) for point in compose_grid(words, directory).points]


@pytest.mark.parametrize(
    ("words", "points"),
    [
        ([], [[]]),
        (["circuit.n_qubits=5"], [["circuit.n_qubits=5"]]),
        (
            ["circuit.n_qubits=2,3", "run.seed=1", "ansatz=hea,qaoa"],
            [[f"circuit.n_qubits={n}", "run.seed=1", f"ansatz={a}"] for n in (2, 3) for a in ("hea", "qaoa")],
        ),
        (["ansatz.layers=range(1,3)"], [["ansatz.layers=1"], ["ansatz.layers=2"]]),
        (["ansatz.layers=choice(7)"], [["ansatz.layers=7"]]),
        (["ansatz=glob(*_design)"], [["ansatz=pauli_two_design"], ["ansatz=simplified_two_design"]]),
        (
            ["ansatz.rotations=[rx],[ry,rz]", "ansatz.layers=2,3"],
            [[f"ansatz.rotations={r}", f"ansatz.layers={k}"] for r in ("[rx]", "[ry,rz]") for k in (2, 3)],
        ),
        (
            ["experiment=vqe_ising", "ansatz.layers=1,2"],
            [["experiment=vqe_ising", f"ansatz.layers={k}"] for k in (1, 2)],
        ),
        (["run.name=1.10,1.20"], [["run.name='1.10'"], ["run.name='1.20'"]]),
        (["engine=reference,cpu"], [["engine=reference"], ["engine=cpu"]]),
    ],
)
def test_each_point_is_composed_as_a_run_of_its_own(words, points):
    found = configs(words)
    assert found == [compose_config(point) for point in points]
    assert compose_config(first_point(words)) == found[0]


def test_values_are_by_swept_key_in_the_order_of_the_words():
    grid = compose_grid(["ansatz=hea,qaoa", "encoding.repeats=2,null", "ansatz.rotations=[rx],[ry]"])
    assert grid.swept == ("ansatz", "encoding.repeats", "ansatz.rotations")
    assert [tuple(point.values.values()) for point in grid.points][:3] == [
        ("hea", 2, ["rx"]), ("hea", 2, ["ry"]), ("hea", None, ["rx"])
    ]  # fmt: skip
    assert all(tuple(point.values) == grid.swept for point in grid.points)


def test_values_in_proportion_to_others():
    for word in ('ansatz.layers="${times:10,${circuit.n_qubits}}"', "ansatz.layers=${times:10,${circuit.n_qubits}}"):
        found = configs(["circuit.n_qubits=2,3", word])
        assert [(config.circuit.n_qubits, config.ansatz.layers) for config in found] == [(2, 20), (3, 30)]
    grid = compose_grid(["circuit.n_qubits=2,3", 'ansatz.layers="${times:10,${circuit.n_qubits}}"'])
    assert grid.derived == ("ansatz.layers",) and grid.swept == ("circuit.n_qubits",)


EXPERIMENT = """
# @package _global_
ansatz:
  layers: ${times:2,${circuit.n_qubits}}
hydra:
  sweeper:
    params:
      circuit.n_qubits: 2,4
      run.seed: range(3)
"""


@pytest.fixture
def own(tmp_path) -> str:
    path = Path(tmp_path, "experiment", "mine.yaml")
    path.parent.mkdir()
    path.write_text(EXPERIMENT)
    return str(tmp_path)


def test_an_experiment_holds_its_grid(own):
    found = configs(["experiment=mine"], own)
    assert [(c.circuit.n_qubits, c.ansatz.layers, c.run.seed) for c in found] == [
        (n, 2 * n, seed) for n in (2, 4) for seed in range(3)
    ]
    assert compose_grid(["experiment=mine"], own).derived == ("ansatz.layers",)


def test_a_word_takes_the_place_of_what_the_experiment_sweeps(own):
    grid = compose_grid(["experiment=mine", "circuit.n_qubits=6", "run.seed=5,7"], own)
    assert grid.swept == ("run.seed",)
    assert [point.settle(lambda c: (c.circuit.n_qubits, c.run.seed)) for point in grid.points] == [(6, 5), (6, 7)]


def test_one_value_that_an_experiment_sweeps_is_that_of_every_point(tmp_path):
    path = tmp_path / "experiment" / "mine.yaml"
    path.parent.mkdir()
    path.write_text(EXPERIMENT.replace("range(3)", "7"))
    grid = compose_grid(["experiment=mine"], str(tmp_path))
    assert grid.swept == ("circuit.n_qubits",)
    assert [point.settle(lambda c: (c.circuit.n_qubits, c.run.seed)) for point in grid.points] == [(2, 7), (4, 7)]


def test_what_an_experiment_alone_sets_and_a_point_does_not_take_is_left_out(capsys):
    def act(config: Config) -> tuple[str, object]:
        if config.encoding.name == "angle" and config.encoding.repeats is not None:
            raise UnusedOptionError("encoding.repeats", "not used by angle")
        return config.encoding.name, config.encoding.repeats

    grid = compose_grid(["experiment=digits", "encoding=reuploading,angle"])
    (_, repeats), angle = (point.settle(act) for point in grid.points)
    assert repeats is not None and angle == ("angle", None)
    assert "left out, set by the experiment alone: encoding.repeats" in capsys.readouterr().err
    with pytest.raises(UnusedOptionError):
        compose_grid(["experiment=digits", "encoding=angle", "encoding.repeats=2,3"]).points[0].settle(act)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["circuit.n_qubits=interval(1,3)"], "a grid needs values"),
        (["experiment=iris,digits"], "experiment=iris,digits: cannot be swept here"),
        (["hydra.sweep.dir=a,b"], "cannot be swept here"),
        (["ansatz=glob(none_such*)"], "no value"),
        (["circuit.n_qubits=range(3,3)"], "no value"),
        (["run.seed=range(400)", "run.seed_order=range(400)"], "160000 points"),
        (["ansatz=hea,none_such"], "ansatz: found 'none_such'"),
        (["circuit.n_qubits=2,many"], "circuit.n_qubits: found '2,many'; allowed"),
        (["circuit.n=2,3"], "circuit.n: unknown key; allowed in circuit"),
        (["circuit.n_qubits=2,"], "circuit.n_qubits=2,: not understood"),
    ],
)
def test_refused_in_one_line_that_names_the_key(words, said):
    with pytest.raises(InputError) as refused:
        compose_grid(words)
    assert said in str(refused.value) and "\n" not in str(refused.value)


def test_impossible_values_are_refused_where_a_point_is_settled():
    points = compose_grid(["circuit.n_qubits=2,2000"]).points
    points[0].settle(lambda config: None)
    with pytest.raises(InputError, match=r"circuit\.n_qubits: found 2000"):
        points[1].settle(lambda config: None)


def test_a_grid_of_one_config():
    config = Config()
    (point,) = single_point(config).points
    assert point.settle(lambda settled: settled) is config and point.values == {}


def test_the_config_of_the_first_point_is_shown(qmltrain):
    shown = qmltrain("scan", "--cfg", "job", "circuit.n_qubits=3,4")
    assert shown.code == 0 and "n_qubits: 3" in shown.out
