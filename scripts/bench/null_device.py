"""A device that does nothing, to measure what the host spends on a step: `gpu_step.py --device null`.

Every call returns at once and every result is zero; graphs are replayed as on a GPU. What CUDA's own calls cost (a few
microseconds each) is not in it.
"""

from __future__ import annotations

import types
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from qmltrain.engines.cuda.device import DeviceLimits


class _Buffer:
    def __init__(self, n_bytes: int) -> None:
        self.pointer, self.n_bytes = 4096, n_bytes


class _Pinned:
    def __init__(self, n_bytes: int) -> None:
        self.array = np.zeros(n_bytes, np.uint8)
        self.pointer = self.array.ctypes.data


class _Event:
    done = True

    def synchronize(self) -> None:
        pass


class NullDevice:
    limits = DeviceLimits("none", "90", 227 << 10, 128 << 30, 132)
    arrays = np
    has_graphs = True

    def allocate(self, n_bytes: int) -> _Buffer:
        return _Buffer(n_bytes)

    def upload(self, array: np.ndarray) -> _Buffer:
        return _Buffer(array.nbytes)

    def read(self, buffer: Any, dtype: Any, shape: tuple[int, ...]) -> np.ndarray:
        return np.zeros(shape, dtype)

    def pinned(self, n_bytes: int) -> _Pinned:
        return _Pinned(n_bytes)

    def send(self, target: Any, source: Any, n_bytes: int, after: Any) -> _Event:
        return _Event()

    def record(self) -> _Event:
        return _Event()

    def array(self, buffer: Any, dtype: Any, shape: tuple[int, ...]) -> np.ndarray:
        return np.zeros(shape, dtype)

    def memory_of(self, array: np.ndarray) -> _Buffer:
        return _Buffer(array.nbytes)

    def queueing(self) -> AbstractContextManager[None]:
        return nullcontext()

    def capture(self, queue: Any) -> Any:
        return types.SimpleNamespace(result=queue(), launch=self.nothing)

    def nothing(self, *_: Any) -> None:
        pass

    copy = clear = launch = compile = fetch = wait = synchronize = nothing
