"""A scan killed at any call that changes a file goes on to the same bits, from nothing and while its file grows: some
calls here, all of them in the long set."""

from __future__ import annotations

import pytest

from tests.kills import killed_jobs

MODULE = "tests.scans.kill_scan"
WAYS = ("fresh", "growing")


def test_killed_at_some_write_calls(kill_shim):
    found = killed_jobs(kill_shim, MODULE, 17, *WAYS)
    assert [result["points"] >= 3 for result in found.values()] == [True, True]


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_killed_at_every_write_call(kill_shim, way):
    assert killed_jobs(kill_shim, MODULE, 1, way)[way]["points"] >= 45
