"""A run goes on with the config that its snapshots were made with, or not at all."""

from __future__ import annotations

import shutil
from contextlib import nullcontext
from pathlib import Path

import pytest

import qmltrain
from qmltrain.cli import main
from qmltrain.errors import StorageError
from tests.runs.edited_files import edit
from tests.sessions.complete_runs import complete
from tests.sessions.stopped_runs import train_until
from tests.small_configs import moons


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    return train_until(moons(tmp_path), 2)


def replace_in_config(file, old: str, new: str) -> None:
    text = file.attrs["config_yaml"]
    assert text.count(old) == 1
    file.attrs["config_yaml"] = text.replace(old, new)


def test_one_changed_byte_of_the_learning_rate(stopped: Path, capsys) -> None:
    path = stopped / "run.h5"
    whole = path.read_bytes()
    assert whole.count(b"learning_rate: 0.05") == 1
    path.write_bytes(whole.replace(b"learning_rate: 0.05", b"learning_rate: 0.01"))
    assert main(["resume", str(stopped)]) == 1
    assert f"{path}: damaged" in capsys.readouterr().err


def test_with_a_checksum_that_fits_again(stopped: Path, capsys) -> None:
    edit(stopped / "run.h5", lambda file: replace_in_config(file, "learning_rate: 0.05", "learning_rate: 0.01"))
    assert main(["resume", str(stopped)]) == 1
    found = capsys.readouterr().err
    assert "run.h5: its config is not the one that its snapshots were made with (hash " in found
    assert found.count("\n") == 1


def test_what_changes_no_result_may_change(stopped: Path) -> None:
    edit(stopped / "run.h5", lambda file: replace_in_config(file, "save_every: ", "save_every: 1"))
    assert main(["resume", str(stopped)]) == 0


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> tuple[Path, Path]:
    """Runs of two configs."""
    root = tmp_path_factory.mktemp("two")
    return complete(root / "a", run__seed=1), complete(root / "b", run__seed=2)


@pytest.mark.parametrize("foreign", ["run.h5", "snapshots/best.snapshot"])
def test_files_of_another_run_are_not_evaluated(two, tmp_path: Path, capsys, foreign: str) -> None:
    shutil.copytree(two[0], tmp_path / "run")
    shutil.copy(two[1] / foreign, tmp_path / "run" / foreign)
    for words in (["evaluate", "RUN"], ["export", "RUN", "--to", "qiskit"]):
        code = main([word.replace("RUN", str(tmp_path / "run")) for word in words])
        assert code == 1 and "or a snapshot is that of another run" in capsys.readouterr().err
    with pytest.raises(StorageError, match="or a snapshot is that of another run"):
        qmltrain.load(tmp_path / "run")


@pytest.mark.parametrize("best", ["another run's", "damaged"])
def test_a_best_snapshot_that_is_not_its_own_is_written_anew(two, tmp_path: Path, best: str) -> None:
    whole = complete(tmp_path / "whole")
    directory = train_until(moons(tmp_path / "stopped"), 10)
    path = directory / "snapshots" / "best.snapshot"
    path.write_bytes((two[0] / "snapshots" / "best.snapshot").read_bytes() if best != "damaged" else b"nothing")
    with (
        pytest.warns(UserWarning, match="best.snapshot: not a snapshot.*; it is written anew")
        if best == "damaged"
        else nullcontext()
    ):
        assert main(["resume", str(directory)]) == 0
    expected, found = (qmltrain.load(place) for place in (whole, directory))
    assert found.epoch == expected.epoch and found.theta_P.tobytes() == expected.theta_P.tobytes()
