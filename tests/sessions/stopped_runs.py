"""Runs that are stopped at a step, and what two runs hold, compared to the bit."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from qmltrain.config.schema import Config
from qmltrain.errors import InterruptedRun
from qmltrain.runs.snapshots import SNAPSHOTS, SnapshotFolder
from qmltrain.runs.store import RunStore
from qmltrain.sessions.training_run import run_directory
from qmltrain.training import native_steps
from qmltrain.verbs import train
from tests.small_configs import CONTEXT


def contents(directory: Path) -> dict[str, np.ndarray]:
    """Every dataset of a run file."""
    found: dict[str, np.ndarray] = {}
    with h5py.File(directory / "run.h5", "r") as file:
        file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return found


def assert_same_bits(a: Path, b: Path) -> None:
    first, second = contents(a), contents(b)
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)
    assert (a / "metrics.jsonl").read_bytes() == (b / "metrics.jsonl").read_bytes()
    for kind in ("load_latest", "load_best"):
        states = [getattr(SnapshotFolder(d / SNAPSHOTS), kind)() for d in (a, b)]
        assert (states[0].step, states[0].epoch, states[0].state) == (states[1].step, states[1].epoch, states[1].state)
        assert states[0].arrays.keys() == states[1].arrays.keys()
        for name in states[0].arrays:
            np.testing.assert_array_equal(states[0].arrays[name], states[1].arrays[name], err_msg=name)


def at_each_step(
    monkeypatch: pytest.MonkeyPatch,
    after: Callable[[int], object] = lambda step: None,
    before: Callable[[int], object] = lambda step: None,
) -> None:
    """Spans of one step; `before(step)` is called before its rows are stored, `after(step)` then."""
    append = RunStore.append_steps

    def appending(self, first, *args, **kwargs):
        before(first)
        append(self, first, *args, **kwargs)
        after(first)

    monkeypatch.setattr(native_steps, "LARGEST_SPAN", 1)
    monkeypatch.setattr(RunStore, "append_steps", appending)


def stop_at(monkeypatch: pytest.MonkeyPatch, step: int, number: int = signal.SIGUSR1) -> None:
    """Send this process a signal right after step `step` was stored, once."""
    sent = []

    def send(current: int) -> None:
        if current == step and not sent:
            sent.append(current)
            os.kill(os.getpid(), number)

    at_each_step(monkeypatch, send)


def train_until(config: Config, step: int, number: int = signal.SIGUSR1) -> Path:
    """Train, stopped by a signal after this step; the run's directory."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(InterruptedRun, match=signal.Signals(number).name):
        stop_at(patch, step, number)
        train.run(config, CONTEXT)
    return run_directory(config)


def stop_and_go_on(config: Config, step: int) -> Path:
    """Train until this step, and then to the end; the run's directory."""
    train_until(config, step)
    assert train.run(config, CONTEXT) == 0
    return run_directory(config)
