"""metrics.jsonl: one line of JSON for whatever was measured."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

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
