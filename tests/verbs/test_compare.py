"""compare: what differs between two runs, in their configs and in their results."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest

from qmltrain.cli import main
from qmltrain.sessions.training_run import run_directory
from qmltrain.verbs import compare
from tests.sessions.complete_runs import complete
from tests.sessions.stopped_runs import train_until
from tests.small_configs import CONTEXT, moons


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    return complete(tmp_path_factory.mktemp("whole"), engine__name="auto", train__epochs=2)


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


def test_an_unfinished_run_can_be_compared(whole, tmp_path, capsys):
    config = moons(tmp_path, train__epochs=2, engine__name="auto")
    train_until(config, 4, signal.SIGTERM)
    assert compare.run(whole, run_directory(config), CONTEXT) == 0
    printed = capsys.readouterr().out
    assert "(interrupted)" in printed and "the stored numbers differ: first metrics: 6 and 4 rows" in printed


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["compare", "RUN"], "compare: found 1 words; allowed: two runs"),
        (["compare", "RUN", "absent"], "no run file there"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_two(whole, words, message, in_empty_directory, capsys):
    assert main([word.replace("RUN", str(whole)) for word in words]) == 2
    ended = capsys.readouterr()
    assert message in ended.err and ended.err.count("\n") == 1 and not ended.out
