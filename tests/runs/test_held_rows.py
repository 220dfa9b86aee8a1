"""Rows that wait: nothing of them is in the files before they are flushed, and all of them after."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from qmltrain.errors import StorageError
from qmltrain.runs.store import RunStore
from qmltrain.runs.views import open_run
from tests.runs.small_store import create

ROWS = {"metrics": 3, "epochs": 1, "layer_norms": 3, "gradients": 3, "parameters": 1}


def append_three(store: RunStore) -> np.ndarray:
    """Steps 1 to 3 and epoch 1; the array that the last gradient was given in."""
    gradient = np.zeros(3)
    for step in (1, 2, 3):
        gradient[:] = step
        store.append_step(step, {"loss": step}, [step, step], gradient, None)
    store.append_epoch(1, 3, {"val/loss": 0.5}, 1.0)
    gradient[:] = 4.0
    store.write_parameters_row(3, gradient)
    return gradient


def stored(directory: Path) -> tuple[dict[str, int], int]:
    """Rows of each table, and lines of the log."""
    view = open_run(directory)
    rows = {name: len(next(iter(view.table(name).values()))) for name in ROWS}
    return rows, len((directory / "metrics.jsonl").read_text().splitlines())


def test_rows_wait_until_they_are_flushed(tmp_path: Path) -> None:
    store = create(tmp_path, gradients="full")
    store.hold()
    gradient = append_three(store)
    assert stored(tmp_path) == (dict.fromkeys(ROWS, 0), 0)
    assert (store.steps, store.epochs) == (3, 1)
    gradient[:] = -1.0  # what waits is a copy
    store.flush()
    assert stored(tmp_path) == (ROWS, 4)
    view = open_run(tmp_path)
    np.testing.assert_array_equal(view.table("gradients")["values"], [[1] * 3, [2] * 3, [3] * 3])
    np.testing.assert_array_equal(view.table("parameters")["values"], [[4] * 3])
    store.flush()  # nothing waits
    assert stored(tmp_path) == (ROWS, 4)
    store.close()


@pytest.mark.parametrize("what", ["sync", "stored_rows", "set_attributes", "close", "written again", "many bytes"])
def test_what_writes_them_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    store = create(tmp_path, gradients="full")
    store.hold()
    if what == "many bytes":
        monkeypatch.setattr("qmltrain.runs.store.MOST_BYTES", 100)
    append_three(store)
    if what == "sync":
        store.sync()
    elif what == "stored_rows":
        assert {name: rows for name, (rows, _) in store.stored_rows().items()} == ROWS
    elif what == "set_attributes":
        store.set_attributes(engine="none")
    elif what == "close":
        store.close("interrupted")
    elif what == "written again":
        store.write_parameters_row(3, [5.0] * 3)
    rows, lines = stored(tmp_path)
    assert lines == 4 and {**rows, "parameters": 1} == ROWS
    store.abandon()


def test_room_counts_what_waits(tmp_path: Path) -> None:
    store = create(tmp_path, n_steps=1)
    store.hold()
    store.append_step(1, {"loss": 1}, [1, 2])
    with pytest.raises(ValueError, match="step 2: the run was laid out for 1"):
        store.append_step(2, {"loss": 1}, [1, 2])
    with pytest.raises(ValueError, match="each is stored once"):
        store.append_step(1, {"loss": 1}, [1, 2])


def test_after_an_error_nothing_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next row is refused, not kept for nobody."""
    store = create(tmp_path, gradients="full")
    store.hold()
    append_three(store)

    def full(*_: object) -> int:
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patch, pytest.raises(StorageError, match="No space left"):
        patch.setattr(os, "pwrite", full)
        store.flush()
    with pytest.raises(StorageError, match="nothing more is written"):
        store.append_step(1, {"loss": 1}, [1, 2], [0] * 3)
    assert stored(tmp_path) == (dict.fromkeys(ROWS, 0), 0)


def test_rows_that_are_large_are_written_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qmltrain.runs.store.MOST_BYTES", 200)
    store = create(tmp_path, n_steps=40, gradients="full")
    store.hold()
    store.append_step(1, {"loss": 1}, [1, 2], [3] * 3)
    assert stored(tmp_path)[0]["metrics"] == 0
    store.append_steps(2, {"loss": np.arange(30.0)}, np.ones((30, 2)), np.ones((30, 3)))
    assert stored(tmp_path)[0]["metrics"] == 31 and not store._held.n_bytes
    np.testing.assert_array_equal(open_run(tmp_path).table("metrics")["loss"], [1, *range(30)])
