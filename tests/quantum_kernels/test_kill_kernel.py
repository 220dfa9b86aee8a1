"""A kernel job killed at any write call goes on to the same bits: some calls here, all of them in the long set."""

from __future__ import annotations

import pytest

from tests.kills import killed_jobs

MODULE = "tests.quantum_kernels.kill_kernel"


def test_killed_at_some_write_calls(kill_shim):
    assert killed_jobs(kill_shim, MODULE, 43)["kernel"]["points"] >= 3


@pytest.mark.slow
def test_killed_at_every_write_call(kill_shim):
    assert killed_jobs(kill_shim, MODULE, 1)["kernel"]["points"] > 80
