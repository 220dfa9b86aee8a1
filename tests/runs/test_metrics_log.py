"""metrics.jsonl: one line of JSON for whatever was measured."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qmltrain.runs import metrics_log
from qmltrain.runs.metrics_log import format_lines, log_blocks
from qmltrain.runs.store import RunStore
from tests.runs.small_store import create


def test_metrics_log_is_json_also_for_nan_and_numpy_numbers(tmp_path: Path) -> None:
    store = create(tmp_path)
    store.append_step(1, {"loss": np.float32(0.1)})
    store.append_step(2, {"loss": float("inf")})
    live = (tmp_path / "metrics.jsonl").read_bytes()
    store.abandon()
    RunStore.reopen(tmp_path, steps=2, epochs=0).abandon()
    assert (tmp_path / "metrics.jsonl").read_bytes() == live
    assert [json.loads(line)["loss"] for line in live.splitlines()] == [float(np.float32(0.1)), None]


def test_lines_are_json_as_python_writes_it() -> None:
    columns = [np.array([7, -(2**63)]), np.array([0.1, np.nan]), np.array([1e-5, -0.0])]
    assert format_lines(["step", 'a "b"', "näme"], columns) == (
        b'{"step": 7, "a \\"b\\"": 0.1, "n\\u00e4me": 1e-05}\n'
        b'{"step": -9223372036854775808, "a \\"b\\"": null, "n\\u00e4me": -0.0}\n'
    )
    assert format_lines(["step"], [np.arange(0)]) == b""


@pytest.mark.parametrize("block", [1, 2, 1 << 16])
def test_each_epoch_stands_after_its_last_step(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    """Also where two epochs end with one step, or an epoch had none."""
    monkeypatch.setattr(metrics_log, "_BLOCK_ROWS", block)
    steps, ends = np.arange(1, 8), [0, 3, 3, 5]
    blocks = log_blocks({"step": steps}, {"epoch": np.arange(1, 5), "step": np.array(ends)}, format_lines)
    rows = [json.loads(line) for line in b"".join(blocks).splitlines()]
    assert [f"e{row['epoch']}" if "epoch" in row else row["step"] for row in rows] == [
        *["e1", 1, 2, 3, "e2", "e3", 4, 5, "e4", 6, 7]
    ]


def test_lines_that_the_disk_takes_in_parts_are_all_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, write = create(tmp_path), os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:7]))
    store.append_steps(1, {"loss": [1.0, 2.0, 3.0]})
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines == [{"step": step, "loss": step} for step in (1, 2, 3)]


def test_a_formatter_that_is_given_writes_all_lines(tmp_path: Path) -> None:
    asked: list[tuple[list[str], list[Any]]] = []

    def recording(quantities: Any, columns: Any) -> bytes:
        asked.append((list(quantities), [column.dtype.str for column in columns]))
        return format_lines(quantities, columns)

    store = create(tmp_path, line_formatter=recording)
    store.append_steps(1, {"loss": [1, 2]})
    store.append_step(3, {"loss": 3})
    store.append_epoch(1, 3, {"val/loss": 3}, 1)
    live = [(["step", "loss"], ["<i8", "<f8"])] * 2
    live.append((["epoch", "step", "wall_seconds", "val/loss"], ["<i8", "<i8", "<f8", "<f8"]))
    assert asked == live
    store.abandon()
    RunStore.reopen(tmp_path, steps=3, epochs=1, line_formatter=recording).abandon()
    assert asked[3:] == live[1:]  # the steps of the epoch at once
