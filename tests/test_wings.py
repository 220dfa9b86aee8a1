"""A wing can be taken out: the rest imports, trains and evaluates, and says in one line what is not there."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.without_wings import PACKAGE, WINGS


def test_the_rest_works_without_each_wing():
    """All in one process, since NumPy takes longer to import than the package; in one test, for one worker."""
    command = [sys.executable, "-m", "tests.without_wings"]
    done = subprocess.run(command, cwd=PACKAGE.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {wing: [] for wing in WINGS}


def test_a_module_that_the_rest_needs_would_be_found():
    code = "from tests.without_wings import problems; print(*problems('fusion.lowering', ()), sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True, check=False)
    assert "fusion.compile: ModuleNotFoundError" in done.stdout, done.stderr
