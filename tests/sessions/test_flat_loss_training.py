"""Whole trainings that end where the loss is flat: at the step of the definition, along both paths, whatever stops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qmltrain.engines.cpu import unavailable_reason
from qmltrain.runs.snapshots import SNAPSHOTS, SnapshotFolder
from qmltrain.runs.views import open_run
from qmltrain.sessions.training_run import run_directory
from qmltrain.training import native_steps
from qmltrain.verbs import train
from tests.sessions.stopped_runs import assert_same_bits, contents, stop_and_go_on
from tests.small_configs import CONTEXT, ising_chain, moons
from tests.training.flat_losses import by_definition

WINDOW = 6
NATIVE = pytest.mark.skipif(unavailable_reason() is not None, reason="no C++ extension")
engines = pytest.mark.parametrize("engine", ["interpreter", pytest.param("cpu", marks=NATIVE)])


def config(root: Path, engine: str, **changes: Any):
    """120 steps at most; epochs of 3 drawn with replacement."""
    plain = {"train__epochs": 40, "train__flat_window": WINDOW, "train__replacement": True, "engine__name": engine}
    plain |= {"optimizer__learning_rate": 0.2, "schedule__name": "constant"}
    return moons(root, **(plain | changes))


def trained(made) -> Path:
    assert train.run(made, CONTEXT) == 0
    return run_directory(made)


def losses_of(directory: Path) -> np.ndarray:
    return contents(directory)["metrics/train_loss"]


@engines
def test_the_last_step_is_that_of_the_definition(tmp_path, engine) -> None:
    directory = trained(config(tmp_path, engine))
    never = trained(config(tmp_path, engine, train__flat_window=None))
    losses, all_losses = losses_of(directory), losses_of(never)
    assert by_definition(losses, WINDOW) == len(losses) - 1 < len(all_losses) - 1 == 119
    np.testing.assert_array_equal(losses, all_losses[: len(losses)])
    latest = SnapshotFolder.reader(directory / SNAPSHOTS).load_latest()
    assert latest is not None and latest.step == len(losses)
    assert latest.state["training"]["finished"] == f"the loss was flat over {WINDOW} steps"
    assert len(latest.arrays["recent_losses"]) == 2 * WINDOW
    assert "recent_losses" not in SnapshotFolder.reader(never / SNAPSHOTS).load_latest().arrays
    assert len(open_run(directory).epochs) == -(-len(losses) // 3)


@engines
def test_stopped_anywhere_and_gone_on_with(tmp_path, engine) -> None:
    whole = trained(config(tmp_path / "whole", engine, run__gradients="full", run__save_every=None))
    last = len(losses_of(whole))
    for step in (1, last - 1) if engine == "cpu" else (2 * WINDOW, last):
        other = config(tmp_path / str(step), engine, run__gradients="full", run__save_every=None)
        assert_same_bits(whole, stop_and_go_on(other, step))


@NATIVE
@pytest.mark.parametrize("span", [1, 2, 7])
def test_where_native_spans_end_changes_no_bit(tmp_path, monkeypatch, span) -> None:
    """An epoch is one span: rows beyond the last step are taken back."""
    options = {"train__batch_size": 1, "run__gradients": "full", "run__save_every": None, "engine__name": "cpu"}
    first = moons(tmp_path / "whole", train__flat_window=WINDOW, train__epochs=9, **options)
    whole = trained(first)
    monkeypatch.setattr(native_steps, "LARGEST_SPAN", span)
    again = trained(moons(tmp_path / "again", train__flat_window=WINDOW, train__epochs=9, **options))
    assert_same_bits(whole, again)
    assert len(losses_of(whole)) % 36 not in (0, 1)  # within an epoch of 36 steps
    assert by_definition(losses_of(whole), WINDOW) == len(losses_of(whole)) - 1


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_without_data(tmp_path, optimizer) -> None:
    made = ising_chain(tmp_path, optimizer__name=optimizer, train__flat_window=3, train__epochs=200)
    losses = losses_of(trained(made))
    assert by_definition(losses, 3) in (len(losses) - 1, None)
    assert len(losses) < 200
