"""Transport: how bytes get from rank to rank; MPI, or what a test puts in its place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Transport(Protocol):
    """Every method is called by all ranks, in the same order. `memory`: the extension's NodeMemory, where words and
    numbers go through one."""

    rank: int
    size: int
    memory: Any

    def words(self, own: NDArray[np.int64]) -> NDArray[np.int64]:
        """(W,) of this rank -> (size, W) of all."""
        ...

    def numbers(self, numbers: NDArray[np.float64], counts: Sequence[int]) -> None:
        """Fill the parts of the other ranks, one behind the other, ``counts[r]`` long."""
        ...

    def texts(self, own: bytes) -> list[bytes]:
        """Those of all ranks."""
        ...

    def abort(self, code: int) -> None:
        """End all ranks at once, without their help."""
        ...
