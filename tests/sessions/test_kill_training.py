"""A training killed at any write call goes on to the same bits: some calls here, all of them in the long set."""

from __future__ import annotations

import pytest

from qmltrain.engines.cpu import unavailable_reason
from tests.kills import killed_jobs

MODULE = "tests.sessions.kill_training"
NATIVE = pytest.mark.skipif(unavailable_reason() is not None, reason="no C++")
every_way = pytest.mark.parametrize(
    "way", ["arrays", pytest.param("native", marks=NATIVE), pytest.param("flat", marks=NATIVE)]
)


@every_way
def test_killed_at_some_write_calls(kill_shim, way):
    assert killed_jobs(kill_shim, MODULE, way, 23)["points"] >= 6


@pytest.mark.slow
@every_way
def test_killed_at_every_write_call(kill_shim, way):
    assert killed_jobs(kill_shim, MODULE, way, 1)["points"] > 130
