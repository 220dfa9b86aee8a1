"""Kills a kernel job before every call by which it changes a file, goes on, and compares with the uninterrupted one.
Started by `test_kill_kernel.py` with the shim of `tests.runs` preloaded; prints a JSON summary.
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

import numpy as np
import sklearn.datasets
import sklearn.kernel_ridge
import sklearn.metrics.pairwise
import sklearn.model_selection
import sklearn.preprocessing
import sklearn.svm  # noqa: F401 - here and not in every child

from qmltrain.quantum_kernels import tiles
from qmltrain.quantum_kernels.file import FILE_NAME
from qmltrain.quantum_kernels.job import run_kernel
from tests.quantum_kernels.kernel_cases import contents, small
from tests.small_configs import CONTEXT

SHIM = ctypes.CDLL(None)


def in_child(directory: Path, call: int) -> int:
    """The job in a fork that is killed before its `call`-th call (0: never); the wait status."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if call:
                SHIM.kill_shim_arm(ctypes.c_long(call), call % 2)  # every other one in the middle of a write
            with contextlib.redirect_stdout(io.StringIO()):
                run_kernel(
                    small(
                        directory.parent,
                        run__dir=str(directory),
                        engine__threads=1,
                        dataset__n_samples=40,
                        kernel__C=[1.0],
                    ),
                    CONTEXT,
                )
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1]


def compare(whole: Path, killed: Path) -> None:
    first, second = contents(whole / FILE_NAME), contents(killed / FILE_NAME)
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)
    statuses = [json.loads((directory / "status.json").read_text()) for directory in (whole, killed)]
    for key in ("status", "tiles", "summary", "choices"):
        assert statuses[0][key] == statuses[1][key], key


def main(base: Path, stride: int) -> None:
    gc.disable()
    gc.freeze()
    tiles.MOST_ROWS = 16
    uninterrupted, killed = base / "uninterrupted", base / "killed"
    assert in_child(uninterrupted, 0) == 0
    failures, call, points = [], 1, 0
    while True:
        status = in_child(killed, call)
        if status == 0:
            break
        try:
            assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, f"wait status {status}"
            assert in_child(killed, 0) == 0, "the job did not go on"
            compare(uninterrupted, killed)
        except Exception as error:
            failures.append(f"call {call}: {type(error).__name__}: {error}"[:300])
        points += 1
        call += stride
        shutil.rmtree(killed)
    print(json.dumps({"points": points, "calls": call, "failures": failures}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
