"""A training killed at any write call goes on to the same bits: some calls here, all of them in the long set."""

from __future__ import annotations

import pytest

from qmltrain.engines.cpu import unavailable_reason
from tests.kills import killed_jobs

MODULE = "tests.sessions.kill_training"
WAYS = ["arrays", *([] if unavailable_reason() else ["native", "flat"])]


def test_killed_at_some_write_calls(kill_shim):
    found = killed_jobs(kill_shim, MODULE, 47, *WAYS)
    assert list(found) == WAYS and all(result["points"] >= 4 for result in found.values())


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_killed_at_every_write_call(kill_shim, way):
    assert killed_jobs(kill_shim, MODULE, 1, way)[way]["points"] > 130
