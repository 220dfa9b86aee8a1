"""Random choices that are the same for a seed on every platform and with every version of NumPy.

NumPy keeps the raw words of its bit generators and of SeedSequence stable, but not what its Generator makes of them;
circuits with a random structure must not change with an upgrade, so the few draws they need are made here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from qmltrain.errors import InputError

T = TypeVar("T")


class RandomDraws:
    """Draws from the raw 64-bit words of PCG64; `stream` 0, 1, ... are independent sequences of one seed.

    Raises InputError, naming the config key `where`, for a seed that is negative or not a whole number.
    """

    def __init__(self, seed: int, stream: int = 0, where: str = "ansatz.seed") -> None:
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise InputError(f"{where}: a whole number from 0 on is needed, found {seed!r}")
        self._bits = np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(stream,)))

    def below(self, bound: int) -> int:
        """A whole number in 0..bound-1; the bias of the fixed-point product is below bound / 2^64."""
        return (int(self._bits.random_raw()) * bound) >> 64

    def many_below(self, bound: int, count: int) -> list[int]:
        """`below`, `count` times."""
        return [(word * bound) >> 64 for word in self._bits.random_raw(count).tolist()]

    def uniform(self) -> float:
        """A number in [0, 1) with 53 random bits."""
        return (int(self._bits.random_raw()) >> 11) * 2.0**-53

    def choice(self, items: Sequence[T]) -> T:
        return items[self.below(len(items))]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """A new list in random order (Fisher-Yates)."""
        result = list(items)
        for last in range(len(result) - 1, 0, -1):
            other = self.below(last + 1)
            result[last], result[other] = result[other], result[last]
        return result
