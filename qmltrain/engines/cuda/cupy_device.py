"""The GPU behind `Device`: CuPy's memory pool, its NVRTC with the cache on disk, two streams. The only user of CuPy.

CuPy writes compiled kernels to CUPY_CACHE_DIR (default ~/.cupy/kernel_cache) under a hash of text and options, through
a temporary file and a rename: many jobs may start at once. The pool hands memory out in the order of the compute
stream, so a buffer that Python drops may be used again at once - by that stream; the copy stream waits for an event.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from qmltrain.engines.cuda.availability import first_line, unavailable_reason
from qmltrain.engines.cuda.device import Buffer, DeviceLimits, Kernel, Pinned, View
from qmltrain.engines.cuda.sources import compile_options, kernel_source
from qmltrain.errors import EngineUnavailableError, MemoryLimitError, QmltrainError
from qmltrain.units import gib

_SHARE = 0.9  # of the free memory: the rest is for CuPy, other users and fragmentation
_STATIC_SHARED_BYTES = 48 << 10  # more must be asked for, kernel by kernel


@dataclass(frozen=True, slots=True)
class _Memory:
    """Device memory of CuPy's pool."""

    memory: Any  # cupy.cuda.MemoryPointer
    n_bytes: int

    @property
    def pointer(self) -> int:
        return int(self.memory.ptr)


class _Pinned:
    """Page-locked memory of CuPy's pool."""

    def __init__(self, memory: Any, n_bytes: int) -> None:  # memory: cupy.cuda.PinnedMemoryPointer
        self.pointer = int(memory.ptr)
        self.array = np.frombuffer(memory, dtype=np.uint8, count=n_bytes)


@dataclass
class _Graph:
    """`pool` is the memory of everything captured; nothing else takes from it."""

    graph: Any  # cupy.cuda.Graph
    stream: Any
    pool: Any
    result: Any
    checked: Callable[..., Any]

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
        self.stream = cupy.cuda.Stream(non_blocking=True)
        self.copy_stream = cupy.cuda.Stream(non_blocking=True)
        self.kernels: dict[Kernel, Any] = {}
        self.modules: dict[tuple[str, str, int | None], Any] = {}
        self.in_flight: deque[tuple[Any, Any]] = deque()  # (event, pinned memory) of uploads
        self.limits = self._limits()

    def _limits(self) -> DeviceLimits:
        device = self.cupy.cuda.Device()
        properties = self.runtime.getDeviceProperties(device.id)
        free, _ = self.runtime.memGetInfo()
        reusable = self.cupy.get_default_memory_pool().free_bytes()
        return DeviceLimits(
            name=properties["name"].decode(),
            compute_capability=str(device.compute_capability),
            shared_bytes=int(properties["sharedMemPerBlockOptin"]),
            memory_bytes=int(_SHARE * (free + reusable)),
            multiprocessors=int(properties["multiProcessorCount"]),
        )

    def allocate(self, n_bytes: int) -> _Memory:
        try:
            with self.stream:
                return _Memory(self.cupy.cuda.alloc(max(1, n_bytes)), n_bytes)
        except self.cupy.cuda.memory.OutOfMemoryError:
            raise self._out_of_memory(f"{gib(n_bytes)} more are needed, ") from None

    def _out_of_memory(self, needed: str) -> MemoryLimitError:
        free, total = self.runtime.memGetInfo()
        return MemoryLimitError(
            f"GPU memory: {needed}{gib(free)} of {gib(total)} are free; set "
            "engine.memory_gib lower (fewer samples at once) or free the GPU (nvidia-smi shows who holds it)"
        )

    def upload(self, array: NDArray[Any]) -> _Memory:
        """Through pinned memory, without waiting; the pinned copy lives until the transfer is done."""
        result = self.allocate(array.nbytes)
        if not array.nbytes:
            return result
        while self.in_flight and self.in_flight[0][0].done:
            self.in_flight.popleft()
        pinned = self.cupy.cuda.alloc_pinned_memory(array.nbytes)
        staged = np.frombuffer(pinned, dtype=array.dtype, count=array.size).reshape(array.shape)
        staged[...] = array
        self._transfer(result.pointer, pinned.ptr, array.nbytes, self.runtime.memcpyHostToDevice)
        self.in_flight.append((self.record(), pinned))
        return result

    def read(self, buffer: Buffer | View, dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[Any]:
        n_bytes = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        if not n_bytes:
            return np.empty(shape, dtype)
        pinned = self.cupy.cuda.alloc_pinned_memory(n_bytes)
        self._transfer(pinned.ptr, buffer.pointer, n_bytes, self.runtime.memcpyDeviceToHost)
        self.synchronize()
        return np.frombuffer(pinned, dtype=dtype, count=int(np.prod(shape, dtype=np.int64))).reshape(shape).copy()

    def copy(self, target: Buffer, source: Buffer) -> None:
        self._transfer(target.pointer, source.pointer, source.n_bytes, self.runtime.memcpyDeviceToDevice)

    def _transfer(self, target: int, source: int, n_bytes: int, kind: int) -> None:
        self._checked(self.runtime.memcpyAsync, target, source, n_bytes, kind, self.stream.ptr)

    def pinned(self, n_bytes: int) -> _Pinned:
        return _Pinned(self._checked(self.cupy.cuda.alloc_pinned_memory, max(1, n_bytes)), n_bytes)

    def send(self, target: Buffer, source: Pinned, n_bytes: int, after: Any) -> Any:
        self._checked(self.copy_stream.wait_event, after)
        if n_bytes:
            kind = self.runtime.memcpyHostToDevice
            arguments = (target.pointer, source.pointer, n_bytes, kind, self.copy_stream.ptr)
            self._checked(self.runtime.memcpyAsync, *arguments)
        return self._event(self.copy_stream)

    def fetch(self, target: Pinned, source: Buffer | View, n_bytes: int) -> None:
        if n_bytes:
            self._transfer(target.pointer, source.pointer, n_bytes, self.runtime.memcpyDeviceToHost)

    def record(self) -> Any:
        return self._event(self.stream)

    def _event(self, stream: Any) -> Any:
        event = self.cupy.cuda.Event(disable_timing=True)
        event.record(stream)
        return event

    def wait(self, event: Any) -> None:
        self._checked(self.stream.wait_event, event)

    def synchronize(self) -> None:
        self._checked(self.stream.synchronize)
        self.in_flight.clear()

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
        """The graph's memory comes from a pool of its own, so that nothing else is given it between replays."""
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
        if shared_bytes > _STATIC_SHARED_BYTES and function.max_dynamic_shared_size_bytes < shared_bytes:
            function.max_dynamic_shared_size_bytes = shared_bytes
        with self.stream:
            self._checked(function, (grid,), (block,), tuple(arguments), shared_mem=shared_bytes)

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

    def _checked(self, call: Any, *arguments: Any, **named: Any) -> Any:
        """A CUDA error in one line: what was running on the GPU is lost."""
        try:
            return call(*arguments, **named)
        except self._errors() as error:
            raise self._lost(error) from None

    def _errors(self) -> tuple[type[Exception], ...]:
        return self.runtime.CUDARuntimeError, self.cupy.cuda.driver.CUDADriverError

    def _lost(self, error: Exception) -> QmltrainError:
        return QmltrainError(f"GPU {self.limits.name}: {first_line(error)}; resume from the last snapshot")
