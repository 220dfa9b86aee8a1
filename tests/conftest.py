"""What every test starts from: reproducible Hypothesis examples, and no settings taken from this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.runs.kill_shim import kill_shim  # noqa: F401 - a fixture of several folders

# CI sees the same examples each time; HYPOTHESIS_PROFILE=explore (scripts/check_all) looks for new ones.
settings.register_profile("fixed", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("SLURM_", "QMLTRAIN_")):
            monkeypatch.delenv(name)


@pytest.fixture
def in_empty_directory(tmp_path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The test runs in an empty directory, as a user would."""
    monkeypatch.chdir(tmp_path)
    yield
