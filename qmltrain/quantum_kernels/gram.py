"""The tiles of a Gram matrix, computed: vectors of a panel of rows at a time, then products, a tile to a thread.

N states are computed, not N^2 circuits. Where those of all rows fit into memory they are made once; else in panels of
rows, two of which are in memory together, and those of a panel are made again for each it meets. Sizes of panels and
the number of threads change no bit: a state depends on its row's place alone, a tile on its rows and columns.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import groupby

import numpy as np
from threadpoolctl import threadpool_limits

from qmltrain.engines.protocol import FloatArray
from qmltrain.errors import MemoryLimitError
from qmltrain.quantum_kernels.embedding import Embedding
from qmltrain.quantum_kernels.kinds import Vectors
from qmltrain.quantum_kernels.tiles import SplitName, Tile
from qmltrain.training.gradients import StepAbandoned
from qmltrain.units import gib

PANEL_SHARE = 0.5  # of the memory, for the vectors of two panels

Put = Callable[[Tile, FloatArray], None]


class Panels:
    """Vectors of the rows of both parts, `size` rows (a whole number of tiles) at a time."""

    def __init__(
        self,
        embedding: Embedding,
        features: Mapping[SplitName, FloatArray],
        tile_rows: int,
        memory_bytes: int,
        stop: Callable[[], bool],
    ) -> None:
        """Raises MemoryLimitError where not even two panels of a tile fit."""
        self.embedding, self.features, self.stop = embedding, features, stop
        each = embedding.vector_bytes
        if 2 * tile_rows * each > memory_bytes:
            raise MemoryLimitError(
                f"circuit.n_qubits: the states of {2 * tile_rows} rows need {gib(2 * tile_rows * each)} of "
                f"{gib(memory_bytes)}; use fewer qubits, engine.precision=complex64, or raise engine.memory_gib"
            )
        fitting = int(PANEL_SHARE * memory_bytes) // (2 * each) // tile_rows * tile_rows
        self.size = max(tile_rows, min(fitting, max(map(len, features.values()))))
        self.size = -(-self.size // tile_rows) * tile_rows
        self._kept: dict[tuple[SplitName, int], Vectors] = {}

    def place(self, split: SplitName, rows: slice) -> tuple[SplitName, int]:
        """The panel that rows of a tile lie in."""
        return split, rows.start // self.size

    def vectors(self, place: tuple[SplitName, int], beside: tuple[SplitName, int] | None = None) -> Vectors:
        """Of a panel; but for the one `beside` it, others are dropped."""
        if place not in self._kept:
            self._kept = {other: kept for other, kept in self._kept.items() if other == beside}
            split, number = place
            rows = self.features[split][number * self.size : (number + 1) * self.size]
            self._kept[place] = self.embedding.vectors(rows, self.stop)
        return self._kept[place]

    def within(self, rows: slice) -> slice:
        """Rows of a tile, counted in their panel."""
        first = rows.start // self.size * self.size
        return slice(rows.start - first, rows.stop - first)


def compute_tiles(
    panels: Panels, tiles: Sequence[Tile], put: Put, finished: Callable[[Tile], None], threads: int
) -> None:
    """Give `put` each tile's values, in the threads that computed them; then call `finished`, in this one.

    Raises StepAbandoned between two tiles where the panels' `stop` says so, and what `put` raises.
    """

    with threadpool_limits(limits=1), ThreadPoolExecutor(threads) as pool:
        for (of_columns, of_rows), group in groupby(in_order(panels, tiles), key=lambda tile: _pair(panels, tile)):
            columns = panels.vectors(of_columns)
            rows = columns if of_rows == of_columns else panels.vectors(of_rows, of_columns)

            def work(tile: Tile, rows: Vectors = rows, columns: Vectors = columns) -> Tile:
                values = panels.embedding.kind.tile(
                    rows[panels.within(tile.rows)], columns[panels.within(tile.columns)]
                )
                if tile.on_diagonal:  # symmetric, and 1 on the diagonal, as it is defined
                    values = np.triu(values, 1) + np.triu(values, 1).T
                    np.fill_diagonal(values, 1)
                put(tile, np.ascontiguousarray(values, dtype=panels.embedding.value_dtype))
                return tile

            for tile in _each(pool, work, group, threads):
                finished(tile)
                if panels.stop():
                    raise StepAbandoned


def in_order(panels: Panels, tiles: Sequence[Tile]) -> list[Tile]:
    """All tiles of a panel of columns, one panel of rows after the other."""

    def key(tile: Tile) -> tuple[object, ...]:
        of_columns, of_rows = _pair(panels, tile)
        return of_columns, of_rows[0] == "test", of_rows, tile.number

    return sorted(tiles, key=key)


def _pair(panels: Panels, tile: Tile) -> tuple[tuple[SplitName, int], tuple[SplitName, int]]:
    return panels.place("train", tile.columns), panels.place(tile.split, tile.rows)


def _each(
    pool: ThreadPoolExecutor, work: Callable[[Tile], Tile], tiles: Iterator[Tile], threads: int
) -> Iterator[Tile]:
    """`work` on all tiles, in their order; no more are begun than threads can soon take. One thread works here."""
    if threads == 1:
        yield from map(work, tiles)
        return
    begun: deque[Future[Tile]] = deque()
    try:
        for tile in tiles:
            begun.append(pool.submit(work, tile))
            if len(begun) > 2 * threads:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        for one in begun:
            one.cancel()
