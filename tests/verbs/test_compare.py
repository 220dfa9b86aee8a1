"""compare and repeat: what differs between runs, and that a run comes out the same again."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import h5py
import pytest

from qmltrain.cli import main
from qmltrain.errors import InterruptedRun
from qmltrain.runs.store import RunStore
from qmltrain.runs.views import open_run
from qmltrain.sessions.training_run import run_directory
from qmltrain.verbs import compare, repeat, train
from tests.small_configs import CONTEXT, moons


def complete(root: Path, **changes) -> Path:
    config = moons(root, **{"train__epochs": 2, **changes})
    assert train.run(config, CONTEXT) == 0
    return run_directory(config)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    return complete(tmp_path_factory.mktemp("whole"), engine__name="auto")


def changed_copy(whole: Path, to: Path, change) -> Path:
    shutil.copytree(whole, to)
    with h5py.File(to / "run.h5", "r+") as file:
        change(file)
    return to


def test_a_run_and_its_copy_are_equal(whole, tmp_path, capsys):
    shutil.copytree(whole, tmp_path / "copy")
    assert main(["compare", str(whole), str(tmp_path / "copy" / "run.h5")]) == 0
    printed = capsys.readouterr().out
    assert "all stored numbers are equal to the bit" in printed
    assert "differs                          nothing" in printed


def test_config_and_metric_differences_are_named(whole, tmp_path, capsys):
    other = complete(tmp_path, engine__name="auto", optimizer__learning_rate=0.2, train__epochs=3)
    assert compare.run(whole, other, CONTEXT) == 0
    lines = capsys.readouterr().out.splitlines()
    words = [line.split() for line in lines]
    assert ["optimizer.learning_rate", "0.05", "0.2"] in words and ["train.epochs", "2", "3"] in words
    assert not any(line.startswith("run.") for line in lines)
    [row] = [line for line in words if line[:1] == ["test/accuracy"]]
    assert float(row[3]) == pytest.approx(float(row[2]) - float(row[1]), abs=1e-5)
    assert lines[-1].startswith("the stored numbers differ: first metrics: ")


@pytest.mark.parametrize(
    ("path", "at", "where"),
    [
        ("metrics/train_loss", 3, "metrics: train/loss at step 4"),
        ("epochs/val_loss", 1, "epochs: val/loss at epoch 2"),
        ("parameters/values", (2, 1), "parameters: values at step 6"),
        ("evaluation/test/scores", (0, 1), "evaluation of test: scores of row"),
    ],
)
def test_one_changed_bit_is_found(whole, tmp_path, path, at, where):
    def change(file):
        values = file[path][()]
        values[at] += 2e-16 * abs(values[at]) + 1e-300
        assert values[at] != file[path][at]
        file[path][...] = values

    found = compare.first_difference(open_run(whole), open_run(changed_copy(whole, tmp_path / "copy", change)))
    assert found.where.startswith(where) and 0 < found.largest < 1e-14


def test_an_unfinished_run_can_be_compared(whole, tmp_path, monkeypatch, capsys):
    config = moons(tmp_path, train__epochs=2, engine__name="auto")
    stop_after_step(monkeypatch, 4)
    with pytest.raises(InterruptedRun):
        train.run(config, CONTEXT)
    assert compare.run(whole, run_directory(config), CONTEXT) == 0
    printed = capsys.readouterr().out
    assert "(interrupted)" in printed and "the stored numbers differ: first metrics: 6 and 4 rows" in printed


def stop_after_step(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    append, sent = RunStore.append_step, []

    def appending(self, current, *args, **kwargs):
        append(self, current, *args, **kwargs)
        if current == step and not sent:
            sent.append(current)
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(RunStore, "append_step", appending)


def test_a_repeated_run_is_equal_to_the_bit(whole, capsys):
    before = (whole / "run.h5").read_bytes()
    assert main(["repeat", str(whole)]) == 0
    assert "equal to" in capsys.readouterr().out
    assert (whole / "run.h5").read_bytes() == before
    again = whole.with_name(whole.name + "-repeat")
    assert open_run(again).status == "completed"
    assert main(["repeat", str(whole / "run.h5")]) == 0  # the first repetition is complete: another fresh directory
    assert whole.with_name(whole.name + "-repeat-2").is_dir()


def test_a_repetition_that_differs_says_where_and_exits_with_one(whole, tmp_path, capsys):
    def change(file):
        values = file["metrics/train_loss"][()]
        values[2] *= 1 + 1e-12
        file["metrics/train_loss"][...] = values
        file.attrs["device"] = "another machine"

    copy = changed_copy(whole, tmp_path / "copy", change)
    assert main(["repeat", str(copy), f"run.dir={tmp_path / 'again'}"]) == 1
    printed = capsys.readouterr().out
    assert (
        "not equal" in printed and "metrics: train/loss at step 3" in printed and "device another machine ->" in printed
    )


def test_a_stopped_repetition_goes_on(whole, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_after_step(patch, 3)
        with pytest.raises(InterruptedRun):
            repeat.run(whole, CONTEXT, directory=tmp_path / "again")
    assert repeat.run(whole, CONTEXT, directory=tmp_path / "again") == 0


def test_train_from_a_run_is_its_repetition(whole, tmp_path, capsys):
    assert main(["train", "--from", str(whole), f"run.dir={tmp_path / 'again'}"]) == 0
    assert "to the bit" in capsys.readouterr().out


def test_automatic_choices_are_repeated(whole, tmp_path, monkeypatch):
    choices = open_run(whole).attributes["choices"]
    import qmltrain.engines.selection as selection

    monkeypatch.setattr(selection, "AUTO_ORDER", ("reference",))
    assert repeat.run(whole, CONTEXT, directory=tmp_path / "again") == 0
    assert open_run(tmp_path / "again").attributes["choices"] == choices


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["compare", "RUN"], "compare: found 1 words; allowed: two runs"),
        (["compare", "RUN", "absent"], "no run file there"),
        (["repeat", "absent"], "there is no run here"),
        (["repeat", "RUN", "run.dir=RUN"], "is the run itself"),
        (["repeat", "RUN", "train.epochs=3"], "beside the run it takes run.dir"),
        (["train", "--from", "RUN", "train.epochs=3"], "beside the run it takes run.dir"),
        (["--from", "absent"], "there is no run here"),
        (["plan", "--from", "RUN"], "--from: not used by plan, but by train"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_two(whole, words, message, in_empty_directory, capsys):
    assert main([word.replace("RUN", str(whole)) for word in words]) == 2
    ended = capsys.readouterr()
    assert message in ended.err and ended.err.count("\n") == 1 and not ended.out


def test_an_unfinished_run_is_not_repeated(tmp_path, monkeypatch, capsys):
    config = moons(tmp_path)
    with monkeypatch.context() as patch:
        stop_after_step(patch, 2)
        with pytest.raises(InterruptedRun):
            train.run(config, CONTEXT)
    assert main(["repeat", str(run_directory(config))]) == 2
    assert "only a completed run can be repeated" in capsys.readouterr().err
