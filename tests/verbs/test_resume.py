"""resume: a run goes on from its path alone, to the bits of the uninterrupted one."""

from __future__ import annotations

import signal

from qmltrain.sessions.training_run import run_directory
from qmltrain.verbs import resume
from tests.sessions.complete_runs import complete
from tests.sessions.stopped_runs import assert_same_bits, train_until
from tests.small_configs import CONTEXT, moons


def test_resume_takes_a_path_alone(tmp_path):
    whole = complete(tmp_path / "whole", run__gradients="full")
    config = moons(tmp_path / "stopped", run__gradients="full")
    directory = run_directory(config)
    train_until(config, 4, signal.SIGTERM)
    assert resume.run(directory, CONTEXT) == 0
    assert_same_bits(whole, directory)
