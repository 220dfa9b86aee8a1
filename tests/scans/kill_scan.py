"""Kills a small scan before every call by which it changes a file, goes on, and compares with the uninterrupted one.
Started by `test_kill_scan.py` with the shim of `tests.runs` preloaded; prints a JSON summary.

`fresh`: a scan from nothing. `growing`: one with more points and draws than its file, which is written anew.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import io
import json
import os
import shutil
import signal
import sys
import traceback
from pathlib import Path

import h5py
import pytest

from qmltrain.cli.grids import compose_grid
from qmltrain.config.grid import Grid
from qmltrain.config.schema import CommandContext
from qmltrain.scans import session
from qmltrain.scans.file_layout import FILE_NAME
from qmltrain.scans.reading import StoredScan, read_scan
from tests.scans.small_scans import CIRCUIT, assert_same_bits, in_portions, scan

SHIM = ctypes.CDLL(None)
BEGUN = ("observable.terms=['Z0']", "circuit.n_qubits=choice(1)", "ansatz.layers=choice(2)")
WORDS = ("observable.terms=['Z0']", "circuit.n_qubits=1,2", "ansatz.layers=1,2")
DRAWS = 5


def composed(directory: Path) -> tuple[Grid, CommandContext]:
    words = [*CIRCUIT, *WORDS, f"run.dir={directory}", f"scan.draws={DRAWS}"]
    return compose_grid(words), CommandContext(["qmltrain"], words)


def in_child(job: tuple[Grid, CommandContext], call: int) -> int:
    """Scan in a fork that is killed before its `call`-th call (0: never); the wait status."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if call:
                SHIM.kill_shim_arm(ctypes.c_long(call), call % 2)  # every other one in the middle of a write
            with contextlib.redirect_stdout(io.StringIO()):
                session.scan(*job)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1]


def check_left_behind(directory: Path, whole: StoredScan) -> None:
    """What is there opens, and every draw that counts is that of the uninterrupted scan."""
    if not (directory / FILE_NAME).exists():
        return
    with h5py.File(directory / FILE_NAME, "r"):
        pass
    expected = {point.identity: point for point in whole.points}
    for point in read_scan(directory).points:
        for name, values in point.columns.items():
            assert values.tobytes() == expected[point.identity].columns[name][: point.draws].tobytes(), name


def main(base: Path, way: str, stride: int) -> None:
    gc.disable()
    gc.freeze()
    begun, whole, killed = base / "begun", base / "whole", base / "killed"
    patch = pytest.MonkeyPatch()
    in_portions(patch, 2)
    patch.setattr(session, "collect_attributes", lambda: {"qmltrain_version": "0"})  # which asks git
    patch.setattr(session, "print_scan", lambda *arguments: None)  # a summary, which changes no file
    of_whole, of_killed = composed(whole), composed(killed)  # once: composing takes longer than the scan
    if way == "growing":
        with contextlib.redirect_stdout(io.StringIO()):
            scan(begun, *BEGUN, draws=3)
    assert in_child(of_whole, 0) == 0
    reference = read_scan(whole)
    failures, call, points = [], 1, 0
    while True:
        if begun.exists():
            shutil.copytree(begun, killed)
        status = in_child(of_killed, call)
        if status == 0:
            break
        try:
            assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, f"wait status {status}"
            check_left_behind(killed, reference)
            assert in_child(of_killed, 0) == 0, "the scan did not go on"
            assert_same_bits(reference, read_scan(killed))
            assert json.loads((killed / "status.json").read_text())["status"] == "completed"
        except Exception as error:
            failures.append(f"call {call}: {type(error).__name__}: {error}"[:300])
        points += 1
        call += stride
        shutil.rmtree(killed)
    print(json.dumps({"points": points, "calls": call, "failures": failures}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
