"""Every entry of a matrix is in one tile, or in the transpose of one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmltrain.quantum_kernels.tiles import MOST_ROWS, cut, tile_rows


@given(st.integers(1, 90), st.integers(0, 50), st.sampled_from([16, 32]))
def test_every_entry_once(n_train, n_test, size):
    seen = {"train": np.zeros((n_train, n_train), dtype=int), "test": np.zeros((n_test, n_train), dtype=int)}
    tiles = cut(n_train, n_test, size)
    for number, tile in enumerate(tiles):
        assert tile.number == number
        seen[tile.split][tile.rows, tile.columns] += 1
        if tile.mirrored:
            seen[tile.split][tile.columns, tile.rows] += 1
        assert tile.rows.start % size == tile.columns.start % size == 0
    assert all((part == 1).all() for part in seen.values())
    assert sum(tile.on_diagonal for tile in tiles) == -(-n_train // size)


@pytest.mark.parametrize(
    ("vector_bytes", "rows"), [(24, MOST_ROWS), (8 << 10, MOST_ROWS), (1 << 18, 256), (1 << 21, 32), (1 << 24, 16)]
)
def test_rows_are_whole_blocks_and_fewer_of_long_states(vector_bytes, rows):
    assert tile_rows(vector_bytes) == rows
