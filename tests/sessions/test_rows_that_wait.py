"""Rows of short steps and epochs are written together, a quarter of a second old at most."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from qmltrain.runs.rows import RowFile
from qmltrain.training import trainer
from qmltrain.training.array_steps import ArraySteps
from qmltrain.training.trainer import SPAN_SECONDS
from qmltrain.verbs import train
from tests.clock import set_the_clock
from tests.sessions.stopped_runs import at_each_step
from tests.small_configs import CONTEXT, moons


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Steps and epochs in the file after each write."""
    found: list[tuple[int, int]] = []
    append = RowFile.append

    def appending(file: RowFile, tables: Any) -> None:
        append(file, tables)
        found.append((file.counts["metrics"].rows, file.counts["epochs"].rows))

    monkeypatch.setattr(RowFile, "append", appending)
    return found


@pytest.mark.parametrize(
    ("seconds", "steps"),
    [(0.0, [3, 12]), (0.0625, [3, 6, 9, 12]), (0.125, range(1, 13)), (SPAN_SECONDS, range(1, 13)), (7.0, range(1, 13))],
)
def test_once_a_quarter_of_a_second(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    written: list[tuple[int, int]],
    seconds: float,
    steps: Sequence[int],
) -> None:
    """A step takes `seconds`; 12 steps, 4 epochs. How long an evaluation takes (no time) the first one, after step 3,
    will show."""
    now = [0.0]

    def tick(step: int) -> None:
        now[0] += seconds

    at_each_step(monkeypatch, before=tick)
    set_the_clock(monkeypatch, lambda: now[0])
    assert train.run(moons(tmp_path, run__save_every=None), CONTEXT) == 0
    assert {step for step, _ in written if step} == set(steps)
    assert written[-1] == (12, 4)


def test_a_long_evaluation_begins_with_all_rows_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: list[tuple[int, int]]
) -> None:
    now = [0.0]
    metrics = trainer.split_metrics

    def slow(*given: Any) -> dict[str, float]:
        assert written[-1][0] == now[0] * 3 + 3  # all steps of this epoch
        now[0] += 1.0
        return metrics(*given)

    set_the_clock(monkeypatch, lambda: now[0])
    monkeypatch.setattr(trainer, "split_metrics", slow)
    assert train.run(moons(tmp_path, run__save_every=None), CONTEXT) == 0
    assert now[0] == 4 and written[-1] == (12, 4)


def test_a_long_step_begins_with_all_rows_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: list[tuple[int, int]]
) -> None:
    """Steps 1, 4, 7, 10 take long; the last one of an epoch, a shorter batch, takes no time."""
    now, asked = [0.0], []
    run = ArraySteps.run

    def stepping(steps: ArraySteps, state: Any, *given: Any) -> Any:
        if state.step % 3 == 0:
            asked.append((state.step, state.epoch))
            assert not state.step or written[-1] == asked[-1]
            now[0] += 5.0
        return run(steps, state, *given)

    set_the_clock(monkeypatch, lambda: now[0])
    monkeypatch.setattr(ArraySteps, "run", stepping)
    assert train.run(moons(tmp_path, run__save_every=None, dataset__validation=0), CONTEXT) == 0
    assert asked == [(0, 0), (3, 1), (6, 2), (9, 3)] and written[-1] == (12, 4)
