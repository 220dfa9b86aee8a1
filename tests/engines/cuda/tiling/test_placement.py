"""Where amplitudes stand between passes: linear maps over GF(2) that a pass changes in place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmltrain.engines.cuda.tiling.placement import Placement
from qmltrain.fusion.plan import PhysicalString
from qmltrain.gf2 import Span, combine

N = 6
vectors = st.lists(st.integers(1, (1 << N) - 1), max_size=N)


def members(basis: list[int]) -> set[int]:
    return {combine(basis, k) for k in range(1 << len(basis))}


@given(st.lists(vectors, min_size=1, max_size=4))
def test_every_tile_keeps_its_places(tiles):
    """And the chosen directions get the lowest ones, wherever the tile has those."""
    placement = Placement.identity(N)
    for found in tiles:
        lowest = next(z for z in range(1 << N) if placement.of(z) == 1)
        tile = Span([lowest, *found]).basis
        lanes = tile[-1:]
        span = Span(tile)
        outside = [1 << b for b in range(N) if span.add(1 << b)]
        after = placement.stored(tile, lanes, outside)
        assert len(Span(after.images)) == N
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
