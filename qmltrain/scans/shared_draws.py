"""Portions of draws, computed by one process or shared over ranks: each takes some draws of every portion.

A draw has its bits in any company, so any share will do. Rank 0 says which portion comes next, and stores what comes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from qmltrain.engines.protocol import FloatArray
from qmltrain.engines.ranks import Word, share_of
from qmltrain.scans.point import Built
from qmltrain.sessions.together import Together
from qmltrain.training.gradients import StepAbandoned

Stop = Callable[[], bool]


class Portions(Protocol):
    """Computes portions of draws. `size`: processes that do it together."""

    size: int

    def compute(self, point: int, built: Built, first: int, last: int, stop: Stop) -> dict[str, FloatArray]:
        """Each column, (last - first, *shape), of draws `first` to `last` - 1 of a point. Raises StepAbandoned."""
        ...

    def end(self) -> None:
        """There are no more portions."""
        ...


class OwnPortions:
    """Of one process."""

    size = 1

    def compute(self, point: int, built: Built, first: int, last: int, stop: Stop) -> dict[str, FloatArray]:
        return built.ensemble.evaluate(built.drawing.draws(first, last), stop)

    def end(self) -> None:
        pass


class SharedPortions:
    """Of rank 0, with the others at `follow`."""

    def __init__(self, ranks: Together) -> None:
        self._ranks, self.size = ranks, ranks.size

    def compute(self, point: int, built: Built, first: int, last: int, stop: Stop) -> dict[str, FloatArray]:
        self._ranks.from_first(lambda: (point, first, last))
        return _share(built, first, last, stop, self._ranks)

    def end(self) -> None:
        self._ranks.from_first(lambda: None)


def follow(take: Sequence[Callable[[], Built]], stop: Stop, ranks: Together) -> None:
    """The part of a rank other than the first: its share of each portion, until there are no more. `take` builds the
    points. A stop is waited out: rank 0, which hears of it, ends all."""
    current: tuple[int, Built] | None = None
    while (portion := ranks.hear()) is not None:
        point, first, last = portion
        if current is None or current[0] != point:
            current = None  # its memory is free before the next point takes its own
            current = point, take[point]()
        try:
            _share(current[1], first, last, stop, ranks)
        except StepAbandoned:
            continue


def _share(built: Built, first: int, last: int, stop: Stop, ranks: Together) -> dict[str, FloatArray]:
    """This rank's draws, then those of all. Raises StepAbandoned where any rank was asked to stop."""
    columns, n_draws = built.ensemble.columns, last - first
    own = share_of(n_draws, ranks.rank, ranks.size)
    widths = [int(np.prod(column.shape)) for column in columns]
    rows_DW = np.empty((n_draws, sum(widths)))
    word = Word(0)
    try:
        if stop():
            raise StepAbandoned
        if own:
            found = built.ensemble.evaluate(built.drawing.draws(first + own.start, first + own.stop), stop)
            flat = [found[column.name].reshape(len(own), -1) for column in columns]
            rows_DW[own.start : own.stop] = np.concatenate(flat, axis=1)
    except StepAbandoned:
        word = Word.ABANDONED
    counts = [rows_DW.shape[1] * len(share_of(n_draws, rank, ranks.size)) for rank in range(ranks.size)]
    if ranks.gather(word, rows_DW.reshape(-1), counts) & Word.ABANDONED:
        raise StepAbandoned
    parts = np.split(rows_DW, np.cumsum(widths)[:-1], axis=1)
    return {column.name: part.reshape(n_draws, *column.shape) for column, part in zip(columns, parts, strict=True)}
