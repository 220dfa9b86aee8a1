"""Sweeps of real trainings: stopped, started again, one bad point, and collected."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from qmltrain.cli import main
from qmltrain.runs.differences import first_difference
from qmltrain.runs.store import RunStore
from qmltrain.runs.views import open_run
from tests.sessions.stopped_runs import at_each_step, stop_at

WORDS = [
    "-m", "dataset=make_moons", "dataset.n_samples=40", "preprocess=angles", "circuit.n_qubits=2", "encoding.repeats=1",
    "engine.name=interpreter", "train.epochs=1", "train.batch_size=12", "run.progress=none", "train.baseline=false",
]  # fmt: skip


def statuses() -> dict[Path, str]:
    return {path.parent: open_run(path).status for path in sorted(Path("runs").glob("*/run.h5"))}


def test_a_sweep_started_again_skips_what_is_finished(in_empty_directory, monkeypatch, capsys):
    words = [*WORDS, "run.seed=range(0,3)", "optimizer.learning_rate=0.05,0.1"]
    steps = []

    def stopping(step):
        steps.append(step)
        if len(steps) == 5:  # two runs of two steps, and one step of the third
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        at_each_step(patch, stopping)
        assert main([*words, "hydra.sweep.dir=first"]) == 75
    assert sorted(statuses().values()) == ["completed", "completed", "interrupted"]
    finished = {path: (path / "run.h5").stat().st_mtime_ns for path, s in statuses().items() if s == "completed"}
    trained, append = [], RunStore.append_steps

    def counting(self, first, *args, **kwargs):
        trained.append((self.directory, first))
        append(self, first, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(RunStore, "append_steps", counting)
        assert main([*words, "hydra.sweep.dir=second"]) == 0
    assert list(statuses().values()) == ["completed"] * 6
    assert {path: (path / "run.h5").stat().st_mtime_ns for path in finished} == finished
    assert not {directory.resolve() for directory, _ in trained} & {path.resolve() for path in finished}
    capsys.readouterr()

    assert main(["collect", "second", "--over", "run.seed"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["optimizer.learning_rate"], row["n"]) for row in rows] == [("0.05", "3"), ("0.1", "3")]


def test_cross_validation(in_empty_directory, capsys):
    """Folds are runs: swept, collected, evaluated again; together their test splits are all but the one kept apart."""
    words = [*WORDS, "dataset.folds=4", "hydra.sweep.dir=folds", "run.progress=lines"]
    assert main([*words, "dataset.fold=range(0,4)"]) == 0
    assert "; test is fold 3 of 0 to 3, 8 samples are kept apart" in capsys.readouterr().err
    runs = [open_run(path.parent) for path in Path("runs").glob("*/run.h5")]
    assert len(runs) == 4
    tested = np.concatenate([run.evaluation("test")["rows"] for run in runs])
    assert len(tested) == len(set(tested.tolist())) == 32
    assert main([*words[1:], "run.root=whole", "dataset.folds=null"]) == 0
    [whole] = Path("whole").glob("*/run.h5")
    assert not set(open_run(whole.parent).evaluation("test")["rows"].tolist()) & set(tested.tolist())
    capsys.readouterr()
    assert main(["collect", "folds", "--over", "dataset.fold"]) == 0
    [row] = csv.DictReader(io.StringIO(capsys.readouterr().out))
    accuracies = [np.mean(r.evaluation("test")["labels"] == r.evaluation("test")["predictions"]) for r in runs]
    assert row["n"] == "4" and float(row["test/accuracy mean"]) == pytest.approx(np.mean(accuracies))
    for path in sorted(Path("runs").glob("*")):
        assert main(["evaluate", str(path)]) == 0
    assert main([*words[1:], "dataset.fold=4"]) == 2
    assert "dataset.fold: found 4; allowed with dataset.folds=4: 0 to 3" in capsys.readouterr().err


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


def points() -> list[dict]:
    [path] = Path("multirun").glob("*/*/points.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("seeds", ["2", pytest.param("1,2", marks=pytest.mark.slow)])
def test_a_point_equals_a_run_by_itself(in_empty_directory, seeds):
    swept = {"run.seed": seeds, "head": "linear,scaled", "preprocess.range": "[0,1],[-1,1]"}
    assert main([*WORDS, *(f"{key}={values}" for key, values in swept.items())]) == 0
    assert len(points()) == (8 if "," in seeds else 4)
    for point in points():
        words = [word for word in WORDS if word != "-m"] + point["overrides"][-len(swept) :]
        assert main([*words, "run.root=alone"]) == 0
        run = Path(point["run"])
        alone = Path("alone", run.name)  # the same name: the same hash of the config
        first, second = open_run(run), open_run(alone)
        assert first_difference(first, second) is None
        ours, theirs = ({**view.config, "run": {**view.config["run"], "root": None}} for view in (first, second))
        assert ours == theirs
        files = [sorted(path.relative_to(base) for path in base.rglob("*")) for base in (run, alone)]
        assert files[0] == files[1]
        left_aside = {"run_id", "command_line", "overrides", "config_yaml", "started_utc", "sessions", "git_dirty"}
        for name in first.attributes.keys() - left_aside:
            if "seconds" not in name and "utc" not in name:
                assert np.array_equal(first.attributes[name], second.attributes[name]), name


def samples(path: Path, scale: float) -> None:
    generator = np.random.default_rng(0)
    np.savez(path, x=scale * generator.normal(size=(40, 2)), y=np.arange(40) % 2)


@pytest.fixture
def after_the_first_point(monkeypatch):
    """Something to do when the first run of a sweep is closed."""
    doings, close = [], RunStore.close

    def closing(self, *args, **kwargs):
        close(self, *args, **kwargs)
        while doings:
            doings.pop()()

    monkeypatch.setattr(RunStore, "close", closing)
    return doings


def test_data_that_change_while_a_sweep_runs_are_read_anew(in_empty_directory, after_the_first_point):
    samples(Path("d.npz"), 1.0)
    after_the_first_point.append(lambda: samples(Path("d.npz"), 2.0))
    words = [word for word in WORDS if not word.startswith("dataset")]
    assert main([*words, "dataset=npz", "dataset.path=d.npz", "optimizer.learning_rate=0.1,0.2,0.3"]) == 0
    first, second, third = (open_run(point["run"]).attributes["dataset_checksum"] for point in points())
    assert first != second == third


def test_configs_that_change_while_a_sweep_runs_are_those_it_began_with(in_empty_directory, after_the_first_point):
    Path("mine/experiment").mkdir(parents=True)
    file = Path("mine/experiment/rates.yaml")
    file.write_text("optimizer:\n  learning_rate: 0.25\n")
    after_the_first_point.append(lambda: file.write_text("optimizer: [broken\n"))
    assert main([*WORDS, "--config-dir", "mine", "experiment=rates", "run.seed=1,2"]) == 0
    assert [open_run(point["run"]).config["optimizer"]["learning_rate"] for point in points()] == [0.25, 0.25]
