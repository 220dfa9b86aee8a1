"""The order of samples: what NumPy's Generator draws, by the C++ extension where there is one.

A step of 4 qubits takes 60 to 100 ns a sample, of which NumPy's shuffle took 8.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmltrain.data.protocol import RowArray
from qmltrain.errors import EngineUnavailableError

_MOST = 2**32  # rows that the extension shuffles
_HALF = 2**64
_TRIED_ROWS = 100

Shuffle = Callable[[list[int], RowArray], None]


def permutation(rows: NDArray[np.int64], seeds: np.random.SeedSequence) -> RowArray:
    """`rows` (n,) in the order of ``Generator(PCG64(seeds)).permutation(rows)``, a new array: the same rows whichever
    of the two does it."""
    shuffle = _native()
    if shuffle is None or len(rows) > _MOST:
        return _by_numpy(rows, seeds)
    return _by_extension(shuffle, rows, seeds)


def _by_numpy(rows: NDArray[np.int64], seeds: np.random.SeedSequence) -> RowArray:
    return np.random.Generator(np.random.PCG64(seeds)).permutation(rows)


def _by_extension(shuffle: Shuffle, rows: NDArray[np.int64], seeds: np.random.SeedSequence) -> RowArray:
    generator: Any = np.random.PCG64(seeds).state["state"]
    numbers = [half for name in ("state", "inc") for half in divmod(generator[name], _HALF)]
    shuffled = np.array(rows, dtype=np.int64)
    shuffle(numbers, shuffled)
    return shuffled


@lru_cache(maxsize=1)
def _native() -> Shuffle | None:
    """The extension's, where it is there and this NumPy draws the same: a Generator may draw otherwise one day, and
    whoever has no extension must get the same rows."""
    try:
        shuffle: Shuffle = importlib.import_module("qmltrain.engines.cpu.extension").load().shuffle
    except EngineUnavailableError:
        return None
    tried, seeds = np.arange(_TRIED_ROWS), np.random.SeedSequence(1)
    return shuffle if np.array_equal(_by_extension(shuffle, tried, seeds), _by_numpy(tried, seeds)) else None
