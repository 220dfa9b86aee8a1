"""Kills a small scan at its write calls; started by `test_kill_scan.py` (see `tests.kills`).

`fresh`: a scan from nothing. `growing`: one with more points and draws than its file, which is written anew.
"""

from __future__ import annotations

import functools
import itertools
import json
import shutil
import sys
from pathlib import Path

import h5py
import pytest
import scipy.special  # noqa: F401 - here and not in the first child

from qmltrain.cli.grids import compose_grid
from qmltrain.config.grid import Grid
from qmltrain.config.schema import CommandContext
from qmltrain.scans import session
from qmltrain.scans.file_layout import FILE_NAME
from qmltrain.scans.reading import read_scan
from tests.kills import Job, kill_each, nothing
from tests.scans.small_scans import CIRCUIT, assert_same_bits, in_portions, scan

BEGUN = ("observable.terms=['Z0']", "circuit.n_qubits=choice(1)", "ansatz.layers=choice(2)")
WORDS = ("observable.terms=['Z0']", "circuit.n_qubits=1,2", "ansatz.layers=1,2")
DRAWS = 5


@functools.cache  # composing takes longer than the scan
def composed(directory: Path) -> tuple[Grid, CommandContext]:
    words = [*CIRCUIT, *WORDS, f"run.dir={directory}", f"scan.draws={DRAWS}"]
    return compose_grid(words), CommandContext(["qmltrain"], words)


def compare(whole: Path, killed: Path) -> None:
    assert_same_bits(read_scan(whole), read_scan(killed))
    assert json.loads((killed / "status.json").read_text())["status"] == "completed"


def check_left_behind(directory: Path) -> None:
    """What is there opens, and every draw that counts is that of the uninterrupted scan."""
    if not (directory / FILE_NAME).exists():
        return
    with h5py.File(directory / FILE_NAME, "r"):
        pass
    expected = {point.identity: point for point in read_scan(directory.parent / "whole").points}
    for point in read_scan(directory).points:
        for name, values in point.columns.items():
            assert values.tobytes() == expected[point.identity].columns[name][: point.draws].tobytes(), name


def job(base: Path, way: str) -> Job:
    begun = base / "begun"
    if way == "growing":
        scan(begun, *BEGUN, draws=3)
    before = nothing if way == "fresh" else functools.partial(shutil.copytree, begun)
    return Job(lambda directory: session.scan(*composed(directory)), compare, check_left_behind, before)


def main(base: Path, stride: int, ways: list[str]) -> None:
    patch = pytest.MonkeyPatch()
    in_portions(patch, 2)
    patch.setattr(session, "collect_attributes", lambda: {"qmltrain_version": "0"})  # which asks git
    patch.setattr(session, "print_scan", lambda *arguments: None)  # a summary, which changes no file
    for directory in itertools.product(ways, ("whole", "killed")):
        composed(base.joinpath(*directory))
    kill_each({way: job(base, way) for way in ways}, base, stride)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
