"""Rows count up to the snapshot that a run goes on from, in every table and in the log."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qmltrain.errors import StorageError
from qmltrain.runs.store import RunStore
from qmltrain.runs.views import open_run
from tests.runs.small_store import create


def test_reopen_cuts_rows_after_the_snapshot_everywhere(tmp_path: Path) -> None:
    store = create(tmp_path, gradients="full", parameters_every=1)
    for step in range(1, 5):
        store.append_step(step, {"loss": step}, [step, step], [step] * 3, [step] * 3)
        if step % 2 == 0:
            store.append_epoch(step // 2, step, {"val/loss": step}, 1.0)
    store.abandon()
    with (tmp_path / "metrics.jsonl").open("ab") as log:
        log.write(b'{"step": 5, "lo')  # torn by a kill
    RunStore.reopen(tmp_path, steps=3, epochs=1).abandon()
    run = open_run(tmp_path)
    for table in ("metrics", "gradients", "parameters"):
        assert run.table(table)["step"].tolist() == [1, 2, 3], table
    assert run.table("layer_norms")["layer_norms_step"].tolist() == [1, 2, 3]
    assert run.table("epochs")["epoch"].tolist() == [1]
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines == [
        {"step": 1.0, "loss": 1.0},
        {"step": 2, "loss": 2.0},
        {"epoch": 1, "step": 2, "wall_seconds": 1.0, "val/loss": 2.0},
        {"step": 3, "loss": 3.0},
    ]


def test_a_snapshot_of_another_run_is_refused(tmp_path: Path) -> None:
    store = create(tmp_path)
    store.append_step(1, {"loss": 1})
    store.close("interrupted")
    with pytest.raises(StorageError, match="holds 1 of 2 steps and 0 of 1 epochs that the snapshot counts"):
        RunStore.reopen(tmp_path, steps=2, epochs=1)
    assert open_run(tmp_path).table("metrics")["step"].tolist() == [1]
