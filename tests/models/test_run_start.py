"""A trained run as a place to begin: its model, data and parameters, with some groups of a command."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.config.schema import Config
from qmltrain.errors import InputError
from qmltrain.models.run_start import check_overrides, start_of_run
from qmltrain.models.stored import best_snapshot
from qmltrain.runs.views import open_run
from tests.sessions.complete_runs import complete

GROUPS = ("engine", "run", "scan")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return complete(tmp_path_factory.mktemp("run"), run__seed=3)


def test_the_model_is_the_runs_and_the_engine_the_commands(run):
    config = Config()
    config.engine.name, config.run.name = "reference", "mine"
    start = start_of_run(config, str(run), "scan.run", GROUPS)
    assert start.config.dataset.name == "make_moons" and start.config.circuit.n_qubits == 2
    assert (start.config.engine.name, start.config.run.name, start.config.run.seed) == ("reference", "mine", 3)
    np.testing.assert_array_equal(start.best_P, best_snapshot(run).arrays["best_theta"])
    np.testing.assert_array_equal(start.first_P, open_run(run).parameters.values[0])
    assert start.problem.model.n_parameters == len(start.best_P)
    assert start_of_run(Config(), str(run / "run.h5"), "scan.run", GROUPS).name == start.name


def test_another_run_has_another_name(run, tmp_path):
    other = complete(tmp_path, run__seed=4)
    names = {start_of_run(Config(), str(path), "scan.run", GROUPS).name for path in (run, other)}
    assert len(names) == 2


def test_what_is_no_run(tmp_path):
    with pytest.raises(InputError, match=r"scan\.run: .*there is no run here"):
        start_of_run(Config(), str(tmp_path), "scan.run", GROUPS)


@pytest.mark.parametrize(
    "word", ["circuit.n_qubits=3", "+ansatz.layers=2", "dataset=iris", "experiment=iris", "run.seed=1"]
)
def test_overrides_of_what_the_run_has_are_refused(word):
    key = word.lstrip("+").partition("=")[0]
    with pytest.raises(InputError, match=f"{key}: the run's own is taken with scan.run; leave it out"):
        check_overrides(["engine=cpu", word], "scan.run", GROUPS)
    check_overrides(["engine=cpu", "scan.line=random", "run.dir=a", "hydra.verbose=true"], "scan.run", GROUPS)
