"""A kill at any moment: before each call by which a session changes a file, and in the middle of each write."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]


@pytest.fixture(scope="module")
def kill_shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled shim."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not sys.platform.startswith("linux") or compiler is None:
        pytest.skip("kill points NOT tested: they need Linux and a C compiler (cc) for the LD_PRELOAD shim")
    library = tmp_path_factory.mktemp("shim") / "kill_shim.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, HERE / "kill_shim.c", "-ldl"], check=True)
    return library


def test_nothing_acknowledged_is_lost_at_any_kill_point(kill_shim: Path) -> None:
    # In memory where there is such a file system: an fsync costs nothing there, and a kill is a kill.
    parent = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="qmltrain-kill-", dir=parent) as base:
        process = subprocess.run(
            [sys.executable, "-m", "tests.runs.kill_driver", base],
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
