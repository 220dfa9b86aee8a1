"""The flat-loss rule against its definition, step by step; whatever steps are looked at together."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.training import flat_loss
from qmltrain.training.flat_loss import first_flat, recent
from tests.training.flat_losses import by_definition


def falling(seed: int, n: int = 300, noise: float = 0.05) -> np.ndarray:
    steps = np.arange(n)
    return np.exp(-steps / 40) + noise * np.random.default_rng(seed).normal(size=n)


@pytest.mark.parametrize("window", [2, 3, 20, 47])
@pytest.mark.parametrize("seed", range(6))
def test_the_first_flat_step_is_that_of_the_definition(window, seed):
    losses = falling(seed)
    expected = by_definition(losses, window)
    assert first_flat(np.empty(0), losses, window) == expected
    assert expected is not None


@pytest.mark.parametrize("cuts", [[], [1], [17], [1] * 299, [39, 40, 1, 2, 100], [298]])
def test_where_spans_end_changes_nothing(cuts):
    losses, window = falling(9), 20
    expected, before, done = by_definition(losses, window), np.empty(0), 0
    for part in np.split(losses, np.cumsum(cuts)):
        flat = first_flat(before, part, window)
        before = recent(before, part, window)
        assert len(before) == min(2 * window, done + len(part))
        if flat is not None:
            assert done + flat == expected
            return
        done += len(part)
    raise AssertionError("never flat")


@pytest.mark.parametrize("centred", [False, True])
def test_sums_of_many_windows_have_the_bits_of_one(centred):
    """The comparison is exact, so that steps that are looked at together must not change it."""
    values = np.random.default_rng(1).normal(size=4000)
    rows = np.lib.stride_tricks.sliding_window_view(values, 200)
    centre = values[: len(rows)] if centred else None
    many = flat_loss._sums(rows, centre)
    for k in range(0, len(rows), 97):
        for size in (1, 2, flat_loss._FEW, flat_loss._FEW + 1):
            few = flat_loss._sums(rows[k : k + size], None if centre is None else centre[k : k + size])
            assert many[k : k + size].tobytes() == few.tobytes()


def test_never_before_two_windows_and_a_step():
    assert first_flat(np.empty(0), np.ones(10), 5) is None
    assert first_flat(np.empty(0), np.ones(11), 5) == 10
    assert first_flat(np.ones(10), np.ones(1), 5) == 0
    assert first_flat(np.ones(500), np.ones(3), 5) == 0
    assert first_flat(np.empty(0), np.arange(500.0), 5) is None  # a line does not end
