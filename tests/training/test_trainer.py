"""The trainer: which epoch's parameters are the best, and when there was no improvement for too long."""

from __future__ import annotations

from math import inf, nan
from types import SimpleNamespace

import numpy as np
import pytest

from qmltrain.training.state import TrainingPlan, TrainingState
from qmltrain.training.trainer import Trainer


def judged(values: list[float], metric: str) -> tuple[list[int], TrainingState]:
    """The epochs after which best parameters were saved, and the state at the end."""
    loss = SimpleNamespace(n_classes=3, supervised=True)
    model = SimpleNamespace(loss=loss, layers=lambda: ((), np.zeros(1, dtype=int)))
    saved: list[int] = []
    plan = TrainingPlan(9, 9, 9, f"val/{metric}", None, None, lambda step: 0.1)
    trainer = Trainer(SimpleNamespace(model=model), None, None, plan, None, print, lambda s: saved.append(s.epoch))
    state = TrainingState(np.zeros(1))
    for epoch, value in enumerate(values, 1):
        state.epoch, state.theta_P = epoch, np.full(1, float(epoch))
        trainer._judge(state, {f"val/{metric}": value})
    return saved, state


@pytest.mark.parametrize(
    ("metric", "values", "saved", "stale"),
    [
        ("loss", [0.5, 0.4, 0.6, 0.3], [1, 2, 4], 0),
        ("loss", [0.5, 0.5, 0.5], [1], 2),  # a tie is no improvement
        ("accuracy", [0.5, 0.4, 0.6, 0.6], [1, 3], 1),
        ("accuracy", [0.9, 0.8, 0.7], [1], 2),
        ("loss", [nan, 0.7, nan, 0.6], [1, 2, 4], 0),  # any number is better than NaN
        ("loss", [inf, nan, 1.0], [1, 3], 0),
    ],
)
def test_the_first_best_epoch_stays(metric: str, values: list[float], saved: list[int], stale: int) -> None:
    found, state = judged(values, metric)
    assert (found, state.stale_epochs) == (saved, stale)
    assert state.best_epoch == saved[-1] and state.best_value == values[saved[-1] - 1]
    assert state.best_theta_P is not None and state.best_theta_P[0] == saved[-1]
