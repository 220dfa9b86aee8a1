"""As much of CuPy as `CupyDevice` uses, on the CPU: memory is the host's, kernels run in the emulator.

It proves our side of the interface (order of arguments, options, errors, life of buffers, streams and events, what may
happen while a graph is captured), not CuPy's.
"""

from __future__ import annotations

import ctypes
import functools
import sys
import threading
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from qmltrain.engines.cuda import availability
from qmltrain.engines.cuda.sources import compile_options, kernel_source
from tests.engines.cuda import fake_arrays
from tests.engines.cuda.emulator_device import library
from tests.engines.cuda.fake_streams import (
    CUDARuntimeError,
    Event,
    Machine,
    MemoryPointer,
    MemoryPool,
    OutOfMemoryError,
    Stream,
    alloc_pinned_memory,
)

_ONE_AT_A_TIME = threading.Lock()  # the emulator knows nothing of threads


class CUDADriverError(RuntimeError):
    pass


class CompileException(Exception):  # noqa: N818 - CuPy's name
    pass


class Function:
    """A kernel found in the emulator; counts what it was asked for."""

    num_regs = 128
    preferred_shared_memory_carveout = -1

    def __init__(self, machine: Machine, loaded: ctypes.CDLL | None, name: str) -> None:
        self.machine, self.run = machine, None if loaded is None else getattr(loaded, f"emulate_{name}")
        self.max_dynamic_shared_size_bytes = 48 << 10

    def __call__(self, grid: tuple, block: tuple, arguments: tuple, *, shared_mem: int = 0) -> None:
        if shared_mem > self.max_dynamic_shared_size_bytes:
            raise CUDADriverError("CUDA_ERROR_INVALID_VALUE: invalid argument")
        held = [np.array(a) for a in arguments]
        pointers = (ctypes.c_void_p * len(held))(*[a.ctypes.data for a in held])
        geometry = (ctypes.c_uint * 6)(grid[0], 1, 1, block[0], 1, 1)
        self.machine.launches += 1

        def launch(held: list = held) -> None:  # the arguments live as long as the launch
            assert self.run is not None
            with _ONE_AT_A_TIME:
                self.run(geometry, ctypes.c_size_t(shared_mem), pointers)

        self.machine.current.queue(launch)


class RawModule:
    """Recognises a source by its text and options."""

    machine: Machine
    loaded: ctypes.CDLL | None = None

    def __init__(self, code: str, options: tuple[str, ...] = ()) -> None:
        if code == availability.PROBE:
            return
        for source in ("tile_pass", "tile_pass_lean", "tile_pass_two", "vectors", "gates"):
            for precision in ("complex64", "complex128"):
                for tile_bits in (None, *range(5, 14)):
                    if code == kernel_source(source) and options == compile_options(precision, tile_bits):
                        if not self.machine.idle:
                            self.loaded = library(source, precision, tile_bits)
                        return
        raise CompileException(
            "kernels/cuda/x.cu(3): warning: unused\nkernels/cuda/x.cu(7): error: expected a ';'\nmore"
        )

    def get_function(self, name: str) -> Function:
        return Function(self.machine, self.loaded, name)


def make(
    free_bytes: int = 1 << 28,
    lazy: tuple[bool, ...] = (),
    idle: bool = False,
    watchdog: bool = False,
    gpus: tuple[bytes, ...] = (b"GPU",),
) -> Any:
    """A module to stand for `cupy`; `module.machine` counts and decides when streams work (see `Machine`).

    Allocations beyond `free_bytes` fail as CuPy's do. `gpus`: UUIDs of those that are visible; they share a machine.
    """
    machine = Machine(lazy, free_bytes, idle)

    def memcpy(target: int, source: int, n_bytes: int, kind: int, stream: int) -> None:
        assert kind in (1, 2, 3)
        machine.to_device += kind == 1
        machine.to_host += kind == 2
        machine.streams[stream - 1].queue(lambda: ctypes.memmove(target, source, n_bytes) and None)

    def memset(target: int, value: int, n_bytes: int, stream: int) -> None:
        machine.streams[stream - 1].queue(lambda: ctypes.memset(target, value, n_bytes) and None)

    def properties(number: int) -> dict[str, Any]:
        return {
            "uuid": gpus[number],
            "name": b"Fake GPU",
            "multiProcessorCount": 2,
            "sharedMemPerBlockOptin": 100 << 10,
            "sharedMemPerMultiprocessor": 164 << 10,
            "kernelExecTimeoutEnabled": int(watchdog),
        }

    def stream(non_blocking: bool = False) -> Stream:
        assert non_blocking, "a stream that waits for the default stream"
        return Stream(machine)

    def event(disable_timing: bool = False) -> Event:
        assert disable_timing
        return Event(machine)

    def device(number: int | None = None) -> Any:
        number = machine.gpu if number is None else number
        use = functools.partial(setattr, machine, "gpu", number)
        return types.SimpleNamespace(id=number, compute_capability="86", use=use)

    def alloc(n_bytes: int) -> MemoryPointer:
        assert machine.stack, "allocated on the default stream"
        return machine.allocators[-1](n_bytes)

    @contextmanager
    def using_allocator(allocator: Callable[[int], MemoryPointer]) -> Iterator[None]:
        machine.allocators.append(allocator)
        try:
            yield
        finally:
            machine.allocators.pop()

    runtime = types.SimpleNamespace(
        CUDARuntimeError=CUDARuntimeError,
        getDeviceCount=lambda: len(gpus),
        getDevice=lambda: machine.gpu,
        deviceGetPCIBusId=lambda number: f"0000:{number:02x}:00.0",
        getDeviceProperties=properties,
        memGetInfo=lambda: (free_bytes - machine.used, max(1 << 30, free_bytes)),
        memcpyAsync=memcpy,
        memsetAsync=memset,
        memcpyHostToDevice=1,
        memcpyDeviceToHost=2,
        memcpyDeviceToDevice=3,
        runtimeGetVersion=lambda: 0,
        driverGetVersion=lambda: 0,
    )
    cuda = types.SimpleNamespace(
        runtime=runtime,
        driver=types.SimpleNamespace(CUDADriverError=CUDADriverError),
        compiler=types.SimpleNamespace(CompileException=CompileException),
        memory=types.SimpleNamespace(OutOfMemoryError=OutOfMemoryError),
        nvrtc=types.SimpleNamespace(getVersion=lambda: (13, 0)),
        Device=device,
        Stream=stream,
        Event=event,
        alloc=alloc,
        PinnedMemory=lambda n_bytes: alloc_pinned_memory(machine, n_bytes),
        PinnedMemoryPointer=lambda memory, offset: memory,
        MemoryPool=lambda: MemoryPool(machine),
        using_allocator=using_allocator,
    )
    module = types.ModuleType("cupy")
    module.__dict__.update(
        machine=machine,
        cuda=cuda,
        RawModule=type("RawModule", (RawModule,), {"machine": machine}),
        get_default_memory_pool=lambda: machine.default_pool,
        __version__="0",
        __spec__=object(),
    )
    fake_arrays.install(module, machine)
    return module


class CupyOfThreads(types.ModuleType):
    """`cupy` as the ranks of a node see it, each a thread here: every thread has a stand-in of its own, from `see`."""

    def __init__(self, see: Callable[[], Any]) -> None:
        super().__init__("cupy")
        self.see, self.made, self.own = see, [], threading.local()

    def __getattr__(self, name: str) -> Any:
        if not hasattr(self.own, "module"):
            self.own.module = self.see()
            self.made.append(self.own.module)
        return getattr(self.own.module, name)


def instead_of_cupy(monkeypatch: Any, module: Any) -> Any:
    """What `import cupy` finds from now on is `module`."""
    monkeypatch.setitem(sys.modules, "cupy", module)
    monkeypatch.setattr(availability.importlib.util, "find_spec", lambda name: object())
    return module
