"""A kernel job killed at any write call goes on to the same bits: some calls here, all of them in the long set."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]


def kill_everywhere(shim: Path, stride: int) -> dict:
    parent = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="qmltrain-kill-", dir=parent) as base:
        process = subprocess.run(
            [sys.executable, "-m", "tests.quantum_kernels.kill_kernel", base, str(stride)],
            cwd=CHECKOUT,
            env={**os.environ, "LD_PRELOAD": str(shim), "PYTHONPATH": str(CHECKOUT)},
            capture_output=True,
            text=True,
        )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


def test_killed_at_some_write_calls(kill_shim):
    found = kill_everywhere(kill_shim, 29)
    assert found["failures"] == []
    assert found["points"] >= 3


@pytest.mark.slow
def test_killed_at_every_write_call(kill_shim):
    found = kill_everywhere(kill_shim, 1)
    assert found["failures"] == []
    assert found["points"] > 80
