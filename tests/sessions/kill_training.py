"""Kills a whole training before every call by which it changes a file, goes on, and compares with the uninterrupted
one. Started by `test_kill_training.py` with the shim of `tests.runs` preloaded; prints a JSON summary.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import io
import json
import os
import shutil
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

import h5py
import pytest

from qmltrain.config.schema import Config
from qmltrain.verbs import train
from tests.clock import stop_the_clock
from tests.sessions.stopped_runs import assert_same_bits
from tests.small_configs import CONTEXT, moons

SHIM = ctypes.CDLL(None)


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


def in_child(directory: Path, call: int, way: str) -> int:
    """Train in a fork that is killed before its `call`-th call (0: never); the wait status."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if call:
                SHIM.kill_shim_arm(ctypes.c_long(call), call % 2)  # every other one in the middle of a write
            with contextlib.redirect_stdout(io.StringIO()):
                train.run(config_of(directory, way), CONTEXT)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1]


def main(base: Path, stride: int, way: str) -> None:
    gc.disable()
    gc.freeze()
    stop_the_clock(pytest.MonkeyPatch())
    uninterrupted, killed = base / "uninterrupted", base / "killed"
    assert in_child(uninterrupted, 0, way) == 0
    with h5py.File(uninterrupted / "run.h5") as file:
        last = int(file["metrics/step"][-1])
    assert way != "flat" or (last < 100 and last % 5), last  # within an epoch of 5 steps
    failures, call, points = [], 1, 0
    while True:
        status = in_child(killed, call, way)
        if status == 0:
            break
        try:
            assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, f"wait status {status}"
            assert in_child(killed, 0, way) == 0, "the run did not go on"
            assert_same_bits(uninterrupted, killed)
        except Exception as error:
            failures.append(f"call {call}: {type(error).__name__}: {error}"[:300])
        points += 1
        call += stride
        shutil.rmtree(killed)
    print(json.dumps({"points": points, "calls": call, "failures": failures}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
