"""Scans of seconds: a grid from words as they are typed, run in this process, and what is left of it."""

from __future__ import annotations

import copy
import os
import signal
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qmltrain.cli.grids import compose_grid
from qmltrain.config.grid import Grid, GridPoint
from qmltrain.config.schema import CommandContext, Config
from qmltrain.errors import InterruptedRun
from qmltrain.scans import session
from qmltrain.scans.reading import StoredScan, read_scan
from qmltrain.scans.rows import ScanRows

CIRCUIT = (
    "dataset=none", "encoding=none", "head=raw", "loss=expectation", "observable=pauli",
    "observable.terms=['Z0 Z1']", "engine=interpreter", "run.progress=none",
)  # fmt: skip
GRID = ("circuit.n_qubits=2,3", "ansatz.layers=1,2")
DRAWS = 21  # no multiple of a block


@cache
def composed(words: tuple[str, ...]) -> Grid:
    """Composing takes longer than a small scan, and most scans differ by their directory alone."""
    return compose_grid([*CIRCUIT, *words])


def grid_in(directory: Path, words: tuple[str, ...], draws: int | None) -> Grid:
    """The grid of `words` with `run.dir` and `scan.draws`."""

    def placed(config: Config) -> Config:
        config = copy.deepcopy(config)
        config.run.dir = str(directory)
        config.scan.draws = config.scan.draws if draws is None else draws
        return config

    def point_there(point: GridPoint) -> GridPoint:
        return GridPoint(point.values, lambda act: point.settle(lambda config: act(placed(config))))

    grid = composed(words)
    return Grid(tuple(map(point_there, grid.points)), grid.swept, grid.derived)


def scan(directory: Path, *words: str, draws: int | None = DRAWS, summary: bool = False) -> StoredScan:
    """Run the scan of `words` in `directory`; without the summary at the end, which takes as long as the scan."""
    asked = () if draws is None else (f"scan.draws={draws}",)
    command = [*CIRCUIT, f"run.dir={directory}", *asked, *words]
    grid = grid_in(directory, words, draws)
    with pytest.MonkeyPatch.context() as patch:
        if not summary:
            patch.setattr(session, "print_scan", lambda *arguments: None)
        assert session.scan(grid, CommandContext(["qmltrain", "scan", *command], command)) == 0
    shards = sorted(directory.glob("scan-*.h5"))
    return read_scan(shards[0] if shards else directory)


def columns(scan: StoredScan) -> dict[str, dict[str, np.ndarray]]:
    """Every column of every point, by the point's identity."""
    return {point.identity: point.columns for point in scan.points}


def assert_same_bits(a: StoredScan, b: StoredScan) -> None:
    assert [point.identity for point in a.points] == [point.identity for point in b.points]
    assert [point.values for point in a.points] == [point.values for point in b.points]
    assert [point.config | _WHERE for point in a.points] == [point.config | _WHERE for point in b.points]
    first, second = columns(a), columns(b)
    for identity, found in first.items():
        assert found.keys() == second[identity].keys()
        for name, values in found.items():
            assert values.tobytes() == second[identity][name].tobytes(), name


_WHERE: dict[str, Any] = {"run.dir": None, "scan.shard": None, "scan.draws": None, "engine.threads": 0}


def stop_after(monkeypatch: pytest.MonkeyPatch, appends: int, number: int = signal.SIGUSR1, portion: int = 8) -> None:
    """Portions of so many draws; this process is sent a signal once after so many of them were stored."""
    count = [0]
    append = ScanRows.append

    def appending(self: ScanRows, *arguments: Any) -> None:
        append(self, *arguments)
        count[0] += 1
        if count[0] == appends:
            os.kill(os.getpid(), number)

    in_portions(monkeypatch, portion)
    monkeypatch.setattr(ScanRows, "append", appending)


def in_portions(monkeypatch: pytest.MonkeyPatch, draws: int) -> None:
    portion = session.Job._portion

    def small(self, rows, number, built, asked):
        monkeypatch.setattr(built.ensemble, "draws_at_once", draws)
        return portion(self, rows, number, built, asked)

    monkeypatch.setattr(session.Job, "_portion", small)


def scan_until(directory: Path, appends: int, *words: str, number: int = signal.SIGUSR1, portion: int = 8) -> None:
    """Run a scan that is stopped by a signal after so many portions."""
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, appends, number, portion)
        with pytest.raises(InterruptedRun):
            scan(directory, *words)
