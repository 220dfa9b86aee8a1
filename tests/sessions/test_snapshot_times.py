"""Snapshots come by time where no number of steps is given; which there are changes no bit."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from qmltrain.models.stored import best_snapshot
from qmltrain.runs.snapshots import SNAPSHOTS, SnapshotFolder
from qmltrain.sessions.training_run import run_directory
from qmltrain.training.trainer import SNAPSHOT_SECONDS
from qmltrain.verbs import train
from tests.clock import set_the_clock
from tests.sessions.stopped_runs import assert_same_bits, at_each_step, train_until
from tests.small_configs import CONTEXT, moons


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """What is saved: ("step" or "best", after this step)."""
    found: list[tuple[str, int]] = []
    save, save_best = SnapshotFolder.save, SnapshotFolder.save_best
    monkeypatch.setattr(SnapshotFolder, "save", lambda s, shot: (found.append(("step", shot.step)), save(s, shot)))
    monkeypatch.setattr(
        SnapshotFolder, "save_best", lambda s, shot: (found.append(("best", shot.step)), save_best(s, shot))
    )
    return found


@pytest.mark.parametrize(
    ("seconds", "steps"), [(1.0, []), (10.0, [3, 6, 9]), (16.0, [2, 4, 6, 8, 10]), (30.0, range(1, 12))]
)
def test_one_every_thirty_seconds(tmp_path: Path, monkeypatch, saved, seconds: float, steps) -> None:
    """A step takes `seconds`; 12 steps, 4 epochs."""
    now = [0.0]

    def tick(step: int) -> None:
        now[0] += seconds

    assert SNAPSHOT_SECONDS == 30
    at_each_step(monkeypatch, before=tick)
    set_the_clock(monkeypatch, lambda: now[0])
    assert train.run(moons(tmp_path, run__save_every=None), CONTEXT) == 0
    regular = [step for kind, step in saved if kind == "step"]
    assert regular[-1] == 12 and set(steps) <= set(regular) <= {*steps, 12}
    assert all(("step", step) in saved for kind, step in saved if kind == "best")  # the best one comes with another


def test_the_best_parameters_are_there_however_it_ends(tmp_path: Path, saved) -> None:
    """After a stop and at the end, the best epoch is that of a run that saves each best one at once."""
    at_once = moons(tmp_path / "at once")
    assert train.run(at_once, CONTEXT) == 0
    saved.clear()
    by_time = moons(tmp_path / "by time", run__save_every=None)
    stopped = train_until(by_time, 7)
    assert saved == [("best", 7), ("step", 7)]
    assert best_snapshot(stopped).state["training"]["best_epoch"] == 2
    assert train.run(by_time, CONTEXT) == 0
    ended, expected = best_snapshot(stopped), best_snapshot(run_directory(at_once))
    assert ended.state["training"]["best_epoch"] == expected.state["training"]["best_epoch"]
    assert ended.arrays["best_theta"].tobytes() == expected.arrays["best_theta"].tobytes()


def test_a_killed_run_starts_over_and_ends_alike(tmp_path: Path) -> None:
    whole, killed = moons(tmp_path / "whole", run__save_every=None), moons(tmp_path / "killed", run__save_every=None)
    assert train.run(whole, CONTEXT) == 0
    if (child := os.fork()) == 0:
        with pytest.MonkeyPatch.context() as patch:
            at_each_step(patch, lambda step: step == 8 and os.kill(os.getpid(), signal.SIGKILL))
            train.run(killed, CONTEXT)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert not list((run_directory(killed) / SNAPSHOTS).glob("*.snapshot"))
    assert train.run(killed, CONTEXT) == 0
    assert_same_bits(run_directory(whole), run_directory(killed))
