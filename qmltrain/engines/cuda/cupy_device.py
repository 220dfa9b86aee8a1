"""The GPU behind `Device`: CuPy's memory pool, its NVRTC with the cache on disk, one stream. The only user of CuPy.

CuPy writes compiled kernels to CUPY_CACHE_DIR (default ~/.cupy/kernel_cache) under a hash of text and options, through
a temporary file and a rename: many jobs may start at once. The pool hands memory out in stream order, so a buffer that
Python drops may be used again at once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from qmltrain.engines.checkpointing import gib
from qmltrain.engines.cuda.availability import one_line, unavailable_reason
from qmltrain.engines.cuda.device import Buffer, DeviceLimits, Kernel, View
from qmltrain.engines.cuda.sources import compile_options, kernel_source
from qmltrain.errors import EngineUnavailableError, MemoryLimitError, QmltrainError

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


class CupyDevice:
    """The current CUDA device. Raises EngineUnavailableError with what is missing."""

    def __init__(self) -> None:
        reason = unavailable_reason()
        if reason is not None:
            raise EngineUnavailableError(f"engine cuda: {reason}")
        import cupy

        self.cupy = cupy
        self.runtime = cupy.cuda.runtime
        self.stream = cupy.cuda.Stream(non_blocking=True)
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
            free, total = self.runtime.memGetInfo()
            raise MemoryLimitError(
                f"GPU memory: {gib(n_bytes)} more are needed, {gib(free)} of {gib(total)} are free; set "
                "engine.memory_gib lower (fewer samples at once) or free the GPU (nvidia-smi shows who holds it)"
            ) from None

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
        event = self.cupy.cuda.Event(disable_timing=True)
        event.record(self.stream)
        self.in_flight.append((event, pinned))
        return result

    def read(self, buffer: Buffer | View, dtype: DTypeLike, shape: tuple[int, ...]) -> NDArray[Any]:
        n_bytes = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        if not n_bytes:
            return np.empty(shape, dtype)
        pinned = self.cupy.cuda.alloc_pinned_memory(n_bytes)
        self._transfer(pinned.ptr, buffer.pointer, n_bytes, self.runtime.memcpyDeviceToHost)
        self._checked(self.stream.synchronize)
        self.in_flight.clear()
        return np.frombuffer(pinned, dtype=dtype, count=int(np.prod(shape, dtype=np.int64))).reshape(shape).copy()

    def copy(self, target: Buffer, source: Buffer) -> None:
        self._transfer(target.pointer, source.pointer, source.n_bytes, self.runtime.memcpyDeviceToDevice)

    def _transfer(self, target: int, source: int, n_bytes: int, kind: int) -> None:
        self._checked(self.runtime.memcpyAsync, target, source, n_bytes, kind, self.stream.ptr)

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
        except (self.runtime.CUDARuntimeError, self.cupy.cuda.driver.CUDADriverError) as error:
            raise QmltrainError(f"GPU {self.limits.name}: {one_line(error)}; resume from the last snapshot") from None
