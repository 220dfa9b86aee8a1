"""The kernels on the CPU: `emulator/` beside this file, through g++ and ctypes, behind the engine's `Device` interface.

Libraries are built once for a text of the sources and a variant, in the temporary directory of the user.
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
import weakref
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from pathlib import Path

import numpy as np

from qmltrain.engines.cuda.device import DeviceLimits, Kernel
from qmltrain.shipped_files import kernels_directory

_ADDRESS = ("-O0", "-g", "-fsanitize=address,undefined", "-fno-sanitize=vptr", "-fno-sanitize-recover=undefined")
VARIANTS = {  # flags of the compiler, of the linker
    "plain": (("-O1",), ()),
    "address": (_ADDRESS, _ADDRESS),
    "races": (("-O1", "-g", "-fsanitize=thread", "-DEMULATOR_RACES"), ()),
}
ORDERS = {"forward": 0, "reverse": 1, "random": 2}

EMULATOR = Path(__file__).parent / "emulator"


def compiler() -> str | None:
    return shutil.which(os.environ.get("CXX", "g++"))


@lru_cache
def library(
    source: str, precision: str, tile_bits: int | None, variant: str = "plain", kernels: Path | None = None
) -> ctypes.CDLL:
    """`source`.cu compiled for the CPU. `kernels` is another copy of kernels/cuda (planted faults)."""
    folder = kernels or kernels_directory() / "cuda"
    files = [folder / f"{source}.cu", *sorted([*folder.glob("*.cuh"), *EMULATOR.glob("*.h")])]
    key = hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()[:16]
    built = Path(tempfile.gettempdir()) / f"qmltrain-emulator-{os.getuid()}" / key
    built.mkdir(parents=True, exist_ok=True)
    path = built / f"{source}-{precision}-{tile_bits}-{variant}.so"
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in several processes: one compiles, the others wait for it
        if not path.exists():
            _build(path, folder, source, precision, tile_bits, variant)
    loaded = ctypes.CDLL(str(path))
    loaded.emulator_races.restype = ctypes.c_ulonglong
    loaded.emulator_order.argtypes = (ctypes.c_int, ctypes.c_ulonglong)
    return loaded


def _build(path: Path, folder: Path, source: str, precision: str, tile_bits: int | None, variant: str) -> None:
    compile_flags, link_flags = VARIANTS[variant]
    defines = [f"-DREAL={'float' if precision == 'complex64' else 'double'}"]
    defines += [] if tile_bits is None else [f"-DTILE_BITS={tile_bits}"]
    common = [str(compiler()), "-std=c++17", "-fPIC", "-w"]
    with tempfile.TemporaryDirectory(dir=path.parent) as work:
        compiled, linked = f"{work}/kernel.o", f"{work}/kernel.so"
        include = ["-include", str(EMULATOR / "emulator.h"), "-x", "c++"]
        command = [*common, *compile_flags, *defines, *include, "-c", str(folder / f"{source}.cu"), "-o", compiled]
        subprocess.run(command, check=True)
        # the race check provides the sanitizer's functions itself: no -fsanitize=thread for the linker
        subprocess.run([str(compiler()), "-shared", *link_flags, compiled, "-o", linked], check=True)
        os.replace(linked, path)


class HostBuffer:
    """Memory from the C library: a multiple of 64 bytes, exactly sized for the address sanitizer, NaN at first."""

    live = peak = 0  # bytes in all buffers now and at most

    def __init__(self, n_bytes: int) -> None:
        libc = ctypes.CDLL(None)
        address = ctypes.c_void_p()
        if libc.posix_memalign(ctypes.byref(address), ctypes.c_size_t(64), ctypes.c_size_t(max(1, n_bytes))):
            raise MemoryError(n_bytes)
        self.pointer, self.n_bytes = int(address.value or 0), n_bytes
        self.memory = np.ctypeslib.as_array((ctypes.c_uint8 * n_bytes).from_address(self.pointer))
        self.memory[:] = 0xFF
        HostBuffer.live += n_bytes
        HostBuffer.peak = max(HostBuffer.peak, HostBuffer.live)
        weakref.finalize(self, _free, libc, address, n_bytes)


def _free(libc: ctypes.CDLL, address: ctypes.c_void_p, n_bytes: int) -> None:
    HostBuffer.live -= n_bytes
    libc.free(address)


class _Held(np.ndarray):
    """An array that keeps the buffer alive which it and its views are in."""

    owner: object = None

    def __array_finalize__(self, other: object) -> None:
        self.owner = getattr(other, "owner", None)


class _Pinned:
    def __init__(self, n_bytes: int) -> None:
        self.array = np.zeros(n_bytes, np.uint8)
        self.pointer = self.array.ctypes.data


class _Past:
    """An event: everything has happened already."""

    done = True

    def synchronize(self) -> None:
        pass


class EmulatorDevice:
    """Runs a launch at once; `order` of threads and blocks as in the emulator."""

    def __init__(
        self,
        order: str = "forward",
        variant: str = "plain",
        seed: int = 1,
        shared_bytes: int = 163 << 10,
        memory_bytes: int = 1 << 30,
        kernels: Path | None = None,
        watchdog: bool = False,
    ) -> None:
        self.order, self.variant, self.seed, self.kernels = order, variant, seed, kernels
        self.limits = DeviceLimits("emulator", "80", shared_bytes, memory_bytes, 4, watchdog)
        self.launches: list[tuple[Kernel, int, int, int]] = []
        self.reads = self.synchronizations = 0

    arrays = np
    has_graphs = False

    def allocate(self, n_bytes: int) -> HostBuffer:
        return HostBuffer(n_bytes)

    def _bytes(self, buffer, n_bytes: int) -> np.ndarray:  # noqa: ANN001
        owner, start = getattr(buffer, "buffer", buffer), getattr(buffer, "offset", 0)
        assert start + n_bytes <= owner.n_bytes
        return owner.memory[start : start + n_bytes]

    def upload(self, array: np.ndarray) -> HostBuffer:
        result = self.allocate(array.nbytes)
        self._bytes(result, array.nbytes)[:] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        return result

    def read(self, buffer, dtype, shape) -> np.ndarray:  # noqa: ANN001
        self.reads += 1
        n_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
        return self._bytes(buffer, n_bytes).copy().view(dtype).reshape(shape)

    def copy(self, target: HostBuffer, source: HostBuffer) -> None:
        assert target.n_bytes == source.n_bytes
        self._bytes(target, target.n_bytes)[:] = self._bytes(source, source.n_bytes)

    def clear(self, buffer: HostBuffer) -> None:
        buffer.memory[:] = 0

    def pinned(self, n_bytes: int) -> _Pinned:
        return _Pinned(n_bytes)

    def send(self, target: HostBuffer, source: _Pinned, n_bytes: int, after: _Past) -> _Past:
        self._bytes(target, n_bytes)[:] = source.array[:n_bytes]
        return _Past()

    def fetch(self, target: _Pinned, source, n_bytes: int) -> None:  # noqa: ANN001
        target.array[:n_bytes] = self._bytes(source, n_bytes)

    def record(self) -> _Past:
        return _Past()

    def wait(self, event: _Past) -> None:
        pass

    def synchronize(self) -> None:
        self.synchronizations += 1

    def array(self, buffer, dtype, shape) -> np.ndarray:  # noqa: ANN001
        n_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
        held = self._bytes(buffer, n_bytes).view(_Held)
        held.owner = buffer
        return held.view(dtype).reshape(shape)

    def memory_of(self, array: np.ndarray) -> HostBuffer:
        return self.upload(array)

    def queueing(self) -> AbstractContextManager[None]:
        return nullcontext()

    def compile(self, kernel: Kernel) -> None:
        self._library(kernel)

    def _library(self, kernel: Kernel) -> ctypes.CDLL:
        return library(kernel.source, kernel.precision, kernel.tile_bits, self.variant, self.kernels)

    def launch(self, kernel: Kernel, grid: int, block: int, shared_bytes: int, arguments) -> None:  # noqa: ANN001
        assert 0 < grid < 2**31 and shared_bytes <= self.limits.shared_bytes
        self.launches.append((kernel, grid, block, shared_bytes))
        loaded = self._library(kernel)
        loaded.emulator_order(ORDERS[self.order], self.seed)
        held = [np.asarray(argument) for argument in arguments]
        pointers = (ctypes.c_void_p * len(held))(*[a.ctypes.data for a in held])
        geometry = (ctypes.c_uint * 6)(grid, 1, 1, block, 1, 1)
        getattr(loaded, f"emulate_{kernel.name}")(geometry, ctypes.c_size_t(shared_bytes), pointers)

    def races(self) -> int:
        """Races found so far in this process, in all libraries that this device used."""
        used = {(kernel.source, kernel.precision, kernel.tile_bits): kernel for kernel, _, _, _ in self.launches}
        return sum(int(self._library(kernel).emulator_races()) for kernel in used.values())
