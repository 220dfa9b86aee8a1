"""A run goes on with the config that its snapshots were made with, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from qmltrain.cli import main
from tests.runs.edited_files import edit
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
    assert "run.h5: damaged: its config is not the one that its snapshots were made with (hash " in found
    assert found.count("\n") == 1


def test_what_changes_no_result_may_change(stopped: Path) -> None:
    edit(stopped / "run.h5", lambda file: replace_in_config(file, "save_every: ", "save_every: 1"))
    assert main(["resume", str(stopped)]) == 0
