"""Tiles of a Gram matrix shared over ranks: each computes some of every portion, and rank 0 writes them.

Each rank computes the vectors of the rows that its tiles need. A tile has its bits whoever computes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qmltrain.config.schema import Config
from qmltrain.engines.protocol import FloatArray
from qmltrain.engines.ranks import Word, share_of
from qmltrain.engines.selection import without_threads
from qmltrain.job_limits import usable_cpus
from qmltrain.quantum_kernels.gram import Panels, Put, compute_tiles, in_order
from qmltrain.quantum_kernels.task import KernelTask, build_task
from qmltrain.quantum_kernels.tiles import Tile
from qmltrain.sessions.together import SAME_FILES, Together, check_device
from qmltrain.training.gradients import StepAbandoned

PORTION_BYTES = 64 << 20  # of values that go round at a time


@dataclass(frozen=True)
class Order:
    """What rank 0 has all compute: `tiles` by their numbers, with its automatic choices and the kernel's width."""

    choices: Mapping[str, Any]
    gamma: float | None
    tiles: tuple[int, ...]


def follow(config: Config, overrides: list[str], ranks: Together, stop: Callable[[], bool]) -> None:
    """The part of a rank other than the first: its share of the tiles, until there are no more."""
    order: Order | None
    while (order := ranks.hear()) is not None:
        task = build_task(config, overrides, order.choices)
        if task.embedding.kind.gamma is None:
            task.embedding.kind.gamma = order.gamma
        check_together(ranks, task)
        panels = Panels(task.embedding, task.features, task.tile_rows, task.memory_bytes, stop)
        wanted = set(order.tiles)
        tiles = [tile for tile in task.tiles() if tile.number in wanted]
        threads = config.engine.threads or usable_cpus()
        try:
            compute_shared_tiles(panels, tiles, _of_rank_0_alone, _of_rank_0_alone, threads, ranks)
        except StepAbandoned:  # rank 0 hears of it as well, and ends all
            continue


def _of_rank_0_alone(*arguments: Any) -> None:
    raise AssertionError("rank 0 writes and counts")


def check_together(ranks: Together, task: KernelTask) -> None:
    """Raise InputError where the ranks would not compute the same bits of the same rows; called by all."""
    check_device(ranks, without_threads(task.embedding.selection.engine.describe()))
    ranks.check_same("kernel", task.digest()[:16], SAME_FILES)


def compute_shared_tiles(
    panels: Panels,
    tiles: Sequence[Tile],
    put: Put,
    finished: Callable[[Tile], None],
    threads: int,
    ranks: Together,
) -> None:
    """As `compute_tiles`, called by all ranks with the same tiles: on the first one `put` and `finished` are called.

    Raises StepAbandoned where any rank was asked to stop.
    """
    ordered = in_order(panels, tiles)
    size = max(map(_values_of, ordered), default=1)
    together = max(1, PORTION_BYTES // (8 * size * ranks.size)) * ranks.size
    for first in range(0, len(ordered), together):
        portion = ordered[first : first + together]
        # Neighbours in this order need the same panels: each rank takes consecutive ones.
        shares = [share_of(len(portion), rank, ranks.size) for rank in range(ranks.size)]
        own = portion[shares[ranks.rank].start : shares[ranks.rank].stop]
        ends = np.cumsum([0, *map(_values_of, portion)])
        numbers = np.empty(ends[-1])
        places = {tile.number: slice(ends[k], ends[k + 1]) for k, tile in enumerate(portion)}

        def keep(
            tile: Tile, values: FloatArray, numbers: FloatArray = numbers, places: dict[int, slice] = places
        ) -> None:
            numbers[places[tile.number]] = values.reshape(-1)

        word = Word(0)
        try:
            if panels.stop():
                raise StepAbandoned
            compute_tiles(panels, own, keep, lambda tile: None, threads)
        except StepAbandoned:
            word = Word.ABANDONED
        counts = [int(ends[share.stop] - ends[share.start]) for share in shares]
        if ranks.gather(word, numbers, counts) & Word.ABANDONED:
            raise StepAbandoned
        if not ranks.is_first:
            continue
        for tile in portion:
            values = numbers[places[tile.number]].reshape(_shape(tile)).astype(panels.embedding.value_dtype)
            put(tile, values)
            finished(tile)


def _shape(tile: Tile) -> tuple[int, int]:
    return tile.rows.stop - tile.rows.start, tile.columns.stop - tile.columns.start


def _values_of(tile: Tile) -> int:
    rows, columns = _shape(tile)
    return rows * columns
