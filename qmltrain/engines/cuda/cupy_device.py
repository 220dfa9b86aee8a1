"""The GPU behind `Device`: CuPy's memory pool, its NVRTC with the cache on disk, two streams. The only user of CuPy.

Whatever CUDA refuses is one line for the user: every call of CuPy's that reaches the driver goes through `_checked`.

CuPy writes compiled kernels to CUPY_CACHE_DIR (default ~/.cupy/kernel_cache) under a hash of text and options, through
a temporary file and a rename: many jobs may start at once. The pool hands memory out in the order of the compute
stream, so a buffer that Python drops may be used again at once - by that stream; the copy stream waits for an event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from qmltrain.engines.cuda.availability import first_line, unavailable_reason
from qmltrain.engines.cuda.device import Buffer, DeviceError, DeviceLimits, Event, Kernel, Pinned, View, what_failed
from qmltrain.engines.cuda.geometry import blocks, shared_carveout
from qmltrain.engines.cuda.sources import compile_options, kernel_source
from qmltrain.errors import EngineUnavailableError, MemoryLimitError, QmltrainError
from qmltrain.units import gib

_SHARE = 0.9  # of the free memory: the rest is for CuPy, other users and fragmentation
_STATIC_SHARED_BYTES = 48 << 10  # more must be asked for, kernel by kernel
_HALF = 4 << 20  # bytes of each half of the pinned memory that uploads and reads share
_ALIGNMENT = 256
Checked = Callable[..., Any]  # a call whose CUDA errors become one line


@dataclass(frozen=True, slots=True)
class _Memory:
    """Device memory of CuPy's pool."""

    memory: Any  # cupy.cuda.MemoryPointer
    n_bytes: int

    @property
    def pointer(self) -> int:
        return int(self.memory.ptr)


class _Pinned:
    """Page-locked memory, given back when it is dropped. (CuPy's pool would round up to a power of two and keep it.)"""

    def __init__(self, memory: Any, n_bytes: int) -> None:  # memory: cupy.cuda.PinnedMemoryPointer
        self.pointer = int(memory.ptr)
        self.array = np.frombuffer(memory, dtype=np.uint8, count=n_bytes)


@dataclass(frozen=True, slots=True)
class _Event:
    event: Any  # cupy.cuda.Event
    checked: Checked

    @property
    def done(self) -> bool:
        return bool(self.checked(getattr, self.event, "done"))

    def synchronize(self) -> None:
        self.checked(self.event.synchronize)


class _Ring:
    """Pinned memory in two halves for copies on the compute stream: bytes are taken one after another."""

    def __init__(self, pinned: _Pinned, record: Callable[[], Event]) -> None:
        self.pinned, self._record = pinned, record
        self._half = self._position = 0
        self._left: list[Event | None] = [None, None]  # after the last copy of each half

    def take(self, n_bytes: int) -> tuple[NDArray[np.uint8], int]:
        """So many bytes, at most a half, and their address. Waits for the copies of the other half where this is full:
        they were queued before a half's worth of others."""
        if self._position + n_bytes > _HALF * (self._half + 1):
            self._left[self._half] = self._record()
            self._half = 1 - self._half
            self._position = _HALF * self._half
            left = self._left[self._half]
            if left is not None:
                left.synchronize()
        start = self._position
        self._position += blocks(n_bytes, _ALIGNMENT) * _ALIGNMENT
        return self.pinned.array[start : start + n_bytes], self.pinned.pointer + start


@dataclass
class _Graph:
    """`pool` is the memory of everything captured; nothing else takes from it."""

    graph: Any  # cupy.cuda.Graph
    stream: Any
    pool: Any
    result: Any
    checked: Checked

    def launch(self) -> None:
        self.checked(self.graph.launch, self.stream)


class CupyDevice:
    """The current CUDA device. Raises EngineUnavailableError with what is missing."""

    has_graphs = True

    def __init__(self) -> None:
        reason = unavailable_reason()
        if reason is not None:
            raise EngineUnavailableError(f"engine cuda: {reason}")
        import cupy

        self.cupy = cupy
        self.runtime = cupy.cuda.runtime
        self.arrays = cupy
        self.kernels: dict[Kernel, Any] = {}
        self.modules: dict[tuple[str, str, int | None], Any] = {}
        self.shared: dict[Kernel, int] = {}  # bytes of shared memory that a kernel was told it will have
        failures: tuple[type[Exception], ...] = (*self._errors(), QmltrainError)
        try:
            self.stream = cupy.cuda.Stream(non_blocking=True)
            self.copy_stream = cupy.cuda.Stream(non_blocking=True)
            self.limits = self._limits()
            self.ring = _Ring(self.pinned(2 * _HALF), self.record)
        except failures as error:
            raise EngineUnavailableError(
                f"engine cuda: the GPU cannot be used ({what_failed(error)}); nvidia-smi shows who holds it"
            ) from None

    def _limits(self) -> DeviceLimits:
        device = self.cupy.cuda.Device()
        properties = self.runtime.getDeviceProperties(device.id)
        free, _ = self.runtime.memGetInfo()
        reusable = self.cupy.get_default_memory_pool().free_bytes()
        self.multiprocessor_shared_bytes = int(properties["sharedMemPerMultiprocessor"])
        return DeviceLimits(
            name=properties["name"].decode(),
            compute_capability=str(device.compute_capability),
            shared_bytes=int(properties["sharedMemPerBlockOptin"]),
            memory_bytes=int(_SHARE * (free + reusable)),
            multiprocessors=int(properties["multiProcessorCount"]),
            watchdog=bool(properties.get("kernelExecTimeoutEnabled", True)),
        )

    def allocate(self, n_bytes: int) -> _Memory:
        try:
            with self.stream:
                return _Memory(self.cupy.cuda.alloc(max(1, n_bytes)), n_bytes)
        except self.cupy.cuda.memory.OutOfMemoryError:
            raise self._out_of_memory(f"{gib(n_bytes)} more are needed, ") from None
        except self._errors() as error:
            raise self._lost(error) from None

    def _out_of_memory(self, needed: str) -> MemoryLimitError:
        with suppress(*self._errors()):
            free, total = self.runtime.memGetInfo()
            needed += f"{gib(free)} of {gib(total)} are free; "
        return MemoryLimitError(
            f"GPU memory: {needed}set engine.memory_gib lower (fewer samples at once) or free the GPU "
            "(nvidia-smi shows who holds it)"
        )

    def upload(self, array: NDArray[Any]) -> _Memory:
        """In pieces through pinned memory, without waiting for more than older pieces."""
        result = self.allocate(array.nbytes)
        flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        for first in range(0, array.nbytes, _HALF):
            piece = flat[first : first + _HALF]
            staged, pointer = self.ring.take(piece.nbytes)
            staged[:] = piece
            self._transfer(result.pointer + first, pointer, piece.nbytes, self.runtime.memcpyHostToDevice)
        return result

    def read(self, buffer: Buffer | View, dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[Any]:
        result = np.empty(shape, dtype)
        flat = result.reshape(-1).view(np.uint8)
        for first in range(0, result.nbytes, _HALF):
            piece = flat[first : first + _HALF]
            staged, pointer = self.ring.take(piece.nbytes)
            self._transfer(pointer, buffer.pointer + first, piece.nbytes, self.runtime.memcpyDeviceToHost)
            self.synchronize()
            piece[:] = staged
        return result

    def copy(self, target: Buffer, source: Buffer) -> None:
        self._transfer(target.pointer, source.pointer, source.n_bytes, self.runtime.memcpyDeviceToDevice)

    def _transfer(self, target: int, source: int, n_bytes: int, kind: int) -> None:
        self._checked(self.runtime.memcpyAsync, target, source, n_bytes, kind, self.stream.ptr)

    def pinned(self, n_bytes: int) -> _Pinned:
        memory = self._checked(self.cupy.cuda.PinnedMemory, max(1, n_bytes))
        return _Pinned(self.cupy.cuda.PinnedMemoryPointer(memory, 0), n_bytes)

    def send(self, target: Buffer, source: Pinned, n_bytes: int, after: Event) -> _Event:
        assert isinstance(after, _Event)
        self._checked(self.copy_stream.wait_event, after.event)
        if n_bytes:
            kind = self.runtime.memcpyHostToDevice
            arguments = (target.pointer, source.pointer, n_bytes, kind, self.copy_stream.ptr)
            self._checked(self.runtime.memcpyAsync, *arguments)
        return self._event(self.copy_stream)

    def fetch(self, target: Pinned, source: Buffer | View, n_bytes: int) -> None:
        if n_bytes:
            self._transfer(target.pointer, source.pointer, n_bytes, self.runtime.memcpyDeviceToHost)

    def record(self) -> _Event:
        return self._event(self.stream)

    def _event(self, stream: Any) -> _Event:
        event = self._checked(self.cupy.cuda.Event, disable_timing=True)
        self._checked(event.record, stream)
        return _Event(event, self._checked)

    def wait(self, event: Event) -> None:
        assert isinstance(event, _Event)
        self._checked(self.stream.wait_event, event.event)

    def synchronize(self) -> None:
        self._checked(self.stream.synchronize)

    def array(self, buffer: Buffer | View, dtype: DTypeLike, shape: tuple[int, ...]) -> Any:
        owner, offset = (buffer.buffer, buffer.offset) if isinstance(buffer, View) else (buffer, 0)
        assert isinstance(owner, _Memory)
        return self.cupy.ndarray(shape, dtype, memptr=owner.memory + offset)

    def memory_of(self, array: Any) -> _Memory:
        with self.queueing():
            whole = self.cupy.ascontiguousarray(array)
        return _Memory(whole.data, int(whole.nbytes))

    @contextmanager
    def queueing(self) -> Iterator[None]:
        try:
            with self.stream:
                yield
        except self.cupy.cuda.memory.OutOfMemoryError:
            raise self._out_of_memory("") from None
        except self._errors() as error:
            raise self._lost(error) from None

    def capture(self, queue: Callable[[], Any]) -> _Graph:
        """The graph's memory comes from a pool of its own, so that nothing else is given it between replays. That pool
        has no part in what the default pool keeps for reuse: where memory is short this is given back first."""
        with suppress(MemoryLimitError):  # left before the second try: the error holds on to the memory of the first
            return self._captured(queue)
        self._checked(self.cupy.get_default_memory_pool().free_all_blocks)
        return self._captured(queue)

    def _captured(self, queue: Callable[[], Any]) -> _Graph:
        pool = self.cupy.cuda.MemoryPool()
        with self.queueing(), self.cupy.cuda.using_allocator(pool.malloc):
            queue()
            self.stream.begin_capture()
            try:
                result = queue()
            except BaseException:
                with suppress(*self._errors()):  # the capture is broken; what broke it is the error to show
                    self.stream.end_capture()
                raise
            graph = self.stream.end_capture()
        return _Graph(graph, self.stream, pool, result, self._checked)

    def clear(self, buffer: Buffer) -> None:
        self._checked(self.runtime.memsetAsync, buffer.pointer, 0, buffer.n_bytes, self.stream.ptr)

    def launch(
        self, kernel: Kernel, grid: int, block: int, shared_bytes: int, arguments: Sequence[np.generic | NDArray[Any]]
    ) -> None:
        function = self.kernels.get(kernel)
        if function is None:
            function = self.kernels[kernel] = self._function(kernel)
        if self.shared.get(kernel, 0) < shared_bytes:
            self._checked(self._share_memory, function, kernel, block, shared_bytes)
            self.shared[kernel] = shared_bytes
        with self.stream:
            self._checked(function, (grid,), (block,), tuple(arguments), shared_mem=shared_bytes)

    def _share_memory(self, function: Any, kernel: Kernel, block: int, shared_bytes: int) -> None:
        """Allow so much shared memory; for tiles, whose blocks hide each other's waiting, ask that as many fit as the
        registers hold: left to itself the driver may leave room for one."""
        if shared_bytes > _STATIC_SHARED_BYTES:
            function.max_dynamic_shared_size_bytes = shared_bytes
        if kernel.tile_bits is not None:
            function.preferred_shared_memory_carveout = shared_carveout(
                block, function.num_regs, shared_bytes, self.multiprocessor_shared_bytes
            )

    def compile(self, kernel: Kernel) -> None:
        self.kernels.setdefault(kernel, self._function(kernel))

    def _function(self, kernel: Kernel) -> Any:
        key = (kernel.source, kernel.precision, kernel.tile_bits)
        try:
            if key not in self.modules:
                options = compile_options(kernel.precision, kernel.tile_bits)
                self.modules[key] = self.cupy.RawModule(code=kernel_source(kernel.source), options=options)
            return self.modules[key].get_function(kernel.name)
        except self.cupy.cuda.compiler.CompileException as error:
            lines = str(error).splitlines()
            first = next((line for line in lines if "error" in line), lines[0] if lines else "no message")
            raise QmltrainError(
                f"kernels/cuda/{kernel.source}.cu does not compile for sm_{self.limits.compute_capability}: {first}; "
                "check that CuPy fits the driver (nvidia-smi), or use engine.name=cpu"
            ) from None
        except (RuntimeError, ImportError, OSError) as error:  # no NVRTC, no headers, no place for the cache
            raise QmltrainError(
                f"kernels/cuda/{kernel.source}.cu cannot be compiled ({first_line(error)}); qmltrain info says what is "
                "missing, or use engine.name=cpu"
            ) from None

    def _checked(self, call: Any, *arguments: Any, **named: Any) -> Any:
        """A CUDA error in one line: what was running on the GPU is lost."""
        try:
            return call(*arguments, **named)
        except self._errors() as error:
            raise self._lost(error) from None

    def _errors(self) -> tuple[type[Exception], ...]:
        return self.runtime.CUDARuntimeError, self.cupy.cuda.driver.CUDADriverError

    def _lost(self, error: Exception) -> QmltrainError:
        what = first_line(error)
        if "MemoryAllocation" in what or "OUT_OF_MEMORY" in what:  # beside CuPy's pools: graphs, pinned memory
            return self._out_of_memory("")
        return DeviceError(self.limits.name, what)
