"""Streams, events, graphs and memory pools of the stand-in for CuPy, as badly timed as CUDA allows.

A stream does its work in order, but when is the machine's choice: an eager stream at once, a lazy one as late as
possible, that is when something waits for it. A missing event therefore gives wrong numbers under one of the choices.
Memory that Python drops goes back to its pool and is handed out again, filled with NaN in the order of the stream;
pinned memory that is dropped is overwritten at once.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable
from typing import Any

from tests.engines.cuda.emulator_device import HostBuffer

Operation = Callable[[], None]


class CUDARuntimeError(RuntimeError):
    pass


class OutOfMemoryError(MemoryError):
    pass


class Machine:
    """`lazy`: of the streams in the order in which they are made, which work late. Counts what the host does."""

    def __init__(self, lazy: tuple[bool, ...] = (), free_bytes: int = 1 << 28) -> None:
        self.lazy, self.free_bytes = lazy, free_bytes
        self.streams: list[Stream] = []
        self.stack: list[Stream] = []  # current streams, the innermost last
        self.capturing: Stream | None = None
        self.captured: list[Operation] = []
        self.synchronizations = self.event_waits = self.graph_launches = self.launches = 0
        self.to_device = self.to_host = self.mallocs = 0
        self.pinned: list[bytearray] = []
        self.default_pool = MemoryPool(self)
        self.allocators: list[Callable[[int], MemoryPointer]] = [self.default_pool.malloc]

    @property
    def current(self) -> Stream:
        assert self.stack, "on the default stream"
        return self.stack[-1]

    def not_capturing(self, what: str) -> None:
        if self.capturing is not None:
            raise CUDARuntimeError(f"cudaErrorStreamCaptureUnsupported: {what} while a stream is capturing")


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
            operation()

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
        return Graph(self.machine, self.machine.captured)


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


class _Block:
    """A handle on memory of a pool; dropped, the memory goes back."""

    def __init__(self, memory: HostBuffer) -> None:
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
    """Blocks of a size are reused; a new one is a cudaMalloc, which must not happen while a stream is capturing."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.all: list[HostBuffer] = []  # queued work may still use what Python has dropped
        self.free: dict[int, list[HostBuffer]] = {}

    def malloc(self, n_bytes: int) -> MemoryPointer:
        machine = self.machine
        if n_bytes > machine.free_bytes:
            raise OutOfMemoryError(f"Out of memory allocating {n_bytes} bytes")
        size = max(512, -(-n_bytes // 512) * 512)
        free = self.free.setdefault(size, [])
        if free:
            memory = free.pop()
            machine.current.queue(lambda: memory.memory.fill(0xFF))
        else:
            machine.not_capturing("cudaMalloc")
            machine.mallocs += 1
            memory = HostBuffer(size)
            self.all.append(memory)
        block = _Block(memory)
        weakref.finalize(block, free.append, memory)
        return MemoryPointer(block)


def alloc_pinned_memory(machine: Machine, n_bytes: int) -> Any:
    """Something with a buffer and a pointer."""
    machine.not_capturing("cudaHostAlloc")
    memory = bytearray(b"\xff" * n_bytes)
    machine.pinned.append(memory)

    class Pinned(ctypes.c_uint8 * n_bytes):  # type: ignore[misc]
        @property
        def ptr(self) -> int:
            return ctypes.addressof(self)

    pinned = Pinned.from_buffer(memory)
    address = ctypes.addressof(pinned)
    weakref.finalize(pinned, ctypes.memset, address, 0xFF, n_bytes)
    return pinned
