"""A training killed at any write call goes on to the same bits: some calls here, all of them in the long set."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from qmltrain.engines.cpu import unavailable_reason

CHECKOUT = Path(__file__).parents[2]
NATIVE = pytest.mark.skipif(unavailable_reason() is not None, reason="no C++")
every_way = pytest.mark.parametrize(
    "way", ["arrays", pytest.param("native", marks=NATIVE), pytest.param("flat", marks=NATIVE)]
)


def kill_everywhere(shim: Path, stride: int, way: str) -> dict:
    parent = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="qmltrain-kill-", dir=parent) as base:
        process = subprocess.run(
            [sys.executable, "-m", "tests.sessions.kill_training", base, str(stride), way],
            cwd=CHECKOUT,
            env={**os.environ, "LD_PRELOAD": str(shim), "PYTHONPATH": str(CHECKOUT)},
            capture_output=True,
            text=True,
        )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


@every_way
def test_killed_at_some_write_calls(kill_shim, way):
    found = kill_everywhere(kill_shim, 23, way)
    assert found["failures"] == []
    assert found["points"] >= 6


@pytest.mark.slow
@every_way
def test_killed_at_every_write_call(kill_shim, way):
    found = kill_everywhere(kill_shim, 1, way)
    assert found["failures"] == []
    assert found["points"] > 130
