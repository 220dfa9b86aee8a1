"""Whatever is typed ends in its work or in one line; nothing is internal and nothing is thrown."""

from __future__ import annotations

import pytest

from qmltrain.cli import dispatch
from tests.cli.random_commands import random_command


@pytest.mark.parametrize("first", range(0, 60, 15))
def test_it_ends_in_its_work_or_in_one_line(qmltrain, monkeypatch, first):
    monkeypatch.setattr(dispatch, "verb_function", lambda verb: lambda *paths, **options: 0)
    monkeypatch.setattr("qmltrain.sessions.results.objective", lambda directory, monitor: 0.5)
    for seed in range(first, first + 15):
        words = [word for word in random_command(seed) if word != "-v"]
        ended = qmltrain(*words)
        assert ended.code in (0, 2) or ("-m" in words and ended.code == 1), (words, ended.err)
        assert "internal:" not in ended.err and "Traceback" not in ended.err and len(ended.err) < 4000, (
            words,
            ended.err,
        )
        if ended.code == 2:
            assert ended.err.startswith("qmltrain: error: ") and ended.err.count("\n") == 1, (words, ended.err)
