"""Where amplitudes stand between passes: linear maps over GF(2) that a pass changes in place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmltrain.fusion.layouts import Reducer, combine
from qmltrain.fusion.passes import Span
from qmltrain.fusion.placement import Placement, intersection
from qmltrain.fusion.plan import PhysicalString
from qmltrain.fusion.spans import _neutral

N = 6
vectors = st.lists(st.integers(1, (1 << N) - 1), max_size=N)


def independent(found: list[int]) -> list[int]:
    span = Span()
    return [v for v in found if span.add(v)]


def members(basis: list[int]) -> set[int]:
    return {combine(basis, k) for k in range(1 << len(basis))}


@given(vectors, vectors)
def test_what_two_spans_have_in_common(a, b):
    a, b = independent(a), independent(b)
    assert members(intersection(a, b)) == members(a) & members(b)


@given(vectors, vectors)
def test_the_vectors_that_no_row_notices(found, rows):
    found = independent(found)
    kernel = _neutral(found, rows)
    assert members(kernel) == {v for v in members(found) if not any((v & row).bit_count() & 1 for row in rows)}


@given(st.lists(vectors, min_size=1, max_size=4))
def test_every_tile_keeps_its_places(tiles):
    """And the chosen directions get the lowest ones, wherever the tile has those."""
    placement = Placement.identity(N)
    for found in tiles:
        lowest = next(z for z in range(1 << N) if placement.of(z) == 1)
        tile = independent([lowest, *found])
        lanes = tile[-1:]
        span = Reducer(tile)
        outside = [1 << b for b in range(N) if span.add(1 << b)]
        after = placement.stored(tile, lanes, outside)
        assert Reducer(after.images).size == N
        assert after.of(lanes[0]) == 1
        for coset in {frozenset(z ^ v for v in members(tile)) for z in range(1 << N)}:
            assert {after.of(z) for z in coset} == {placement.of(z) for z in coset}
        placement = after


def test_a_tile_without_the_lowest_places_is_refused():
    with pytest.raises(ValueError, match="lowest places"):
        Placement.identity(3).stored([2, 4], [2], [1])


@given(st.permutations(range(4)), st.integers(0, 15), st.integers(0, 15), st.integers(1, 3))
def test_strings_move_with_the_amplitudes(order, x_mask, z_mask, mixed):
    placement = Placement(tuple((1 << b) ^ (1 << order[0] if b == order[mixed] else 0) for b in order))
    string = placement.string(PhysicalString(x_mask, z_mask, -1, 1))
    for z in range(16):
        assert placement.of(z ^ x_mask) == placement.of(z) ^ string.x_mask
        assert (z & z_mask).bit_count() & 1 == (placement.of(z) & string.z_mask).bit_count() & 1
    assert (string.sign, string.n_y) == (-1, 1)
