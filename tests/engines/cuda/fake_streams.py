"""Streams, events, graphs and memory pools of the stand-in for CuPy, as badly timed as CUDA allows.

A stream does its work in order, but when is the machine's choice: an eager stream at once, a lazy one as late as
possible, that is when something waits for it. A missing event therefore gives wrong numbers under one of the choices.
Memory that Python drops goes back to its pool and is handed out again, filled with NaN in the order of the stream;
pinned memory that is dropped is overwritten at once.

A machine that is idle does none of its work and its memory is never touched, so that it may have as much as a GPU has.
"""

from __future__ import annotations

import ctypes
import mmap
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.engines.cuda.emulator_device import HostBuffer

Operation = Callable[[], None]
_NORESERVE = 0x4000  # of Linux: more addresses than there is memory


class CUDARuntimeError(RuntimeError):
    pass


class OutOfMemoryError(MemoryError):
    pass


class Machine:
    """`lazy`: of the streams in the order in which they are made, which work late. Counts what the host does.

    `free_bytes`: of device memory for all pools together; `used` of them are taken, `live` of these not kept for reuse
    (where CuPy's pools split what is larger, those here keep each size). `most` and `most_live` were at a time.
    """

    def __init__(self, lazy: tuple[bool, ...] = (), free_bytes: int = 1 << 28, idle: bool = False) -> None:
        self.lazy, self.free_bytes, self.idle = lazy, free_bytes, idle
        self.used = self.most = self.live = self.most_live = self.pinned_bytes = 0
        self.gpu = 0  # the current one
        self.streams: list[Stream] = []
        self.stack: list[Stream] = []  # current streams, the innermost last
        self.capturing: Stream | None = None
        self.captured: list[Operation] = []
        self.synchronizations = self.event_waits = self.graph_launches = self.launches = 0
        self.to_device = self.to_host = self.mallocs = 0
        self.pinned: list[bytearray] = []
        self.capture_failures: list[Exception] = []  # what the next ends of captures raise
        self.working = 0  # operations that have begun
        self.lingering: list[Any] = []
        self.default_pool = MemoryPool(self)
        self.allocators: list[Callable[[int], MemoryPointer]] = [self.default_pool.malloc]

    @property
    def current(self) -> Stream:
        assert self.stack, "on the default stream"
        return self.stack[-1]

    def not_capturing(self, what: str) -> None:
        if self.capturing is not None:
            raise CUDARuntimeError(f"cudaErrorStreamCaptureUnsupported: {what} while a stream is capturing")

    def drain(self) -> None:
        """As cudaFree does: all streams have done all of their work."""
        for stream in self.streams:
            stream.drain(stream.queued)

    def memory(self, size: int) -> HostBuffer | UntouchedBuffer:
        """cudaMalloc, of memory that is there."""
        self.used += size
        self.most = max(self.most, self.used)
        memory = UntouchedBuffer(size) if self.idle else HostBuffer(size)
        weakref.finalize(memory, _count_freed, weakref.ref(self), size)
        return memory


def _count_freed(machine: weakref.ref[Machine], size: int) -> None:
    found = machine()
    if found is not None:
        found.used -= size


def _give_back(machine: weakref.ref[Machine], free: list[Any], memory: HostBuffer | UntouchedBuffer) -> None:
    free.append(memory)
    found = machine()
    if found is not None:
        found.live -= memory.n_bytes


class Stream:
    def __init__(self, machine: Machine) -> None:
        self.machine, self.index = machine, len(machine.streams)
        self.ptr = self.index + 1
        self.pending: list[Operation] = []
        self.queued = self.executed = 0
        machine.streams.append(self)

    def __enter__(self) -> Stream:
        self.machine.stack.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        assert self.machine.stack.pop() is self

    @property
    def is_lazy(self) -> bool:
        return self.index < len(self.machine.lazy) and self.machine.lazy[self.index]

    def queue(self, operation: Operation) -> None:
        if self.machine.idle:
            return
        if self.machine.capturing is self:
            self.machine.captured.append(operation)
            return
        self.pending.append(operation)
        self.queued += 1
        if not self.is_lazy:
            self.drain(self.queued)

    def drain(self, position: int) -> None:
        """Work until `position` operations are done."""
        while self.executed < position:
            operation = self.pending.pop(0)
            self.executed += 1
            self.machine.working += 1
            operation()
            self.machine.working -= 1

    def wait_event(self, event: Event) -> None:
        self.machine.not_capturing("waiting for an event")
        stream, position = event.stream, event.position
        assert stream is not None, "this event was never recorded"
        self.queue(lambda: stream.drain(position))

    def synchronize(self) -> None:
        self.machine.not_capturing("synchronising")
        self.machine.synchronizations += 1
        self.drain(self.queued)

    def begin_capture(self) -> None:
        self.machine.not_capturing("capturing")
        self.machine.capturing, self.machine.captured = self, []

    def end_capture(self) -> Graph:
        assert self.machine.capturing is self
        self.machine.capturing = None
        captured, self.machine.captured = self.machine.captured, []
        if self.machine.capture_failures:
            raise self.machine.capture_failures.pop(0)
        return Graph(self.machine, captured)


class Event:
    def __init__(self, machine: Machine) -> None:
        self.machine, self.stream, self.position = machine, None, 0

    def record(self, stream: Stream) -> None:
        self.machine.not_capturing("recording an event")
        self.stream, self.position = stream, stream.queued

    @property
    def done(self) -> bool:
        return self.stream is None or self.stream.executed >= self.position

    def synchronize(self) -> None:
        self.machine.not_capturing("waiting for an event")
        self.machine.event_waits += 1
        assert self.stream is not None
        self.stream.drain(self.position)


class Graph:
    def __init__(self, machine: Machine, operations: list[Operation]) -> None:
        self.machine, self.operations = machine, operations

    def launch(self, stream: Stream) -> None:
        self.machine.graph_launches += 1
        for operation in self.operations:
            stream.queue(operation)


class UntouchedBuffer:
    """Addresses without memory behind them, until somebody writes there."""

    def __init__(self, n_bytes: int) -> None:
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _NORESERVE
        self.memory = np.frombuffer(mmap.mmap(-1, n_bytes, flags=flags), np.uint8)
        self.pointer, self.n_bytes = self.memory.ctypes.data, n_bytes


class _Block:
    """A handle on memory of a pool; dropped, the memory goes back."""

    def __init__(self, memory: HostBuffer | UntouchedBuffer) -> None:
        self.memory = memory


class MemoryPointer:
    def __init__(self, block: _Block, offset: int = 0) -> None:
        self.block, self.offset = block, offset

    @property
    def ptr(self) -> int:
        return self.block.memory.pointer + self.offset

    def __add__(self, offset: int) -> MemoryPointer:
        return MemoryPointer(self.block, self.offset + offset)


class MemoryPool:
    """Blocks of a size are reused; a new one is a cudaMalloc, which must not happen while a stream is capturing.

    A pool that is short of memory gives back what it keeps itself, and knows nothing of other pools.
    """

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.all: list[HostBuffer | UntouchedBuffer] = []  # queued work may still use what Python has dropped
        self.free: dict[int, list[HostBuffer | UntouchedBuffer]] = {}
        weakref.finalize(self, _wait_for_all, weakref.ref(machine), self.all).atexit = False

    def free_bytes(self) -> int:
        return sum(size * len(blocks) for size, blocks in self.free.items())

    def total_bytes(self) -> int:
        return sum(memory.n_bytes for memory in self.all)

    def free_all_blocks(self) -> None:
        self.machine.not_capturing("cudaFree")
        self.machine.drain()
        for blocks in self.free.values():
            self.all[:] = [memory for memory in self.all if all(memory is not other for other in blocks)]
            blocks.clear()

    def malloc(self, n_bytes: int) -> MemoryPointer:
        machine = self.machine
        size = max(512, -(-n_bytes // 512) * 512)
        free = self.free.setdefault(size, [])
        if free:
            memory = free.pop()
            machine.current.queue(lambda: memory.memory.fill(0xFF))
        else:
            machine.not_capturing("cudaMalloc")
            if machine.used + size > machine.free_bytes:
                self.free_all_blocks()
            if machine.used + size > machine.free_bytes:
                raise OutOfMemoryError(f"Out of memory allocating {n_bytes} bytes")
            machine.mallocs += 1
            memory = machine.memory(size)
            self.all.append(memory)
        block = _Block(memory)
        weakref.finalize(block, _give_back, weakref.ref(machine), free, memory)
        machine.live += size
        machine.most_live = max(machine.most_live, machine.live)
        return MemoryPointer(block)


def _wait_for_all(machine: weakref.ref[Machine], all_memory: list[HostBuffer | UntouchedBuffer]) -> None:
    """A pool is dropped: its memory goes when the work is done that may use it."""
    found = machine()
    if found is None:
        return
    if found.working:  # dropped by the garbage collector amid an operation
        found.lingering.append(list(all_memory))
    else:
        found.drain()


def alloc_pinned_memory(machine: Machine, n_bytes: int) -> Any:
    """Something with a buffer and a pointer."""
    machine.not_capturing("cudaHostAlloc")
    memory = bytearray(b"\x3f" if machine.idle else b"\xff") * n_bytes  # a number, or NaN
    machine.pinned.append(memory)
    machine.pinned_bytes += n_bytes

    class Pinned(ctypes.c_uint8 * n_bytes):  # type: ignore[misc]
        @property
        def ptr(self) -> int:
            return ctypes.addressof(self)

    pinned = Pinned.from_buffer(memory)
    address = ctypes.addressof(pinned)

    def drop() -> None:
        machine.pinned_bytes -= n_bytes
        ctypes.memset(address, 0xFF, n_bytes)

    weakref.finalize(pinned, drop)
    return pinned
