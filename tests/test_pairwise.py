"""Coverings have every pair, few rows, and leave nothing of the product out."""

from __future__ import annotations

import itertools

import pytest

from tests.examples import examples
from tests.pairwise import covering

AXES = [
    ([1, 2, 3], ["a", "b"], range(9), [True, False], ["p", "q", "r"]),
    ([1, 2, 3], ["a", "b", "c"], "xyz"),
    ([1], ["a", "b"], "xyz"),
    ([1, 2], ["a", "b", "c"]),
    ([1, 2],),
    ([], ["a", "b"], "xyz"),
]


@pytest.mark.parametrize("axes", AXES)
def test_every_pair_is_in_an_unmarked_case(axes):
    cases = covering(*axes)
    assert [case.values for case in cases] == list(itertools.product(*axes))
    assert all(case.marks in ([], [pytest.mark.slow]) for case in cases)
    everything, unmarked = ([case.values for case in of] for of in (cases, [one for one in cases if not one.marks]))
    for a, b in itertools.product(range(len(axes)), repeat=2):
        assert {(row[a], row[b]) for row in unmarked} == {(row[a], row[b]) for row in everything}
    assert covering(*axes) == cases


def test_a_value_may_be_several_with_marks_of_their_own():
    axis = [pytest.param(1, 2, id="one two"), pytest.param(3, 4, marks=pytest.mark.gpu, id="three four")]
    cases = covering(axis, ["a"], [len, None])
    assert [case.values for case in cases] == [(1, 2, "a", len), (1, 2, "a", None), (3, 4, "a", len), (3, 4, "a", None)]
    assert [case.id for case in cases[1:3]] == ["one two-a-None", "three four-a-len"]
    assert [list(case.marks) for case in cases] == [[], [], [pytest.mark.gpu], [pytest.mark.gpu]]


def test_a_covering_is_small():
    """Not below the product of the two longest axes, and little above it."""
    unmarked = [case for case in covering(*AXES[0]) if not case.marks]
    assert 27 <= len(unmarked) <= 30
    assert sum(not case.marks for case in covering(*AXES[1])) <= 12


@pytest.mark.parametrize(("count", "fewer"), [(200, 50), (40, 12), (12, 12), (8, 8)])
def test_a_part_of_the_examples(count, fewer):
    assert examples(count, explores=True) == count
    assert examples(count, explores=False) == fewer
    assert examples(count, 2, explores=False) == max(2, count // 4)
