"""status.json: many sessions, and a damaged or missing one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qmltrain.errors import StorageError
from qmltrain.runs.reading import run_status
from qmltrain.runs.store import RunStore
from qmltrain.runs.views import open_run
from tests.runs.small_store import create


def test_many_sessions_and_a_long_config_fit_into_the_attributes(tmp_path: Path) -> None:
    """HDF5 attributes of the classic format end at 64 KiB; a run that was requeued for weeks has more sessions."""
    create(tmp_path, attributes={"config_yaml": "x" * 100_000}).close("interrupted")
    status = json.loads((tmp_path / "status.json").read_text())
    status["sessions"] *= 1000
    del status["sha256"]  # as files of schema 1 have none
    (tmp_path / "status.json").write_text(json.dumps(status))
    RunStore.reopen(tmp_path, steps=0, epochs=0).close()
    run = open_run(tmp_path)
    assert len(run.attributes["sessions"]) == 1001
    assert len(run.attributes["config_yaml"]) == 100_000


def test_a_damaged_status_file_is_named(tmp_path: Path) -> None:
    create(tmp_path).close("interrupted")
    text = (tmp_path / "status.json").read_text()
    (tmp_path / "status.json").write_text("{")
    with pytest.raises(StorageError, match="status.json: cannot be read"):
        RunStore.reopen(tmp_path, steps=0, epochs=0)
    (tmp_path / "status.json").write_text(text.replace('"steps": 0', '"steps": 1'))
    with pytest.raises(StorageError, match="status.json: cannot be read .its SHA-256 is not the one in it"):
        RunStore.reopen(tmp_path, steps=0, epochs=0)
    (tmp_path / "status.json").unlink()
    assert run_status(tmp_path) == "running"
    RunStore.reopen(tmp_path, steps=0, epochs=0).close()
