"""A kill at any moment: before each call by which a session changes a file, and in the middle of each write."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kills import killed_jobs


@pytest.mark.parametrize("words", [(), ("spans",)], ids=["steps", "spans"])
def test_nothing_acknowledged_is_lost_at_any_kill_point(kill_shim: Path, words: tuple[str, ...]) -> None:
    summary = killed_jobs(kill_shim, "tests.runs.kill_driver", *words)
    for session, result in summary.items():
        assert result["failures"] == [], (session, len(result["failures"]))
        assert result["points"] == result["calls"] + result["writes"]
    assert summary["fresh"]["calls"] > 100
    assert summary["resumed"]["calls"] > 40
