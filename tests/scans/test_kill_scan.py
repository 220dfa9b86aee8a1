"""A scan killed at any call that changes a file goes on to the same bits, from nothing and while its file grows: some
calls here, all of them in the long set."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]


WAYS = ("fresh", "growing")


def kill_everywhere(shim: Path, way: str, stride: int) -> int:
    """The calls that it was killed at; none may lose or change a draw."""
    parent = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="qmltrain-kill-", dir=parent) as base:
        process = subprocess.run(
            [sys.executable, "-m", "tests.scans.kill_scan", base, way, str(stride)],
            cwd=CHECKOUT,
            env={**os.environ, "LD_PRELOAD": str(shim), "PYTHONPATH": str(CHECKOUT)},
            capture_output=True,
            text=True,
        )
    assert process.returncode == 0, process.stderr
    found = json.loads(process.stdout)
    assert found["failures"] == [], process.stderr
    return int(found["points"])


@pytest.mark.parametrize("way", WAYS)
def test_killed_at_some_write_calls(kill_shim, way):
    assert kill_everywhere(kill_shim, way, 17) >= 2


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_killed_at_every_write_call(kill_shim, way):
    assert kill_everywhere(kill_shim, way, 1) >= 45
