"""Ranks: processes that make every step of one training together. What the core knows of them; absent means one.

Every rank takes consecutive blocks of `BLOCK` samples of a batch and computes whole nodes of the fixed tree of sums
(`qmltrain.training.reduction`); all get all nodes and finish the tree, so that the number of ranks changes no bit. All
ranks make the same calls in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntFlag
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from qmltrain.engines.protocol import BLOCK, FloatArray


class Word(IntFlag):
    """What a rank says of its part of a step; kernels/cpu/step/rank_shares.hpp has the same numbers.

    `NOT_FINITE`: it met NaN or infinity; `STOP`: it was asked to stop, after this step; `END`: its span of steps ends
    with this one; `ABANDONED`: it was asked to stop in the middle of its part, which is not there.
    """

    NOT_FINITE = 1
    STOP = 2
    END = 4
    ABANDONED = 8


@dataclass(frozen=True)
class NodeGather:
    """How the C++ engine gathers by itself, in a `memory` that the ranks of one node map (kernels/cpu/ranks); the first
    word of that is `exchange`. `refuse` raises what the words, (size, 3), of ranks say that came for something else."""

    memory: Any
    exchange: int
    refuse: Callable[[NDArray[np.int64]], None]


class Ranks(Protocol):
    """One of `size` ranks, number `rank`. `node_gather`: another way to `gather`, where there is one."""

    rank: int
    size: int
    node_gather: NodeGather | None

    def gather(self, word: int, numbers: FloatArray, counts: Sequence[int]) -> int:
        """Bring this rank's `Word` and its part of `numbers`, (sum of counts,): that of rank r is ``counts[r]`` long
        and lies behind that of rank r - 1. Gives the words of all, joined by OR; unless one is ABANDONED, `numbers` has
        the parts of all then.

        Raises what says that another rank has failed.
        """
        ...


def share_of(n: int, rank: int, size: int) -> range:
    """What rank number `rank` of `size` takes of n things in a row, perhaps none."""
    return range(n * rank // size, n * (rank + 1) // size)


def blocks_of(n_samples: int, rank: int, size: int) -> range:
    """The blocks of `n_samples` samples that rank number `rank` of `size` takes, perhaps none."""
    return share_of(-(-n_samples // BLOCK), rank, size)


def samples_of(n_samples: int, rank: int, size: int) -> range:
    """The samples of these blocks."""
    blocks = blocks_of(n_samples, rank, size)
    return range(min(BLOCK * blocks.start, n_samples), min(BLOCK * blocks.stop, n_samples))
