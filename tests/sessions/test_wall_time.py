"""The wall time of an epoch is that of all sessions that had a part in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from qmltrain.runs.views import open_run
from qmltrain.verbs import train
from tests.clock import set_the_clock
from tests.sessions.stopped_runs import at_each_step, train_until
from tests.small_configs import CONTEXT, moons

SECONDS = 10.0  # of a step


@pytest.mark.parametrize("stop_after", [1, 4, 5])
def test_an_epoch_of_two_sessions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_after: int) -> None:
    now = [1000.0]

    def tick(step: int) -> None:
        now[0] += SECONDS

    at_each_step(monkeypatch, before=tick)
    set_the_clock(monkeypatch, lambda: now[0])
    config = moons(tmp_path)
    directory = train_until(config, stop_after)
    now[0] += 86_400  # a day in the queue
    assert train.run(config, CONTEXT) == 0
    epochs = open_run(directory).table("epochs")
    steps = [after - before for before, after in zip([0, *epochs["step"]], epochs["step"], strict=False)]
    assert epochs["wall_seconds"].tolist() == [SECONDS * n for n in steps]
    lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    assert [line["wall_seconds"] for line in lines if "epoch" in line] == epochs["wall_seconds"].tolist()
