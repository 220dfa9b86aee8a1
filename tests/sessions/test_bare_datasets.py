"""`qmltrain dataset=NAME` and nothing else trains, for every data set that needs no file."""

from __future__ import annotations

import inspect
from contextlib import nullcontext

import pytest

from qmltrain.cli.composing import compose_config
from qmltrain.config.identity import config_hash
from qmltrain.config.schema import Config
from qmltrain.config.storage import to_dict
from qmltrain.data.registry import SOURCES
from qmltrain.runs.views import open_run
from qmltrain.sessions.training_run import run_directory
from qmltrain.verbs import plan, train
from tests.own_tables import write_table
from tests.small_configs import CONTEXT


def needs_nothing(name: str) -> bool:
    options = inspect.signature(SOURCES[name]).parameters.values()
    return all(option.default is not inspect.Parameter.empty for option in options)


BARE = [name for name in SOURCES if needs_nothing(name) and name != "none"]  # which needs an observable


def brief(config: Config, root) -> Config:
    """One step, in silence; nothing of the data, the circuit or the loss is said."""
    config.train.max_steps, config.run.progress, config.run.root = 1, "none", str(root)
    return config


@pytest.mark.parametrize("name", BARE)
def test_a_data_set_trains_with_nothing_else_said(name, tmp_path, capsys):
    config = brief(compose_config([f"dataset={name}"]), tmp_path)
    assert plan.run(config, CONTEXT) == 0
    assert train.run(config, CONTEXT) == 0
    view = open_run(run_directory(config))
    circuit = capsys.readouterr().out.partition("circuit")[2].split(",")
    assert circuit[2].split()[0] == str(sum(not name.startswith("head") for name in view.parameter_names))


def test_all_bundled_sets_and_generators_are_among_them():
    assert {"digits", "iris", "wine", "breast_cancer", "diabetes", "fourier_series"} < set(BARE)
    assert {name for name in SOURCES if name.startswith("make_")} < set(BARE)


@pytest.mark.parametrize(("columns", "rows"), [(13, 60), (2, 60), (1, 60), (13, 6)])
def test_a_small_table_needs_its_path_and_its_target(tmp_path, columns, rows):
    """More features than qubits, fewer than principal components, fewer rows than a batch."""
    write_table(tmp_path / "own.csv", ["yes", "no"] * (rows // 2), columns)
    words = ["dataset=csv", f"dataset.path={tmp_path / 'own.csv'}", "dataset.target=kind"]
    for more in ([], *([["preprocess=angles"]] if columns == 13 else [])):
        with pytest.warns(UserWarning, match="class") if rows < 10 else nullcontext():
            assert train.run(brief(compose_config([*words, *more]), tmp_path / "runs"), CONTEXT) == 0


def test_the_loss_of_a_regression_gives_way_to_any_that_is_chosen():
    assert compose_config(["dataset=diabetes"]).loss.name == "mean_squared_error"
    for words in (["loss=huber"], ["loss.name=huber"], ["experiment=diabetes"]):
        assert compose_config(["dataset=diabetes", *words]).loss.name == "huber"
    assert compose_config(["experiment=digits", "dataset=diabetes"]).loss.name == "cross_entropy"
    assert compose_config(["dataset=iris"]) == compose_config(["dataset.name=iris"])


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["dataset=iris", "preprocess.pca=2", "encoding.repeats=1"], "6ede9929"),
        (["dataset=diabetes", "loss=mean_squared_error", "preprocess=angles"], "82cc5861"),
        (["dataset=make_moons", "preprocess=angles", "train.batch_size=16"], "abf5e34c"),
    ],
)
def test_no_run_has_another_name(words, name):
    """As they were called before these defaults fitted."""
    assert config_hash(to_dict(compose_config(words))) == name
