"""Draws that must never change: pinned words, ranges, and fair-looking counts."""

from __future__ import annotations

from collections import Counter

import pytest

from qmltrain.circuit.library.random_draws import RandomDraws
from qmltrain.errors import InputError


def test_pinned() -> None:
    draws = RandomDraws(1, 2)
    assert [draws.below(100) for _ in range(8)] == [23, 4, 42, 71, 72, 44, 22, 58]
    assert RandomDraws(1, 2).shuffled(range(8)) == [4, 6, 7, 5, 3, 2, 0, 1]


def test_ranges_and_counts() -> None:
    draws = RandomDraws(0)
    counts = Counter(draws.below(5) for _ in range(5000))
    assert sorted(counts) == [0, 1, 2, 3, 4] and min(counts.values()) > 850
    numbers = [draws.uniform() for _ in range(2000)]
    assert 0 <= min(numbers) < 0.01 and 0.99 < max(numbers) < 1
    orders = Counter(tuple(draws.shuffled("abc")) for _ in range(1200))
    assert len(orders) == 6 and min(orders.values()) > 130
    assert draws.below(1) == 0 and draws.shuffled([]) == []


def test_many_at_once_are_the_same() -> None:
    one, many = RandomDraws(3), RandomDraws(3)
    assert many.many_below(5, 100) == [one.below(5) for _ in range(100)]
    assert many.below(7) == one.below(7)


def test_seeds_are_told_apart() -> None:
    firsts = {RandomDraws(*key).below(2**60) for key in [(0,), (1,), (0, 1), (1, 1), (2**32,), (2**70,)]}
    assert len(firsts) == 6


@pytest.mark.parametrize("seed", [-1, 1.0, "1", True, None])
def test_bad_seeds_are_refused(seed: object) -> None:
    with pytest.raises(InputError, match=r"^there: a whole number from 0 on"):
        RandomDraws(seed, where="there")
