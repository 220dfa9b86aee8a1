"""One process per run directory."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from qmltrain.errors import InputError, StorageError
from qmltrain.runs.lock import EXCLUSIVE_NAME, LOCK_NAME, RunLock

CHECKOUT = Path(__file__).parents[2]

HOLD = """
import sys, time, fcntl, errno
from qmltrain.runs.lock import RunLock
if sys.argv[2] == "without flock":
    def flock(descriptor, operation):
        raise OSError(errno.ENOSYS, "no flock")
    fcntl.flock = flock
lock = RunLock(sys.argv[1])
lock.acquire()
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture(params=["flock", "without flock"])
def how(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With flock, and on a file system that has none."""
    if request.param == "without flock":

        def flock(descriptor: int, operation: int) -> None:
            raise OSError(errno.ENOSYS, "no flock")

        monkeypatch.setattr(fcntl, "flock", flock)
    return str(request.param)


@pytest.fixture
def holder(tmp_path: Path, how: str) -> subprocess.Popen[str]:
    """Another process that holds the lock of tmp_path."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path), how],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), "SLURM_JOB_ID": "4711"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_held_and_given_back(tmp_path: Path, how: str) -> None:
    lock = RunLock(tmp_path / "new")
    for _ in range(2):
        with lock:
            with pytest.raises(InputError, match=f"in use by process {os.getpid()} on {socket.gethostname()}"):
                RunLock(tmp_path / "new").acquire()
            with pytest.raises(InputError, match="held already"):
                lock.acquire()
        lock.release()  # once more does no harm
    with pytest.raises(ZeroDivisionError), lock:
        _ = 1 / 0
    with RunLock(tmp_path / "new"):
        pass


def test_a_live_holder_is_named_and_a_dead_one_is_not_in_the_way(
    tmp_path: Path, how: str, holder: subprocess.Popen[str]
) -> None:
    expected = f"in use by process {holder.pid} on {socket.gethostname()}, SLURM job 4711"
    for _ in range(2):
        with pytest.raises(InputError, match=expected) as caught:
            RunLock(tmp_path).acquire()
        assert "\n" not in str(caught.value)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / (LOCK_NAME if how == "flock" else EXCLUSIVE_NAME)).stat().st_size > 0  # stale
    with RunLock(tmp_path), pytest.raises(InputError, match=f"process {os.getpid()}"):
        RunLock(tmp_path).acquire()
    assert not list(tmp_path.glob(EXCLUSIVE_NAME + "*"))


def write_holder(path: Path, **changes: Any) -> None:
    with RunLock(path.parent):
        text = json.loads((path.parent / LOCK_NAME).read_bytes() or (path.parent / EXCLUSIVE_NAME).read_bytes())
    path.write_text(json.dumps({**text, **changes}))


def test_without_flock_a_reused_process_number_or_a_reboot_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(fcntl, "flock", flock)
    path = tmp_path / EXCLUSIVE_NAME
    for changes in ({"process_start": "1"}, {"boot": "another"}, {"pid": 2**22 + 1}):
        write_holder(path, **changes)
        with RunLock(tmp_path):
            pass
    write_holder(path)  # this very process
    with pytest.raises(InputError, match=f"in use by process {os.getpid()}"):
        RunLock(tmp_path).acquire()


def test_without_flock_another_host_is_never_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOSYS, "no flock")

    monkeypatch.setattr(fcntl, "flock", flock)
    path = tmp_path / EXCLUSIVE_NAME
    write_holder(path, host="node17")
    with pytest.raises(InputError, match=f"on node17.*if that process is gone, remove {path}"):
        RunLock(tmp_path).acquire()
    path.write_text("")
    with pytest.raises(InputError, match="a lock without a holder"):
        RunLock(tmp_path).acquire()


def test_with_flock_the_text_of_another_host_is_no_lock(tmp_path: Path) -> None:
    write_holder(tmp_path / LOCK_NAME, host="node17")
    with RunLock(tmp_path):
        assert json.loads((tmp_path / LOCK_NAME).read_text())["host"] == socket.gethostname()
    assert (tmp_path / LOCK_NAME).read_text() == ""


def test_a_forked_child_neither_holds_nor_releases(tmp_path: Path) -> None:
    with RunLock(tmp_path) as lock:
        child = os.fork()
        if child == 0:
            lock.release()
            os._exit(0)
        os.waitpid(child, 0)
        with pytest.raises(InputError, match="in use"):
            RunLock(tmp_path).acquire()
        sleeper = os.fork()
        if sleeper == 0:
            time.sleep(60)
            os._exit(0)
    try:
        with RunLock(tmp_path):  # though the child still has the descriptor
            pass
    finally:
        os.kill(sleeper, signal.SIGKILL)
        os.waitpid(sleeper, 0)


def test_of_many_that_come_at_once_to_a_stale_lock_one_gets_it(tmp_path: Path, how: str) -> None:
    for _ in range(10):
        if how == "without flock":
            write_holder(tmp_path / EXCLUSIVE_NAME, process_start="1")
        reading, writing = os.pipe()
        go_reading, go_writing = os.pipe()
        children = []
        for _ in range(4):
            child = os.fork()
            if child == 0:
                try:
                    os.close(go_writing)
                    os.read(go_reading, 1)  # returns in all of them when the parent closes its end
                    RunLock(tmp_path).acquire()
                    os.write(writing, b"!")
                    time.sleep(60)
                except InputError:
                    os.write(writing, b".")
                except BaseException:
                    os.write(writing, b"?")
                finally:
                    os._exit(0)
            children.append(child)
        os.close(go_writing)
        answers = b""
        while len(answers) < len(children):
            answers += os.read(reading, 1)
        assert b"?" not in answers
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        for descriptor in (reading, writing, go_reading):
            os.close(descriptor)
        assert answers.count(b"!") <= 1
        assert how == "without flock" or b"!" in answers
        (tmp_path / EXCLUSIVE_NAME).unlink(missing_ok=True)


def test_a_directory_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot open"):
        RunLock(tmp_path / "file").acquire()
