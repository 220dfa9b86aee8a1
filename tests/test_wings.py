"""A wing can be taken out: the rest imports, trains and evaluates, and says in one line what is not there."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.without_wings import PACKAGE, WINGS


@pytest.fixture(scope="module")
def problems() -> dict[str, list[str]]:
    """Of every wing; all in one process, since NumPy takes longer to import than the package."""
    command = [sys.executable, "-m", "tests.without_wings"]
    done = subprocess.run(command, cwd=PACKAGE.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("wing", WINGS)
def test_the_rest_works_without(wing, problems):
    assert not problems[wing]


def test_a_module_that_the_rest_needs_would_be_found():
    code = "from tests.without_wings import problems; print(*problems('fusion.lowering', ()), sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True, check=False)
    assert "fusion.compile: ModuleNotFoundError" in done.stdout, done.stderr
