"""A scan killed at any call that changes a file goes on to the same bits, from nothing and while its file grows: some
calls here, all of them in the long set."""

from __future__ import annotations

import pytest

from tests.kills import killed_jobs

MODULE = "tests.scans.kill_scan"
every_way = pytest.mark.parametrize("way", ["fresh", "growing"])


@every_way
def test_killed_at_some_write_calls(kill_shim, way):
    assert killed_jobs(kill_shim, MODULE, way, 17)["points"] >= 2


@pytest.mark.slow
@every_way
def test_killed_at_every_write_call(kill_shim, way):
    assert killed_jobs(kill_shim, MODULE, way, 1)["points"] >= 45
