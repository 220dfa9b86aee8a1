"""Tiles: how a Gram matrix is cut into pieces of work.

The cut follows from the numbers of rows and the size of a state alone. A tile is computed by one thread, whichever, and
nothing in it depends on another tile: so neither threads nor an interruption change a bit. Of the symmetric part, train
x train, only tiles on and above the diagonal are computed; the others are their transposes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from qmltrain.engines.protocol import BLOCK

SplitName = Literal["train", "test"]  # of the rows; the columns are the training rows

MOST_ROWS = 512  # of a tile: its product fills the second cache, and its rows are worth a write
TILE_BYTES = 64 << 20  # of the vectors of a tile's rows, where they are long


@dataclass(frozen=True, slots=True)
class Tile:
    """Rows of `split` times training rows. `number` counts all tiles of a matrix."""

    number: int
    split: SplitName
    rows: slice
    columns: slice

    @property
    def on_diagonal(self) -> bool:
        return self.split == "train" and self.rows == self.columns

    @property
    def mirrored(self) -> bool:
        """Whether its transpose belongs to the matrix, too."""
        return self.split == "train" and self.rows != self.columns


def tile_rows(vector_bytes: int) -> int:
    """Rows of a tile: whole blocks of 16, whose states engines compute together."""
    return max(BLOCK, min(MOST_ROWS, TILE_BYTES // vector_bytes // BLOCK * BLOCK))


def cut(n_train: int, n_test: int, size: int) -> tuple[Tile, ...]:
    """Tiles of `size` rows and columns in order: train x train by rows, then test x train."""
    columns, tests = [*_slices(n_train, size)], [*_slices(n_test, size)]
    places: list[tuple[SplitName, slice, slice]] = [
        ("train", row, column) for k, row in enumerate(columns) for column in columns[k:]
    ]
    places += [("test", row, column) for row in tests for column in columns]
    return tuple(Tile(number, *place) for number, place in enumerate(places))


def _slices(n: int, size: int) -> Iterator[slice]:
    for first in range(0, n, size):
        yield slice(first, min(first + size, n))
