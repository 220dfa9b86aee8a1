"""Runs the session of `tiny_training.py` for the calls it makes that change a file, killed before each and in the
middle of each write, and checks what is left. Started by `test_kill_points.py` with the kill shim preloaded; prints a
JSON summary.

Behind the folder: at every how many of these points it is killed (and at the last); with the word ``spans`` it is the
session that stores several steps at once, with ``held`` the one whose rows wait for each other.

Every session runs in a forked child of this one process, which has everything imported: a kill point costs a fork.
"""

from __future__ import annotations

import bisect
import json
import mmap
import shutil
import struct
import sys
import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from qmltrain.runs.reading import run_status
from qmltrain.runs.snapshots import SnapshotFolder
from qmltrain.runs.views import open_run
from tests.kills import calls_of, in_child, no_collections, was_killed
from tests.runs.tiny_training import HELD, KEEP, N_STEPS, SPANS, contents, run_session

KINDS = ("created", "steps", "epochs", "snapshots")
STRIDE = int(sys.argv[2])
SESSION: dict[str, Any]
SESSION, ENDS, SAVED = {  # ENDS: the steps that rows are written after; SAVED: the snapshot before epoch 1 counts
    "spans": (SPANS, (0, 4, 5, 7), 4),
    "held": (HELD, (0, 2, 3, 5, 6, 7), 0),
    "steps": ({}, range(N_STEPS + 1), 2),
}[sys.argv[3]]
acknowledged = mmap.mmap(-1, 8 * len(KINDS))  # shared with the children; storing in it is no system call


def acknowledge(kind: str, number: int) -> None:
    struct.pack_into("q", acknowledged, 8 * KINDS.index(kind), number)


def acks() -> dict[str, int]:
    return {kind: struct.unpack_from("q", acknowledged, 8 * index)[0] for index, kind in enumerate(KINDS)}


def run_killed(directory: Path, call: int, partial: bool) -> bool:
    """One session in a child killed before its ``call``-th call; whether it was killed (else it came to its end)."""
    acknowledged[:] = bytes(len(acknowledged))
    status = in_child(lambda: run_session(directory, acknowledge, **SESSION), call, partial)
    if was_killed(status):
        return True
    assert status == 0, f"the session failed with wait status {status}"
    return False


def check_left_behind(directory: Path, reference: dict, before: dict[str, int]) -> None:
    """The file opens, no acknowledged row is lost or wrong, steps count with all of their rows and together with all
    of their span, and the snapshots can be used."""
    acked = {kind: max(number, before.get(kind, 0)) for kind, number in acks().items()}
    if run_status(directory) is None:
        assert not acked["created"], "the run file is gone"
        return
    with h5py.File(directory / "run.h5", "r"):  # as any reader opens it, with HDF5's locks
        pass
    left = open_run(directory)
    tables = {name: left.table(name) for name in reference["tables"]}
    if run_status(directory) != "completed":
        # Resuming cuts to the snapshot before anything else, so rows above it may be gone, but never those below.
        assert len(tables["metrics"]["step"]) >= (acked["snapshots"] if before else acked["steps"])
        assert len(tables["epochs"]["epoch"]) >= (0 if before else acked["epochs"])
    steps = len(tables["metrics"]["step"])
    assert steps in ENDS, f"{steps} steps count, a part of a span"
    assert len(tables["layer_norms"]["layer_norms_step"]) == steps
    assert tables["gradients"]["step"].tolist() == list(range(1, steps + 1, 2))
    if SESSION is SPANS:
        after = tables["parameters"]["step"].tolist()
        assert set(range(2, steps + 1, 2)) <= set(after) <= {0, 2, 4, 6, 7} and after == sorted(after)
    expected = reference["tables"]
    for table in expected:
        for quantity, values in tables[table].items():
            np.testing.assert_array_equal(values, expected[table][quantity][: len(values)], f"{table} {quantity}")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # none may be damaged
        snapshot = SnapshotFolder(directory / "snapshots", KEEP).load_latest()
    assert (0 if snapshot is None else snapshot.step) >= acked["snapshots"]


def enumerate_kills(base: Path, start: Path | None, reference: dict, before: dict[str, int]) -> dict:
    """Kills a session that starts from a copy of ``start`` (None: from nothing) before each of its calls."""
    directory = base / "counted"
    if start is not None:
        shutil.copytree(start, directory)
    writes = calls_of(lambda: run_session(directory, **SESSION))
    shutil.rmtree(directory)
    every = [(call, partial) for call, is_write in enumerate(writes, start=1) for partial in sorted({False, is_write})]
    points = sorted({*every[::STRIDE], every[-1]})
    failures = []
    for call, partial in points:
        directory = base / "killed"
        if start is not None:
            shutil.copytree(start, directory)
        try:
            assert run_killed(directory, call, partial), "the call was never made"
            check_left_behind(directory, reference, before)
            assert run_session(directory, **SESSION) == "completed"
            resumed = contents(directory)
            for name, value in reference["contents"].items():
                assert resumed.pop(name) == value, f"{name} differs from the uninterrupted session's"
            # A kill between the last save and the removal of what it replaces leaves one snapshot too many.
            assert all(name.startswith("step-") for name in resumed), sorted(resumed)
            # Nothing writes to a sealed run: a kill just after the sealing leaves the last status half-written.
            temporaries = {path.name for path in directory.rglob("*.tmp")}
            assert temporaries <= {"status.json.tmp"}, f"left behind: {temporaries}"
        except Exception as error:
            failures.append(f"call {call}{' partial' if partial else ''}: {type(error).__name__}: {error}"[:500])
        shutil.rmtree(directory, ignore_errors=True)
    return {"calls": len(writes), "writes": sum(writes), "points": len(points), "failures": failures}


def main(base: Path) -> None:
    no_collections()
    uninterrupted = base / "uninterrupted"
    run_session(uninterrupted, **SESSION)
    view = open_run(uninterrupted)
    tables = {name: view.table(name) for name in ("metrics", "epochs", "layer_norms", "gradients", "parameters")}
    reference = {"contents": contents(uninterrupted), "tables": tables}
    summary = {"fresh": enumerate_kills(base, None, reference, {})}

    # A second session, resumed from a kill after the first epoch, killed in its turn.
    interrupted = base / "interrupted"

    def has_an_epoch(call: int) -> bool:
        shutil.rmtree(interrupted, ignore_errors=True)
        run_killed(interrupted, call, False)
        return acks()["epochs"] > 0

    calls = range(1, summary["fresh"]["calls"])
    assert has_an_epoch(calls[bisect.bisect_left(calls, True, key=has_an_epoch)]) and acks()["epochs"] == 1
    before = {"created": 1, "snapshots": SAVED}
    assert acks()["snapshots"] == before["snapshots"]
    summary["resumed"] = enumerate_kills(base, interrupted, reference, before)
    print(json.dumps(summary))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
