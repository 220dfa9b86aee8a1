"""A job that is killed before every call by which it changes a file, goes on, and must come to the same.

    found = killed_jobs(shim, "tests.scans.kill_scan", 17)               in a test: starts the module below
    kill_each({"fresh": Job(run=..., compare=...)}, base, stride)        in that module: prints a JSON summary of each

A module of its own process, with the shim of `tests.runs` preloaded: every job runs in a fork of it, which has
everything imported, so that a kill point costs a fork.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).parents[1]


def killed_jobs(shim: Path, module: str, *words: object) -> dict[str, Any]:
    """What `module` prints of each job, started with the shim, a folder of its own, and `words`."""
    # In memory where there is such a file system: an fsync costs nothing there, and a kill is a kill.
    parent = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="qmltrain-kill-", dir=parent) as base:
        process = subprocess.run(
            [sys.executable, "-m", module, base, *map(str, words)],
            cwd=CHECKOUT,
            env={**os.environ, "LD_PRELOAD": str(shim), "PYTHONPATH": str(CHECKOUT)},
            capture_output=True,
            text=True,
        )
    assert process.returncode == 0, process.stderr
    found: dict[str, Any] = json.loads(process.stdout)
    for name, result in found.items():
        assert result["failures"] == [], f"{name}: {process.stderr}"
    return found


def import_what_it_imports(job: Callable[[], Any]) -> None:
    """Runs `job` once in a fork and imports here what it had imported by its end: or every child would, for seconds."""
    with tempfile.NamedTemporaryFile("r") as listed:

        def job_and_list() -> None:
            job()
            Path(listed.name).write_text("\n".join(sys.modules))

        assert in_child(job_and_list) == 0, "the uninterrupted job failed"
        for name in listed.read().split("\n"):
            if name not in sys.modules:
                with contextlib.suppress(Exception):  # names that are no modules to be imported by name
                    importlib.import_module(name)


def no_collections() -> None:
    """Or every child's first collection copies all of its parent's pages."""
    gc.disable()
    gc.freeze()


def in_child(job: Callable[[], Any], call: int = 0, partial: bool = False) -> int:
    """`job` in a fork that is killed before its `call`-th call that changes a file (0: never), or in the middle of it
    where it is a write and `partial`; the wait status."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if call:
                ctypes.CDLL(None).kill_shim_arm(ctypes.c_long(call), int(partial))
            with contextlib.redirect_stdout(io.StringIO()):
                job()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1]


def calls_of(job: Callable[[], Any]) -> list[bool]:
    """The calls that change a file which `job` makes to its end, in order: whether each is a write. In a fork."""
    reading, writing = os.pipe()

    def job_and_list() -> None:
        shim = ctypes.CDLL(None)
        shim.kill_shim_arm(ctypes.c_long(-1), 0)
        job()
        calls = range(1, shim.kill_shim_calls() + 1)
        os.write(writing, bytes(shim.kill_shim_was_write(ctypes.c_long(call)) for call in calls))

    assert in_child(job_and_list) == 0, "the uninterrupted job failed"
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        return [bool(kind) for kind in pipe.read()]


def was_killed(status: int) -> bool:
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def nothing(directory: Path) -> None:
    pass


@dataclass(frozen=True)
class Job:
    """`run` in a directory; `compare` what came of an uninterrupted and of a killed one; `left_behind` looks at what a
    kill leaves, `before` makes what is there before the first call."""

    run: Callable[[Path], Any]
    compare: Callable[[Path, Path], None]
    left_behind: Callable[[Path], None] = field(default=nothing)
    before: Callable[[Path], Any] = field(default=nothing)


def kill_each(jobs: dict[str, Job], base: Path, stride: int) -> None:
    """Prints what `kill_everywhere` found of each job."""
    found = {}
    for name, job in jobs.items():
        (base / name).mkdir()
        found[name] = kill_everywhere(job, base / name, stride)
    print(json.dumps(found))


def kill_everywhere(job: Job, base: Path, stride: int) -> dict[str, Any]:
    """Kills `job` at every `stride`-th call and at the last, every other time in the middle of a write; how many points
    there were, and what failed. The uninterrupted job is in `whole`, in `base`."""
    whole, killed = base / "whole", base / "killed"
    import_what_it_imports(lambda: job.run(whole))
    no_collections()
    job.before(killed)
    calls = len(calls_of(lambda: job.run(killed)))
    shutil.rmtree(killed)
    points = sorted({*range(1, calls + 1, stride), calls})
    failures = []
    for call in points:
        job.before(killed)
        try:
            status = in_child(lambda: job.run(killed), call, partial=bool(call % 2))
            assert was_killed(status), f"wait status {status}"
            job.left_behind(killed)
            assert in_child(lambda: job.run(killed)) == 0, "the job did not go on"
            job.compare(whole, killed)
        except Exception as error:
            failures.append(f"call {call}: {type(error).__name__}: {error}"[:300])
        shutil.rmtree(killed, ignore_errors=True)
    return {"points": len(points), "calls": calls, "failures": failures}
