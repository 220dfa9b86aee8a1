"""A kill before any call by which a session changes a file, and in the middle of any write: at some of these points
here, at all of them in the long set."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.kills import killed_jobs


def kill_everywhere(shim: Path, stride: int, way: str) -> None:
    """Nothing acknowledged is lost at every `stride`-th kill point, and at the last."""
    summary = killed_jobs(shim, "tests.runs.kill_driver", stride, way)
    for session, result in summary.items():
        every = result["calls"] + result["writes"]
        assert result["points"] in (math.ceil(every / stride), math.ceil(every / stride) + 1), session  # and the last
    assert summary["fresh"]["calls"] > 100
    assert summary["resumed"]["calls"] > 40


@pytest.mark.parametrize(("stride", "way"), [(17, "steps"), (17, "spans"), (17, "held")])
def test_nothing_acknowledged_is_lost_at_some_kill_points(kill_shim, stride, way):
    """Odd strides: points before a call and in the middle of one take turns."""
    kill_everywhere(kill_shim, stride, way)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["steps", "spans", "held"])
def test_nothing_acknowledged_is_lost_at_any_kill_point(kill_shim, way):
    kill_everywhere(kill_shim, 1, way)
