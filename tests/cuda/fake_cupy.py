"""As much of CuPy as `CupyDevice` uses, on the CPU: memory is the host's, kernels run in the emulator.

It proves our side of the interface (order of arguments, options, errors, life of buffers), not CuPy's.
"""

from __future__ import annotations

import ctypes
import types
from typing import Any

import numpy as np

from qmltrain.engines.cuda.sources import compile_options, kernel_source
from tests.cuda.emulator_device import HostBuffer, library


class CUDARuntimeError(RuntimeError):
    pass


class CUDADriverError(RuntimeError):
    pass


class CompileException(Exception):  # noqa: N818 - CuPy's name
    pass


class OutOfMemoryError(MemoryError):
    pass


class Pinned(ctypes.Array):
    """Page-locked memory: something with a buffer and a pointer."""

    _type_, _length_ = ctypes.c_uint8, 1 << 26

    @property
    def ptr(self) -> int:
        return ctypes.addressof(self)


class Stream:
    ptr = 1
    current: Stream | None = None

    def __init__(self, non_blocking: bool = False) -> None:
        assert non_blocking

    def __enter__(self) -> Stream:
        Stream.current = self
        return self

    def __exit__(self, *_: object) -> None:
        Stream.current = None

    def synchronize(self) -> None:
        pass


class Event:
    done = True

    def __init__(self, disable_timing: bool = False) -> None:
        assert disable_timing

    def record(self, stream: Stream) -> None:
        assert isinstance(stream, Stream)


class Function:
    """A kernel found in the emulator; counts what it was asked for."""

    def __init__(self, loaded: ctypes.CDLL, name: str) -> None:
        self.run = getattr(loaded, f"emulate_{name}")
        self.max_dynamic_shared_size_bytes = 48 << 10

    def __call__(self, grid: tuple, block: tuple, arguments: tuple, *, shared_mem: int = 0) -> None:
        assert Stream.current is not None, "launched on the default stream"
        if shared_mem > self.max_dynamic_shared_size_bytes:
            raise CUDADriverError("CUDA_ERROR_INVALID_VALUE: invalid argument")
        held = [np.asarray(a) for a in arguments]
        pointers = (ctypes.c_void_p * len(held))(*[a.ctypes.data for a in held])
        geometry = (ctypes.c_uint * 6)(grid[0], 1, 1, block[0], 1, 1)
        self.run(geometry, ctypes.c_size_t(shared_mem), pointers)


class RawModule:
    """Recognises a source by its text and options."""

    def __init__(self, code: str, options: tuple[str, ...]) -> None:
        for source in ("tile_pass", "vectors", "gates"):
            for precision in ("complex64", "complex128"):
                for tile_bits in (None, *range(5, 14)):
                    if code == kernel_source(source) and options == compile_options(precision, tile_bits):
                        self.loaded = library(source, precision, tile_bits)
                        return
        raise CompileException(
            "kernels/cuda/x.cu(3): warning: unused\nkernels/cuda/x.cu(7): error: expected a ';'\nmore"
        )

    def get_function(self, name: str) -> Function:
        return Function(self.loaded, name)


def make(free_bytes: int = 1 << 28) -> Any:
    """A module to stand for `cupy`; allocations beyond `free_bytes` fail as CuPy's do."""

    def alloc(n_bytes: int) -> Any:
        assert Stream.current is not None, "allocated on the default stream"
        if n_bytes > free_bytes:
            raise OutOfMemoryError(f"Out of memory allocating {n_bytes} bytes")
        buffer = HostBuffer(n_bytes)
        return types.SimpleNamespace(ptr=buffer.pointer, held=buffer)

    def memcpy(target: int, source: int, n_bytes: int, kind: int, stream: int) -> None:
        assert kind in (1, 2, 3)
        assert stream == Stream.ptr
        ctypes.memmove(target, source, n_bytes)

    def memset(target: int, value: int, n_bytes: int, stream: int) -> None:
        assert stream == Stream.ptr
        ctypes.memset(target, value, n_bytes)

    def properties(_: int) -> dict[str, Any]:
        return {"name": b"Fake GPU", "multiProcessorCount": 2, "sharedMemPerBlockOptin": 100 << 10}

    runtime = types.SimpleNamespace(
        CUDARuntimeError=CUDARuntimeError,
        getDeviceCount=lambda: 1,
        getDeviceProperties=properties,
        memGetInfo=lambda: (free_bytes, 1 << 30),
        memcpyAsync=memcpy,
        memsetAsync=memset,
        memcpyHostToDevice=1,
        memcpyDeviceToHost=2,
        memcpyDeviceToDevice=3,
    )
    cuda = types.SimpleNamespace(
        runtime=runtime,
        driver=types.SimpleNamespace(CUDADriverError=CUDADriverError),
        compiler=types.SimpleNamespace(CompileException=CompileException),
        memory=types.SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
        Device=lambda: types.SimpleNamespace(id=0, compute_capability="86"),
        Stream=Stream,
        Event=Event,
        alloc=alloc,
        alloc_pinned_memory=lambda n_bytes: Pinned(),
    )
    pool = types.SimpleNamespace(free_bytes=lambda: 0, total_bytes=lambda: 0)
    module = types.ModuleType("cupy")
    module.__dict__.update(
        cuda=cuda, RawModule=RawModule, get_default_memory_pool=lambda: pool, __version__="0", __spec__=object()
    )
    return module
