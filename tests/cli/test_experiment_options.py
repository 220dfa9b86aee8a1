"""What an experiment sets for another entry is dropped with a line; what the user sets is refused."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

EXPERIMENT = """
defaults:
  - override /optimizer: sgd
  - override /schedule: step
  - _self_
circuit: {n_qubits: 2}
dataset: {name: iris}
encoding: {repeats: 2}
preprocess: {pca: 2, range: [-1, 1]}
optimizer: {momentum: 0.9, learning_rate: 0.3}
schedule: {step_epochs: 1}
train: {epochs: 1, batch_size: 16, baseline: false, initial: normal, initial_scale: 0.3}
engine: {name: interpreter}
run: {progress: none, name: mine}
"""


@pytest.fixture
def mine(qmltrain):
    Path("own/experiment").mkdir(parents=True)
    Path("own/experiment/mine.yaml").write_text(EXPERIMENT)
    return lambda *words: qmltrain("--config-dir", "own", *words)


LEFT_OUT = "qmltrain: left out, set by the experiment alone: "
CASES = [
    (["encoding=angle"], ["encoding.repeats"]),
    (
        ["optimizer=adam", "schedule=cosine", "train.initial=zeros", "preprocess.scale=standard"],
        ["optimizer.momentum", "schedule.step_epochs", "train.initial_scale", "preprocess.range"],
    ),
    (
        ["optimizer=lbfgs"],
        ["optimizer.momentum", "optimizer.learning_rate", "train.batch_size", "schedule.name", "schedule.step_epochs"],
    ),
]


@pytest.mark.parametrize(("words", "dropped"), CASES, ids=lambda value: " ".join(value))
def test_it_is_left_out_and_the_run_is_that_of_the_config_without_it(mine, words, dropped):
    ended = mine("experiment=mine", *words)
    assert ended.code == 0, ended.err
    lines = [line for line in ended.err.splitlines() if line.startswith(LEFT_OUT)]
    assert sorted(line.removeprefix(LEFT_OUT).partition(":")[0] for line in lines) == sorted(dropped)
    [run] = Path("runs").iterdir()
    nothing = {"schedule.name": "cosine", "optimizer.learning_rate": "0.05", "train.batch_size": "32",
               "preprocess.range": "[-1.5707963267948966,1.5707963267948966]"}  # fmt: skip
    explicit = [f"{key}={nothing.get(key, 'null')}" for key in dropped]
    again = mine("experiment=mine", *words, *explicit)
    assert again.code == 0 and "this run is complete" in again.out and LEFT_OUT not in again.err
    assert list(Path("runs").iterdir()) == [run]


def test_files_of_an_experiment_make_room_for_one_that_holds_all(qmltrain):
    """`experiment=mnist_full` names four files."""
    rng = np.random.default_rng(3)
    with h5py.File("rows.h5", "w") as file:
        for part, number in (("train", 60), ("test", 20)):
            file[f"x_{part}"] = rng.uniform(0, 255, (number, 28, 28))
            file[f"y_{part}"] = np.arange(number) % 2
    small = ["dataset=hdf5", "dataset.path=rows.h5", "ansatz.layers=1", "train.epochs=1", "engine.name=cpu"]
    done = qmltrain("experiment=mnist_full", *small, "dataset.test_path=null", "run.dir=run", "run.progress=none")
    assert done.code == 0, done.err
    assert f"{LEFT_OUT}dataset.test_labels_path: found without dataset.test_path" in done.err


def test_what_the_user_set_is_refused(mine):
    ended = mine("experiment=mine", "encoding=angle", "encoding.repeats=2")
    assert ended.code == 2 and "encoding.repeats: not used by angle" in ended.err and LEFT_OUT not in ended.err
    ended = mine("experiment=mine", "optimizer=lbfgs", "train.batch_size=16", "optimizer.momentum=null")
    assert ended.code == 2 and "train.batch_size: found 16" in ended.err
    assert not Path("runs").exists()


def test_a_mistake_of_the_experiment_itself_is_refused(mine, qmltrain):
    Path("own/experiment/wrong.yaml").write_text(EXPERIMENT + "ansatz: {name: hea, ranges: [1]}\n")
    ended = qmltrain("--config-dir", "own", "experiment=wrong")
    assert ended.code == 2 and "ansatz.ranges: not used by hea" in ended.err


@pytest.mark.parametrize("verb", ["plan", "gradient"])
def test_every_verb(mine, verb):
    ended = mine(verb, "experiment=mine", "encoding=angle")
    assert ended.code == 0 and ended.err.count(LEFT_OUT + "encoding.repeats") == 1, ended.err


def test_a_sweep(mine):
    ended = mine("-m", "experiment=mine", "encoding=angle,reuploading")
    assert ended.code == 0 and ended.err.count(LEFT_OUT) == 1, ended.err
    [points] = Path("multirun").glob("*/*/points.jsonl")
    runs = [json.loads(line)["run"] for line in points.read_text().splitlines()]
    assert sorted(map(Path, runs)) == sorted(path.absolute() for path in Path("runs").iterdir())
    assert "this run is complete" in mine("experiment=mine", "encoding=angle").out
