"""Kills a whole training at its write calls; started by `test_kill_training.py` (see `tests.kills`)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import h5py
import pytest
import sklearn.datasets
import sklearn.linear_model  # noqa: F401 - here and not in the first child

from qmltrain.config.schema import Config
from qmltrain.verbs import train
from tests.clock import stop_the_clock
from tests.kills import Job, kill_each
from tests.sessions.stopped_runs import assert_same_bits
from tests.small_configs import CONTEXT, moons

WAYS: dict[str, dict[str, Any]] = {
    "arrays": {"run__save_every": 1, "train__epochs": 2},  # a snapshot each step
    # spans of two and of one step, of which snapshots know
    "native": {"engine__name": "cpu", "engine__threads": 1, "run__save_every": 3, "train__epochs": 3},
    # batches of rows drawn anew, until the loss is flat within an epoch
    "flat": {
        "engine__name": "cpu",
        "engine__threads": 1,
        "run__save_every": 4,
        "train__epochs": 20,
        "train__flat_window": 3,
        "train__replacement": True,
        "dataset__n_samples": 40,
        "train__batch_size": 5,
    },
}


def config_of(directory: Path, way: str) -> Config:
    """Epochs of 2 steps, full gradients."""
    changes = {"run__dir": str(directory), "run__gradients": "full", "dataset__n_samples": 30} | WAYS[way]
    return moons(directory.parent, **changes)


def job(way: str) -> Job:
    return Job(lambda directory: train.run(config_of(directory, way), CONTEXT), assert_same_bits)


def main(base: Path, stride: int, ways: list[str]) -> None:
    stop_the_clock(pytest.MonkeyPatch())
    kill_each({way: job(way) for way in ways}, base, stride)
    if "flat" in ways:
        with h5py.File(base / "flat" / "whole" / "run.h5") as file:
            last = int(file["metrics/step"][-1])
        assert last < 100 and last % 5, last  # within an epoch of 5 steps


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
