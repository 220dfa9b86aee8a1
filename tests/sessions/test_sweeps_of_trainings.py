"""Sweeps of real trainings: stopped, started again, one bad point, and collected."""

from __future__ import annotations

import csv
import io
import os
import signal
from pathlib import Path

import pytest

from qmltrain.cli import main
from qmltrain.runs.store import RunStore
from qmltrain.runs.views import open_run
from tests.sessions.stopped_runs import stop_at

WORDS = [
    "-m", "dataset=make_moons", "dataset.n_samples=40", "preprocess=angles", "circuit.n_qubits=2", "encoding.repeats=1",
    "engine.name=interpreter", "train.epochs=1", "train.batch_size=12", "run.progress=none", "train.baseline=false",
]  # fmt: skip


def statuses() -> dict[Path, str]:
    return {path.parent: open_run(path).status for path in sorted(Path("runs").glob("*/run.h5"))}


def test_a_sweep_started_again_skips_what_is_finished(in_empty_directory, monkeypatch, capsys):
    words = [*WORDS, "run.seed=range(0,3)", "optimizer.learning_rate=0.05,0.1"]
    append, steps = RunStore.append_step, []

    def stopping(self, current, *args, **kwargs):
        append(self, current, *args, **kwargs)
        steps.append(current)
        if len(steps) == 5:  # two runs of two steps, and one step of the third
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(RunStore, "append_step", stopping)
        assert main(words) == 75
    assert sorted(statuses().values()) == ["completed", "completed", "interrupted"]
    finished = {path: (path / "run.h5").stat().st_mtime_ns for path, s in statuses().items() if s == "completed"}
    trained = []

    def counting(self, current, *args, **kwargs):
        trained.append((self.directory, current))
        append(self, current, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(RunStore, "append_step", counting)
        assert main(words) == 0
    assert list(statuses().values()) == ["completed"] * 6
    assert {path: (path / "run.h5").stat().st_mtime_ns for path in finished} == finished
    assert not {directory.resolve() for directory, _ in trained} & {path.resolve() for path in finished}
    capsys.readouterr()

    [_, second] = sorted(Path("multirun").glob("*/*"), key=lambda path: path.stat().st_mtime_ns)
    assert main(["collect", str(second), "--over", "run.seed"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["optimizer.learning_rate"], row["n"]) for row in rows] == [("0.05", "3"), ("0.1", "3")]


def test_a_sweep_goes_on_in_its_own_directory(in_empty_directory, monkeypatch, capsys):
    words = [*WORDS, "run.seed=0,1", "hydra.sweep.dir=sweep"]
    with monkeypatch.context() as patch:
        stop_at(patch, 1, signal.SIGTERM)
        assert main(words) == 75
    assert main(words) == 0
    assert "sweep: 2 of 2 points done" in capsys.readouterr().err
    assert main(["collect", "sweep"]) == 0
    assert capsys.readouterr().out.count("\n") == 3


def test_a_bad_point_is_reported_and_the_others_are_trained(in_empty_directory, capsys):
    assert main([*WORDS, "head.name=linear,nothing", "run.seed=0,1"]) == 1
    ended = capsys.readouterr()
    assert "sweep: 2 of 4 points done" in ended.err and "failed: point 2: error: head.name" in ended.err
    assert list(statuses().values()) == ["completed"] * 2
    [directory] = Path("multirun").glob("*/*")
    assert main(["collect", str(directory)]) == 0
    ended = capsys.readouterr()
    assert ended.out.count("\n") == 3 and "left out" in ended.err


@pytest.mark.parametrize("verb", ["circuit", "plan"])
def test_points_of_other_verbs_name_no_run(in_empty_directory, verb, capsys):
    assert main([verb, *WORDS, "ansatz.layers=1,2"]) == 0
    [directory] = Path("multirun").glob("*/*")
    capsys.readouterr()
    assert main(["collect", str(directory)]) == 2
    assert "the sweep trained nothing" in capsys.readouterr().err
