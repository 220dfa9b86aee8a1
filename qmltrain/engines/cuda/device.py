"""What the engine asks of a device, and nothing more: memory, copies and launches.

`qmltrain.engines.cuda.cupy_device` is the GPU; the tests bring an emulator that runs the same kernels on the CPU, so
that the same engine passes the same matrix without a GPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from qmltrain.engines.protocol import Precision


@dataclass(frozen=True)
class DeviceLimits:
    """`shared_bytes`: most dynamic shared memory a block may ask for; `memory_bytes`: free for this run."""

    name: str
    compute_capability: str
    shared_bytes: int
    memory_bytes: int
    multiprocessors: int


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel of kernels/cuda/`source`.cu, compiled for a precision and, where it has tiles, a tile size."""

    source: str
    name: str
    precision: Precision
    tile_bits: int | None = None


class Buffer(Protocol):
    """Device memory; it lives as long as someone holds it."""

    @property
    def pointer(self) -> int: ...

    @property
    def n_bytes(self) -> int: ...


@dataclass(frozen=True, slots=True)
class View:
    """Memory from `offset` bytes on in a buffer."""

    buffer: Buffer
    offset: int

    @property
    def pointer(self) -> int:
        return self.buffer.pointer + self.offset


class Device(Protocol):
    """Work is queued in order; `read` waits for it."""

    limits: DeviceLimits

    def allocate(self, n_bytes: int) -> Buffer:
        """Raises MemoryLimitError with the numbers."""
        ...

    def upload(self, array: NDArray[Any]) -> Buffer: ...

    def read(self, buffer: Buffer | View, dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[Any]: ...

    def copy(self, target: Buffer, source: Buffer) -> None: ...

    def clear(self, buffer: Buffer) -> None:
        """All bytes zero."""
        ...

    def launch(
        self, kernel: Kernel, grid: int, block: int, shared_bytes: int, arguments: Sequence[np.generic | NDArray[Any]]
    ) -> None:
        """`arguments` as the kernel's parameters: NumPy scalars of the right size, 0-d arrays for structures."""
        ...

    def compile(self, kernel: Kernel) -> None:
        """Compile now what a launch would compile later."""
        ...


def pointer(buffer: Buffer | View | None) -> np.uint64:
    """A kernel argument; None is a null pointer."""
    return np.uint64(0 if buffer is None else buffer.pointer)


def structure(dtype: np.dtype, values: dict[str, Any]) -> NDArray[Any]:
    """A kernel argument of a C structure; missing fields are zero."""
    result = np.zeros((), dtype=dtype)
    for name, value in values.items():
        result[name] = value
    return result


def real_of(precision: Precision) -> np.dtype:
    return np.dtype(np.float32 if precision == "complex64" else np.float64)
