"""resume: a run goes on from its path alone, to the bits of the uninterrupted one."""

from __future__ import annotations

import signal

import pytest

from qmltrain.errors import InterruptedRun
from qmltrain.sessions.training_run import run_directory
from qmltrain.verbs import resume, train
from tests.sessions.complete_runs import complete
from tests.sessions.stopped_runs import assert_same_bits, stop_at
from tests.small_configs import CONTEXT, moons


def test_resume_takes_a_path_alone(tmp_path, monkeypatch):
    whole = complete(tmp_path / "whole", run__gradients="full")
    config = moons(tmp_path / "stopped", run__gradients="full")
    directory = run_directory(config)
    stop_at(monkeypatch, 4, signal.SIGTERM)
    with pytest.raises(InterruptedRun, match="SIGTERM"):
        train.run(config, CONTEXT)
    assert resume.run(directory, CONTEXT) == 0
    assert_same_bits(whole, directory)
