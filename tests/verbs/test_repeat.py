"""repeat: a run comes out the same again, to the bit, or it is said where it does not."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from qmltrain.cli import main
from qmltrain.engines import selection
from qmltrain.errors import InterruptedRun
from qmltrain.runs.views import open_run
from qmltrain.sessions.training_run import run_directory
from qmltrain.verbs import repeat
from tests.runs.edited_files import edited_copy
from tests.sessions.complete_runs import complete
from tests.sessions.stopped_runs import stop_at, train_until
from tests.small_configs import CONTEXT, moons


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    return complete(tmp_path_factory.mktemp("whole"), engine__name="auto", train__epochs=2)


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

    copy = edited_copy(whole, tmp_path / "copy", change)
    assert main(["repeat", str(copy), f"run.dir={tmp_path / 'again'}"]) == 1
    printed = capsys.readouterr().out
    assert (
        "not equal" in printed and "metrics: train/loss at step 3" in printed and "device another machine ->" in printed
    )


def test_a_stopped_repetition_goes_on(whole, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        stop_at(patch, 3, signal.SIGTERM)
        with pytest.raises(InterruptedRun):
            repeat.run(whole, CONTEXT, directory=tmp_path / "again")
    assert repeat.run(whole, CONTEXT, directory=tmp_path / "again") == 0


def test_train_from_a_run_is_its_repetition(whole, tmp_path, capsys):
    assert main(["train", "--from", str(whole), f"run.dir={tmp_path / 'again'}"]) == 0
    assert "to the bit" in capsys.readouterr().out


def test_automatic_choices_are_repeated(whole, tmp_path, monkeypatch):
    choices = open_run(whole).attributes["choices"]
    monkeypatch.setattr(selection, "AUTO_ORDER", ("reference",))
    assert repeat.run(whole, CONTEXT, directory=tmp_path / "again") == 0
    assert open_run(tmp_path / "again").attributes["choices"] == choices


def test_an_unfinished_run_is_not_repeated(tmp_path, capsys):
    config = moons(tmp_path)
    train_until(config, 2, signal.SIGTERM)
    assert main(["repeat", str(run_directory(config))]) == 2
    assert "only a completed run can be repeated" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
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
