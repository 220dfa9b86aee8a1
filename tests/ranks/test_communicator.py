"""What ranks do together, and how they fail together wherever they are."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from qmltrain.engines.cpu import unavailable_reason
from qmltrain.errors import InputError
from qmltrain.ranks.communicator import AnotherRankFailed, Communicator
from tests.ranks import thread_ranks

MEMORY = pytest.param(True, marks=pytest.mark.skipif(unavailable_reason() is not None, reason="no C++ extension"))


@pytest.fixture(params=[False, MEMORY], ids=["messages", "memory"])
def on_ranks(request: pytest.FixtureRequest) -> Callable[..., list[Any]]:
    return partial(thread_ranks.on_ranks, memory=request.param)


def test_everyone_gets_what_the_first_one_made(on_ranks) -> None:
    def made(ranks: Communicator) -> dict[str, float]:
        return ranks.from_first(lambda: {"rank": ranks.rank, "array": np.arange(3.0).sum()})

    assert on_ranks(3, made) == [{"rank": 0, "array": 3.0}] * 3


def test_words_are_joined_and_numbers_gathered(on_ranks) -> None:
    def gathered(ranks: Communicator) -> tuple[int, list[float]]:
        numbers = np.zeros(3)
        numbers[[slice(0, 1), slice(1, 1), slice(1, 3)][ranks.rank]] = 10 + ranks.rank
        return ranks.gather(1 << ranks.rank, numbers, [1, 0, 2]), numbers.tolist()

    assert on_ranks(3, gathered) == [(7, [10.0, 12.0, 12.0])] * 3


def test_numbers_stay_where_a_part_is_missing(on_ranks) -> None:
    def gathered(ranks: Communicator) -> tuple[int, list[float]]:
        numbers = np.full(2, float(ranks.rank))
        return ranks.gather(8 * ranks.rank, numbers, [1, 1]), numbers.tolist()

    assert on_ranks(2, gathered) == [(8, [0.0, 0.0]), (8, [1.0, 1.0])]


def test_what_differs_is_said_by_all(on_ranks) -> None:
    def check(ranks: Communicator) -> str:
        ranks.check_same("dataset", "abc", "no remedy")
        with pytest.raises(InputError) as error:
            ranks.check_same("engine.name", "avx2" if ranks.rank < 2 else "avx512", "take nodes of one kind")
        return str(error.value)

    assert on_ranks(4, check) == ["engine.name: rank 0 has avx2, rank 2 has avx512; take nodes of one kind"] * 4


@pytest.mark.parametrize("place", ["gather", "from_first", "texts", "leave"])
@pytest.mark.parametrize("failing", [0, 2])
def test_a_failure_is_heard_at_any_place(on_ranks, place: str, failing: int) -> None:
    def work(ranks: Communicator) -> None:
        if ranks.rank == failing:
            raise ValueError("broken")
        match place:
            case "gather":
                ranks.gather(0, np.zeros(3), [1, 1, 1])
            case "from_first":
                ranks.from_first(lambda: "x")
            case "texts":
                ranks.texts("x")
            case "leave":
                ranks.leave()

    found = on_ranks(3, work)
    assert isinstance(found[failing], ValueError)
    for rank in {0, 1, 2} - {failing}:
        assert isinstance(found[rank], AnotherRankFailed) and found[rank].rank == failing


def test_all_that_fail_alike_fail_as_one(on_ranks) -> None:
    def work(ranks: Communicator) -> tuple[int, str]:
        return ranks.fail(InputError("x"), 2, "error: x")

    assert on_ranks(3, work) == [(2, "error: x")] * 3


def test_of_several_failures_the_first_rank_s_is_told(on_ranks) -> None:
    def work(ranks: Communicator) -> tuple[int, str]:
        return ranks.fail(OSError(), 1 + ranks.rank, f"error: {ranks.rank}") if ranks.rank else heard(ranks)

    def heard(ranks: Communicator) -> tuple[int, str]:
        with pytest.raises(AnotherRankFailed) as error:
            ranks.leave()
        return ranks.fail(error.value, 99, "not told")

    assert on_ranks(3, work) == [(2, "rank 1: error: 1")] * 3


def test_ranks_at_different_places_fail(on_ranks) -> None:
    def work(ranks: Communicator) -> None:
        if ranks.rank:
            ranks.leave()
        else:
            ranks.gather(0, np.zeros(0), [0, 0])

    for error in on_ranks(2, work):
        assert isinstance(error, RuntimeError) and "different places" in str(error)
