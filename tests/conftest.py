"""What every test starts from: reproducible Hypothesis examples, and no settings taken from this machine."""

from __future__ import annotations

import gc
import os
import shutil
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.clock import stop_the_clock
from tests.runs.kill_shim import kill_shim  # noqa: F401 - a fixture of several folders

MOST_WORKERS = 8  # of -n auto; each takes up to half a GiB, and compiles kernels

# CI sees the same examples each time; HYPOTHESIS_PROFILE=explore (scripts/check_all) looks for new ones.
settings.register_profile("fixed", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))


# Runs are put on the disk (fsync) again and again: in memory that takes no time.
IN_MEMORY = "/dev/shm"
if os.access(IN_MEMORY, os.W_OK) and shutil.disk_usage(IN_MEMORY).free > 4 << 30:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", IN_MEMORY)


def pytest_collection_finish() -> None:
    """What is imported and collected stays: the garbage collector need not look through it again at every pass."""
    gc.collect()
    gc.freeze()


# Started in the background (`&`, nohup), a process ignores these, and the programs that tests start would as well.
for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_xdist_auto_num_workers() -> int:
    """Processes of `-n auto`: one for each core that this process may use, since engines start threads of their own."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, MOST_WORKERS)


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("SLURM_", "QMLTRAIN_")):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True, scope="session")
def _epochs_take_no_time() -> Iterator[None]:
    """The wall time of an epoch is 0, so that two trainings can be compared by the bytes of all they store."""
    with pytest.MonkeyPatch.context() as patch:
        stop_the_clock(patch)
        yield


@pytest.fixture
def in_empty_directory(tmp_path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The test runs in an empty directory, as a user would."""
    monkeypatch.chdir(tmp_path)
    yield
