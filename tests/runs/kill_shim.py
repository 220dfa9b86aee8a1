"""The compiled library that kills a process before a chosen call which changes a file (kill_shim.c), as a fixture."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def kill_shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled shim."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not sys.platform.startswith("linux") or compiler is None:
        pytest.skip("kill points NOT tested: they need Linux and a C compiler (cc) for the LD_PRELOAD shim")
    library = tmp_path_factory.mktemp("shim") / "kill_shim.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, HERE / "kill_shim.c", "-ldl"], check=True)
    return library
