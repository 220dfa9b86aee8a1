"""Kills a kernel job at its write calls; started by `test_kill_kernel.py` (see `tests.kills`)."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import sklearn.datasets
import sklearn.kernel_ridge
import sklearn.metrics.pairwise
import sklearn.model_selection
import sklearn.preprocessing
import sklearn.svm  # noqa: F401 - here and not in the first child

from qmltrain.quantum_kernels import tiles
from qmltrain.quantum_kernels.file import FILE_NAME
from qmltrain.quantum_kernels.job import run_kernel
from tests.kills import Job, kill_each
from tests.quantum_kernels.kernel_cases import contents, small
from tests.small_configs import CONTEXT


def run(directory: Path) -> None:
    changes = {"engine__threads": 1, "dataset__n_samples": 40, "kernel__C": [1.0]}
    run_kernel(small(directory.parent, run__dir=str(directory), **changes), CONTEXT)


def compare(whole: Path, killed: Path) -> None:
    first, second = contents(whole / FILE_NAME), contents(killed / FILE_NAME)
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name)
    statuses = [json.loads((directory / "status.json").read_text()) for directory in (whole, killed)]
    for key in ("status", "tiles", "summary", "choices"):
        assert statuses[0][key] == statuses[1][key], key


if __name__ == "__main__":
    tiles.MOST_ROWS = 16
    kill_each({"kernel": Job(run, compare)}, Path(sys.argv[1]), int(sys.argv[2]))
