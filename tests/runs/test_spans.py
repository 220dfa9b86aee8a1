"""Spans of steps: the same bytes as step by step, one write a column, all of a span or nothing."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmltrain.errors import StorageError
from qmltrain.runs import store as store_module
from qmltrain.runs.store import GRADIENTS, RunStore
from qmltrain.runs.views import open_run
from tests.examples import examples
from tests.runs.small_store import create

HERE = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
WIDTHS = {"metrics": 2, "layer_norms": 2, "gradients": 3, "parameters": 3}
NUMBERS = st.floats() | st.sampled_from([0.1, -0.0, 1e16, 1e-5, 5e-324, 1.7976931348623157e308])


@pytest.fixture(autouse=True, scope="module")
def _at_one_moment() -> Iterator[None]:
    """What is different each time a run is begun."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store_module, "utc_now", lambda: "now")
        patch.setattr(store_module, "collect_session", dict)
        yield


@st.composite
def runs(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, np.ndarray], list[tuple[int, bool]]]:
    """Settings of a run, the numbers of its steps, and its spans: how long, and whether an epoch ends with it."""
    spans = draw(st.lists(st.tuples(st.integers(1, 7), st.booleans(), st.booleans()), min_size=1, max_size=5))
    n_steps = sum(length for length, _, _ in spans)
    arrays = {
        name: np.array(draw(st.lists(NUMBERS, min_size=n_steps * width, max_size=n_steps * width)), float)
        for name, width in WIDTHS.items()
    }
    changes = {
        "metrics": ["loss", "gradient/norm"],
        "n_steps": n_steps,
        "n_epochs": len(spans),
        "gradients": draw(st.sampled_from(GRADIENTS)),
        "gradients_every": draw(st.integers(1, 4)),
        "parameters_every": draw(st.none() | st.integers(1, 4)),
    }
    return changes, {name: array.reshape(n_steps, -1) for name, array in arrays.items()}, spans


def append(store: RunStore, arrays: dict[str, np.ndarray], first: int, last: int, at_once: bool) -> None:
    if at_once:
        rows = {name: array[first - 1 : last] for name, array in arrays.items()}
        columns = {"loss": rows["metrics"][:, 0], "gradient/norm": rows["metrics"][:, 1]}
        gradients = arrays["gradients"][store.gradients_of(first, last) - 1]
        parameters = arrays["parameters"][store.parameters_of(first, last) - 1]
        store.append_steps(first, columns, rows["layer_norms"], gradients, parameters)
        return
    for step in range(first, last + 1):
        row = {name: array[step - 1] for name, array in arrays.items()}
        loss, norm = row["metrics"].tolist()
        store.append_step(
            step, {"loss": loss, "gradient/norm": norm}, row["layer_norms"], row["gradients"], row["parameters"]
        )


@settings(max_examples=examples(60))
@given(run=runs(), completed=st.booleans())
def test_the_bytes_do_not_depend_on_spans_nor_on_rows_that_wait(run: Any, completed: bool) -> None:
    changes, arrays, spans = run
    found = []
    with tempfile.TemporaryDirectory(dir=HERE) as folder:
        for way in ("steps", "spans", "held steps", "held spans"):
            store = create(Path(folder) / way, **changes)
            store.write_parameters_row(0, [0.0] * 3)
            if way.startswith("held"):
                store.hold()
            for length, ends_epoch, is_flushed in spans:
                append(store, arrays, store.steps + 1, store.steps + length, way.endswith("spans"))
                if ends_epoch:
                    store.append_epoch(store.epochs + 1, store.steps, {"val/loss": arrays["metrics"][-1, 0]}, 0.5)
                if is_flushed:
                    store.flush()
            store.write_parameters_row(store.steps, [1.0] * 3)  # which may be there: written again
            rows, known = (store.steps, store.epochs), store.stored_rows()
            log = store._log.path.read_bytes()
            store.close("completed" if completed else "interrupted")
            found.append((log, known, store.path.read_bytes()))
            if not completed:
                RunStore.reopen(store.directory, steps=rows[0], epochs=rows[1], known=known).abandon()
            assert store._log.path.read_bytes() == log
        assert found[1:] == found[:1] * 3
        assert len(log.splitlines()) == sum(rows) and rows[0] == changes["n_steps"]
        table = open_run(Path(folder) / "held spans").table("metrics")
        np.testing.assert_array_equal(table["gradient/norm"], arrays["metrics"][:, 1])


def test_a_span_is_one_write_a_column_then_the_counter_then_the_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = create(tmp_path, gradients="full", n_steps=100, gradients_every=3, parameters_every=5)
    calls: list[tuple[str, int]] = []
    pwrite, write = os.pwrite, os.write

    def recorded_pwrite(descriptor: int, data: memoryview, offset: int) -> int:
        names = {place: name for name, place in store._file.header.offsets.items()}
        calls.append((names[offset], memoryview(data).nbytes))
        return pwrite(descriptor, data, offset)

    def recorded_write(descriptor: int, data: bytes) -> int:
        calls.append(("lines", data.count(b"\n")))
        return write(descriptor, data)

    monkeypatch.setattr(os, "pwrite", recorded_pwrite)
    monkeypatch.setattr(os, "write", recorded_write)
    store.append_steps(1, {"loss": np.arange(100.0)}, np.ones((100, 2)), np.ones((34, 3)), np.ones((20, 3)))
    assert calls == [
        ("metrics/step", 800),
        ("metrics/loss", 800),
        ("gradients/layer_norms_step", 800),
        ("gradients/layer_norms", 1600),
        ("gradients/step", 272),
        ("gradients/values", 816),
        ("parameters/step", 160),
        ("parameters/values", 480),
        ("valid_rows", 80),
        ("lines", 100),
    ]


def test_after_a_write_that_failed_the_rows_before_the_span_are_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = create(tmp_path, n_steps=10)
    store.append_steps(1, {"loss": [1.0, 2.0]})
    pwrite, left = os.pwrite, [2]

    def failing(descriptor: int, data: bytes, offset: int) -> int:
        left[0] -= 1
        if not left[0]:
            raise OSError(28, "No space left on device")
        return pwrite(descriptor, data, offset)

    monkeypatch.setattr(os, "pwrite", failing)
    with pytest.raises(StorageError, match=r"cannot write .*run.h5: No space left on device; free space"):
        store.append_steps(3, {"loss": [3.0, 4.0]})
    monkeypatch.undo()
    with pytest.raises(StorageError, match="an earlier write failed"):
        store.append_steps(3, {"loss": [3.0, 4.0]})
    assert open_run(tmp_path).table("metrics")["loss"].tolist() == [1.0, 2.0]
    RunStore.reopen(tmp_path, steps=2, epochs=0).append_steps(3, {"loss": [5.0]})
    assert open_run(tmp_path).table("metrics")["loss"].tolist() == [1.0, 2.0, 5.0]
