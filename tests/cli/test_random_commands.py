"""Whatever is typed ends in its work or in one line; nothing is internal and nothing is thrown."""

from __future__ import annotations

from pathlib import Path

import pytest

from qmltrain.cli import dispatch
from qmltrain.cli.user_configs import read_user_config
from qmltrain.errors import InputError
from tests.cli.random_commands import random_command, random_file


@pytest.mark.parametrize("first", [0, 15, *(pytest.param(k, marks=pytest.mark.slow) for k in (30, 45))])
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


def test_a_file_is_read_or_refused_by_its_name(qmltrain, monkeypatch):
    monkeypatch.setattr(dispatch, "verb_function", lambda verb: lambda *paths, **options: 0)
    path = Path("own/experiment/mine.yaml")
    path.parent.mkdir(parents=True)
    composed = 0
    for seed in range(200):
        text = random_file(seed)
        path.write_text(text)
        try:
            read_user_config(path, "experiment")
        except InputError as error:
            assert str(path) in str(error) and "\n" not in str(error), (text, error)
            continue
        composed += 1
        if composed % 10:  # composing takes a tenth of a second
            continue
        ended = qmltrain("--config-dir", "own", "experiment=mine")
        assert ended.code in (0, 2) and "internal:" not in ended.err, (text, ended.err)
        if ended.code == 2:
            assert ended.err.startswith("qmltrain: error: ") and ended.err.count("\n") == 1, (text, ended.err)
