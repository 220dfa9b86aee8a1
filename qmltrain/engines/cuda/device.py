"""What the engine asks of a device, and nothing more: memory, copies, launches, events, arrays and graphs.

Work is queued on two streams: *compute* (launches, array operations, results) and *copy* (inputs that are sent while
kernels run). Each does its work in order; between them only events order anything.

`qmltrain.engines.cuda.cupy_device` is the GPU; the tests bring an emulator that runs the same kernels on the CPU, so
that the same engine passes the same matrix without a GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from qmltrain.engines.cuda.availability import first_line
from qmltrain.engines.protocol import Array, Precision
from qmltrain.errors import QmltrainError


class DeviceError(QmltrainError):
    """A call to the device `name` failed, `what` is its own line; what was running there is lost."""

    def __init__(self, name: str, what: str) -> None:
        super().__init__(f"GPU {name}: {what}; resume from the last snapshot")
        self.what = what


def what_failed(error: Exception) -> str:
    """In one line, and without what a user whose run ends is to do."""
    return error.what if isinstance(error, DeviceError) else first_line(error)


@dataclass(frozen=True)
class DeviceLimits:
    """`shared_bytes`: most dynamic shared memory a block may ask for; `memory_bytes`: free for this run; `watchdog`:
    the driver stops kernels that last for seconds, as it does where the GPU has a display."""

    name: str
    compute_capability: str
    shared_bytes: int
    memory_bytes: int
    multiprocessors: int
    watchdog: bool = False


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


class Pinned(Protocol):
    """Page-locked host memory, which a device copies from and to on its own: `array` is (n_bytes,) uint8."""

    array: NDArray[np.uint8]
    pointer: int


class Event(Protocol):
    """A point in the order of a stream."""

    @property
    def done(self) -> bool: ...

    def synchronize(self) -> None:
        """Wait on the host until the stream has come there."""
        ...


class Graph(Protocol):
    """Captured work on fixed memory. `result` is what the captured function gave."""

    result: Any

    def launch(self) -> None:
        """Queue all of it on the compute stream."""
        ...


class Device(Protocol):
    """Work is queued in order on the compute stream unless something else is said."""

    limits: DeviceLimits
    arrays: ModuleType | Any  # the array namespace of `array`
    has_graphs: bool

    def allocate(self, n_bytes: int) -> Buffer:
        """Memory for the compute stream. Raises MemoryLimitError with the numbers."""
        ...

    def upload(self, array: NDArray[Any]) -> Buffer:
        """A copy that lives on; `array` may be changed at once."""
        ...

    def read(self, buffer: Buffer | View, dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[Any]:
        """Wait for everything queued and copy to the host."""
        ...

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

    def pinned(self, n_bytes: int) -> Pinned: ...

    def send(self, target: Buffer, source: Pinned, n_bytes: int, after: Event) -> Event:
        """Copy to the device on the copy stream, not before `after`; the event of its end.

        `source` may be changed when that event is done, `target` be used by the compute stream when it has waited.
        """
        ...

    def fetch(self, target: Pinned, source: Buffer | View, n_bytes: int) -> None:
        """Copy to the host on the compute stream; `target` is good after `synchronize`."""
        ...

    def record(self) -> Event:
        """An event here on the compute stream."""
        ...

    def wait(self, event: Event) -> None:
        """What is queued on the compute stream from now on happens after `event`. The host does not wait."""
        ...

    def synchronize(self) -> None:
        """Wait on the host for the compute stream."""
        ...

    def array(self, buffer: Buffer | View, dtype: DTypeLike, shape: tuple[int, ...]) -> Array:
        """The memory as an array of `arrays`; it stays alive as long as the array."""
        ...

    def memory_of(self, array: Array) -> Buffer:
        """The memory of an array (a copy where it is not contiguous)."""
        ...

    def queueing(self) -> AbstractContextManager[Any]:
        """Inside, operations on arrays are queued on the compute stream, and errors are ours in one line."""
        ...

    def capture(self, queue: Callable[[], Any]) -> Graph:
        """`queue` once for real, so that its memory is at hand and everything compiled, then once into a graph.

        It must not allocate beyond that memory, copy from unpinned host memory, or wait for anything. Where this
        raises, whatever it is, nothing is recorded and `queue` may be called as before.
        """
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
