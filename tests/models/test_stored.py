"""Runs whose data set was named by a relative path: read, gone on with, repeated from elsewhere, moved with it."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

from qmltrain.config.schema import Config
from qmltrain.errors import InputError
from qmltrain.models.stored import data_files, stored_config, with_data_found
from qmltrain.runs.views import open_run
from qmltrain.verbs import evaluate, repeat, resume
from tests.own_tables import write_table
from tests.sessions.complete_runs import complete
from tests.sessions.stopped_runs import assert_same_bits, train_until
from tests.small_configs import CONTEXT, moons


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """A folder with a table, which runs name by a relative path, as the working directory."""
    folder = tmp_path / "project"
    (folder / "data").mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


def own(**changes):
    table = write_table(Path("data", "own.csv"), ["yes", "no"] * 20)
    return {**table, "dataset__path": "data/own.csv", "train__epochs": 2, **changes}


def elsewhere(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")


def test_a_run_is_evaluated_from_another_working_directory(project, tmp_path, monkeypatch, capsys):
    run = complete(Path("runs"), **own()).resolve()
    assert data_files(stored_config(run)[0]) == {"path": str(project / "data" / "own.csv")}
    capsys.readouterr()
    assert evaluate.run(run, CONTEXT) == 0
    expected = capsys.readouterr().out
    elsewhere(tmp_path, monkeypatch)
    assert evaluate.run(run, CONTEXT) == 0
    assert capsys.readouterr().out == expected
    shutil.move(run, tmp_path / "elsewhere" / "moved")  # the run alone
    assert evaluate.run(Path("moved"), CONTEXT) == 0
    assert evaluate.run(Path("moved"), CONTEXT, dataset={"classes": ["yes", "no"]}) == 0
    (project / "data" / "own.csv").unlink()
    with pytest.raises(InputError, match=r"^dataset.path: no file .*own.csv"):
        evaluate.run(Path("moved"), CONTEXT)


def test_every_file_of_a_data_set_is_looked_for():
    config = Config()
    paths = [item.name for item in dataclasses.fields(config.dataset) if item.name.endswith("path")]
    for name in paths:
        setattr(config.dataset, name, f"{name}.bin")
    assert data_files(config) == {name: str(Path(f"{name}.bin").absolute()) for name in paths}


def test_a_project_that_moved_as_a_whole(project, tmp_path, monkeypatch):
    run = complete(Path("runs"), **own())
    elsewhere(tmp_path, monkeypatch)
    shutil.move(project, tmp_path / "new")
    assert evaluate.run(tmp_path / "new" / run, CONTEXT) == 0
    assert repeat.run(tmp_path / "new" / run, CONTEXT) == 0
    (tmp_path / "new" / "data" / "own.csv").write_text("c0,c1,c2,kind\n1,2,3,yes\n3,2,1,no\n" * 9)
    with pytest.raises(InputError):  # another file in that place is no substitute
        evaluate.run(tmp_path / "new" / run, CONTEXT)


def test_a_stopped_run_goes_on_from_another_working_directory(project, tmp_path, monkeypatch):
    changes = own(train__batch_size=8)
    whole = complete(Path("whole"), **changes).resolve()
    stopped = train_until(moons(Path("runs"), **changes), 4).resolve()
    elsewhere(tmp_path, monkeypatch)
    assert resume.run(stopped, CONTEXT) == 0
    assert_same_bits(whole, stopped)


def test_a_path_that_still_holds_is_left_alone(project):
    run = complete(Path("runs"), **own())
    config, directory = stored_config(run)
    assert with_data_found(config, directory) is config
    assert open_run(run).data["features"] == ["c0", "c1", "c2"]


def test_names_of_another_run_that_it_grows_from(project, tmp_path):
    """Parameters belong to features by their order, so another order is said."""
    shallow = complete(Path("runs"), **own())
    grown = {"train__initial": "from_run", "train__initial_run": str(shallow), "encoding__repeats": 3}
    with pytest.warns(UserWarning, match=r"^train.initial_run: .* on c0, c1, c2, this run is on c1, c0, c2"):
        complete(tmp_path / "a", **own(dataset__features=["c1", "c0", "c2"]), **grown)
    assert np.isfinite(open_run(complete(tmp_path / "b", **own(), **grown)).table("metrics")["train/loss"]).all()
