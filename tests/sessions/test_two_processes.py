"""Two trainings of one directory, one of which comes between the first look of the other and its lock."""

from __future__ import annotations

import multiprocessing
import signal

import pytest

from qmltrain.config.schema import Config
from qmltrain.errors import InputError
from qmltrain.runs.views import open_run
from qmltrain.sessions import training_run
from qmltrain.sessions.training_run import run_directory, train
from tests.sessions.stopped_runs import assert_same_bits, train_until
from tests.small_configs import CONTEXT, moons


def between(monkeypatch: pytest.MonkeyPatch, name: str, act) -> list[str]:
    """`act` once after the first call of `training_run.<name>`, the last thing before the lock; what was printed."""
    function, done = getattr(training_run, name), []

    def called(*arguments):
        found = function(*arguments)
        if not done:
            done.append(name)
            act()
        return found

    monkeypatch.setattr(training_run, name, called)
    return done


def go(config: Config) -> int:
    return train(config, CONTEXT, run_directory(config))


@pytest.mark.parametrize("seen", ["existing_status", "build_problem", "make_directory"])
def test_a_run_that_another_process_trained_meanwhile_is_complete(tmp_path, monkeypatch, capsys, seen):
    config = moons(tmp_path)
    assert between(monkeypatch, seen, lambda: go(config)) == []
    assert go(config) == 0
    out = capsys.readouterr().out
    assert out.count("this run is complete; nothing to do") == 1 and out.count("run file ") == 2
    assert open_run(run_directory(config)).status == "completed"


def test_a_stopped_run_that_another_process_finished_meanwhile_is_complete(tmp_path, monkeypatch, capsys):
    config = moons(tmp_path)
    train_until(config, 3)
    between(monkeypatch, "existing_status", lambda: go(config))
    assert go(config) == 0
    assert "this run is complete; nothing to do" in capsys.readouterr().out


def test_a_run_that_another_process_began_meanwhile_is_gone_on_with(tmp_path, monkeypatch):
    whole, config = moons(tmp_path / "whole"), moons(tmp_path / "shared")
    assert go(whole) == 0

    def stopped() -> None:
        signal.signal(signal.SIGUSR1, signal.SIG_DFL)  # what the parent listens to is its own
        train_until(config, 3)

    def in_another_process() -> None:
        process = multiprocessing.get_context("fork").Process(target=stopped)
        process.start()
        process.join()
        assert open_run(run_directory(config)).status == "interrupted"

    between(monkeypatch, "make_directory", in_another_process)
    assert go(config) == 0
    assert_same_bits(run_directory(whole), run_directory(config))


def test_never_means_never(tmp_path, monkeypatch):
    config, again = moons(tmp_path), moons(tmp_path)
    again.run.resume = "never"
    between(monkeypatch, "make_directory", lambda: go(config))
    with pytest.raises(InputError, match="holds a run already"):
        go(again)
