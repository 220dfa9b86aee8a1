"""The compiled kernels on the CPU: NVRTC's PTX, translated to C++, behind the engine's `Device` interface."""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import os
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

import numpy as np

from qmltrain.engines.cuda.device import Kernel
from qmltrain.engines.cuda.sources import compile_options, kernel_source
from tests.engines.cuda import nvrtc
from tests.engines.cuda.emulator_device import EMULATOR, EmulatorDevice, compiler
from tests.engines.cuda.ptx.translator import translated

ARCHITECTURE = "90"
# fused multiply-adds are the PTX's own: the compiler is to make no others
_FLAGS = ("-std=c++17", "-O1", "-mfma", "-ffp-contract=off", "-fPIC", "-w", "-shared")
VARIANTS = {"plain": (), "races": ("-DEMULATOR_RACES",)}
HELPERS = Path(__file__).parent


@lru_cache
def library(
    source: str, precision: str, tile_bits: int | None, variant: str = "plain", kernels: Path | None = None
) -> ctypes.CDLL:
    """`source`.cu as NVRTC compiles it for CuPy, as a library; kept in the temporary directory of the user."""
    options = tuple(option for option in compile_options(precision, tile_bits) if option != "-lineinfo")
    text = translated(nvrtc.compile_ptx(kernel_source(source, kernels), options, ARCHITECTURE))
    headers = [path.read_text() for path in sorted([*EMULATOR.glob("*.h"), *HELPERS.glob("*.h")])]
    key = hashlib.sha256("".join([text, *headers, *_FLAGS]).encode()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"qmltrain-ptx-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    path = folder / f"{source}-{precision}-{tile_bits}-{variant}-{key}.so"
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in several processes: one compiles, the others wait for it
        if not path.exists():
            _build(text, path, variant)
    loaded = ctypes.CDLL(str(path))
    loaded.emulator_races.restype = ctypes.c_ulonglong
    loaded.emulator_order.argtypes = (ctypes.c_int, ctypes.c_ulonglong)
    return loaded


def _build(text: str, path: Path, variant: str) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent) as work:
        written, linked = Path(work) / "kernels.cpp", Path(work) / "kernels.so"
        written.write_text(text)
        include = [f"-I{EMULATOR}", f"-I{HELPERS}"]
        subprocess.run(
            [str(compiler()), *_FLAGS, *VARIANTS[variant], *include, str(written), "-o", str(linked)], check=True
        )
        os.replace(linked, path)


class PtxDevice(EmulatorDevice):
    """As `EmulatorDevice`; arguments of a launch must have the sizes of the compiled kernel's parameters."""

    def _library(self, kernel: Kernel) -> ctypes.CDLL:
        return library(kernel.source, kernel.precision, kernel.tile_bits, self.variant, self.kernels)

    def launch(self, kernel: Kernel, grid: int, block: int, shared_bytes: int, arguments) -> None:  # noqa: ANN001
        parameter_bytes = getattr(self._library(kernel), f"parameter_bytes_{kernel.name}")
        given = [np.asarray(argument).nbytes for argument in arguments]
        assert [parameter_bytes(number) for number in range(len(given) + 1)] == [*given, -1], kernel
        super().launch(kernel, grid, block, shared_bytes, arguments)
