"""A kill at any moment: before each call by which a session changes a file, and in the middle of each write."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]


@pytest.mark.parametrize("words", [(), ("spans",)], ids=["steps", "spans"])
def test_nothing_acknowledged_is_lost_at_any_kill_point(kill_shim: Path, words: tuple[str, ...]) -> None:
    # In memory where there is such a file system: an fsync costs nothing there, and a kill is a kill.
    parent = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="qmltrain-kill-", dir=parent) as base:
        process = subprocess.run(
            [sys.executable, "-m", "tests.runs.kill_driver", base, *words],
            cwd=CHECKOUT,
            env={**os.environ, "LD_PRELOAD": str(kill_shim), "PYTHONPATH": str(CHECKOUT)},
            capture_output=True,
            text=True,
        )
    assert process.returncode == 0, process.stderr
    summary = json.loads(process.stdout)
    for session, result in summary.items():
        assert result["failures"] == [], (session, len(result["failures"]), process.stderr)
        assert result["points"] == result["calls"] + result["writes"]
    assert summary["fresh"]["calls"] > 100
    assert summary["resumed"]["calls"] > 40
