"""Run files are read while they are written, and what is no run file is refused."""

from __future__ import annotations

from pathlib import Path

import h5py
import pytest

from qmltrain.errors import InputError, StorageError
from qmltrain.runs.store import RunStore
from qmltrain.runs.views import open_run
from tests.runs.small_store import create


def test_a_live_run_can_be_read_by_anyone(tmp_path: Path) -> None:
    with create(tmp_path) as store:
        run = open_run(tmp_path)
        assert len(run.table("metrics")["step"]) == 0
        for step in (1, 2):
            store.append_step(step, {"loss": step})
            assert run.table("metrics")["loss"].tolist() == list(range(1, step + 1))
        with h5py.File(tmp_path / "run.h5", "r") as file:  # with HDF5's locks, as other tools open it
            assert file["metrics/loss"][: file["valid_rows"][0]].tolist() == [1, 2]
            assert file.attrs["status"] == "unfinished"
        store.append_step(3, {"loss": 3})
        assert run.status == "running"


def test_files_that_are_not_run_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    with pytest.raises(InputError, match="no run file there"):
        RunStore.reopen(tmp_path, steps=0, epochs=0)
    path.write_bytes(b"something else")
    with pytest.raises(StorageError, match="run.h5: not a run file, or damaged in its first line; restore it"):
        open_run(tmp_path)
    with pytest.raises(InputError, match="other: not a run file, .* give a run's directory"):
        open_run(path.rename(tmp_path / "other"))
    path.mkdir()
    with pytest.raises(StorageError, match="run.h5: a directory in the place of the run file"):
        open_run(tmp_path)
    path.rmdir()
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(StorageError, match="run.h5: damaged, cannot be read"):
        open_run(tmp_path)
    path.unlink()
    with h5py.File(path, "w") as file:
        file["x"] = 1
    with pytest.raises(InputError, match="not a run file"):
        open_run(path)
    path.unlink()
    create(tmp_path).close()
    path.write_bytes(path.read_bytes().replace(b"qmltrain-run 2 ", b"qmltrain-run 99", 1))
    with pytest.raises(StorageError, match="not a run file"):
        open_run(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"qmltrain-run 99", b"qmltrain-run 3 ", 1))
    with pytest.raises(InputError, match=r"schema version 3; this program reads 1 and 2: .* \(qmltrain.*\)"):
        open_run(tmp_path)


@pytest.mark.parametrize("completed", [False, True])
def test_a_file_that_this_process_has_open_otherwise(tmp_path: Path, completed: bool) -> None:
    store = create(tmp_path)
    store.append_step(1, {"loss": 2})
    store.close("completed" if completed else "interrupted")
    with h5py.File(tmp_path / "run.h5"):
        assert open_run(tmp_path).table("metrics")["loss"].tolist() == [2]
    with h5py.File(tmp_path / "run.h5", locking=False):
        assert open_run(tmp_path).table("metrics")["loss"].tolist() == [2]
