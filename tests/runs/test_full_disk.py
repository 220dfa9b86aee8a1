"""A full disk: one line, an ordinary exit code, and the last good snapshot as it was.

Each case runs in a process of its own, since what must not happen is that the process dies at its exit.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from qmltrain.errors import EXIT_ERROR
from qmltrain.runs.reading import run_status
from qmltrain.runs.snapshots import SnapshotFolder
from qmltrain.runs.views import open_run
from tests.runs.tiny_training import N_STEPS, contents, run_session

CHECKOUT = Path(__file__).parents[2]

LIMITED = """
import resource, sys
from pathlib import Path
import h5py
from qmltrain.errors import StorageError
from tests.runs import tiny_training as session
directory, limit = Path(sys.argv[1]), int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
try:
    print(session.run_session(directory))
except StorageError as error:
    print(f"StorageError: {error}")
    sys.exit(error.exit_code)
"""

FILLING = """
import sys
from pathlib import Path
import h5py
from qmltrain.errors import StorageError
from tests.runs import tiny_training as session
directory, after = Path(sys.argv[1]), int(sys.argv[2])
filler = open(directory.parent / "filler", "wb")

def fill(kind, number):
    if (kind, number) == ("steps", after):
        try:
            while True:
                filler.write(bytes(1 << 12)); filler.flush()
        except OSError:
            pass

try:
    print(session.run_session(directory, fill))
except StorageError as error:
    print(f"StorageError: {error}")
    sys.exit(error.exit_code)
"""


def run_python(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
    )


def assert_one_line(process: subprocess.CompletedProcess[str]) -> None:
    assert process.returncode == EXIT_ERROR, (process.returncode, process.stdout, process.stderr)
    assert process.stdout.startswith("StorageError: ") and process.stdout.count("\n") == 1, process.stdout
    assert "free space" in process.stdout
    assert process.stderr == ""  # also nothing from the interpreter's exit


def test_a_limit_on_file_sizes_at_creation(tmp_path: Path) -> None:
    process = run_python(LIMITED, tmp_path / "run", 4000)
    assert_one_line(process)
    assert "cannot reserve" in process.stdout and "run.gradients=norms" in process.stdout
    assert run_status(tmp_path / "run") is None
    assert not list((tmp_path / "run").glob("*.tmp"))
    assert run_session(tmp_path / "run") == "completed"


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_limit_on_file_sizes_when_resuming(tmp_path: Path, share: float) -> None:
    """The limit is below the size of the files that are there: whichever write meets it first must leave all well."""
    run_session(tmp_path / "whole")
    directory = tmp_path / "run"
    run_session(directory, stop_after=2)
    snapshot = next((directory / "snapshots").glob("step-*"))
    before = snapshot.read_bytes()
    assert_one_line(run_python(LIMITED, directory, int(share * (directory / "run.h5").stat().st_size)))
    assert not snapshot.exists() or snapshot.read_bytes() == before  # gone only where newer ones took its place
    latest = SnapshotFolder(directory / "snapshots").load_latest()
    assert latest is not None and latest.step >= 2
    assert open_run(directory).table("metrics")["step"].tolist()[:2] == [1, 2]
    assert run_session(directory) == "completed"
    resumed = contents(directory)
    assert all(resumed[name] == value for name, value in contents(tmp_path / "whole").items())


@pytest.fixture
def small_disk(tmp_path: Path) -> Path:
    """A file system of one megabyte, where the system allows to mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("mounting a small tmpfs is not permitted here (RLIMIT_FSIZE is tested)")
    yield disk
    subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize(
    "after", [pytest.param(n, marks=[] if n in (1, 2, N_STEPS) else pytest.mark.slow) for n in range(1, N_STEPS + 1)]
)
def test_a_disk_that_fills_up_during_the_training(small_disk: Path, tmp_path: Path, after: int) -> None:
    run_session(tmp_path / "whole")
    directory = small_disk / "run"
    process = run_python(FILLING, directory, after)
    assert_one_line(process)
    table = open_run(directory).table("metrics")
    assert len(table["step"]) >= after  # the rows' space was reserved
    latest = SnapshotFolder(directory / "snapshots").load_latest()
    assert (0 if latest is None else latest.step) >= after - after % 2 - 2
    (small_disk / "filler").unlink()
    assert run_session(directory) == "completed"
    resumed = contents(directory)
    assert all(resumed[name] == value for name, value in contents(tmp_path / "whole").items())
