"""NVRTC without a GPU, a driver or CuPy: the library of the wheel nvidia-cuda-nvrtc through ctypes.

Found beside the interpreter's packages, or in the folder QMLTRAIN_NVRTC names.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from qmltrain.engines.cuda.device import Kernel
from qmltrain.engines.cuda.sources import compile_options, kernel_source

ARCHITECTURES = ("75", "80", "86", "90", "120")
ADVICE = "NVRTC is not installed: pip install nvidia-cuda-nvrtc (or set QMLTRAIN_NVRTC to its folder)"


@lru_cache
def library() -> ctypes.CDLL | None:
    """The newest libnvrtc, or None."""
    roots = [os.environ["QMLTRAIN_NVRTC"]] if "QMLTRAIN_NVRTC" in os.environ else sys.path
    found = [path for root in roots if root for path in Path(root).glob("nvidia/*/lib/libnvrtc.so.*")]
    if not found:
        return None
    newest = max(found, key=lambda path: int(path.suffix[1:]))
    builtins = sorted(newest.parent.glob("libnvrtc-builtins.so.*"))
    for path in builtins:
        ctypes.CDLL(str(path), mode=ctypes.RTLD_GLOBAL)
    return ctypes.CDLL(str(newest))


def version() -> str:
    major, minor = ctypes.c_int(), ctypes.c_int()
    nvrtc = library()
    assert nvrtc is not None
    nvrtc.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor))
    return f"{major.value}.{minor.value}"


@dataclass(frozen=True)
class Usage:
    """Of one kernel, per thread: registers, bytes spilled, and bytes of its parameters."""

    registers: int
    spilled: int
    parameters: int


class CompileError(Exception):
    """NVRTC's log."""


def compile_source(text: str, options: tuple[str, ...], architecture: str) -> tuple[bytes, str]:
    """(cubin, log) for sm_`architecture`."""
    nvrtc = library()
    assert nvrtc is not None, ADVICE
    program = ctypes.c_void_p()
    source = text.encode()
    status = nvrtc.nvrtcCreateProgram(ctypes.byref(program), source, b"kernels.cu", 0, None, None)
    assert status == 0, status
    flags = [f"-arch=sm_{architecture}".encode(), b"--ptxas-options=-v", *(o.encode() for o in options)]
    status = nvrtc.nvrtcCompileProgram(program, len(flags), (ctypes.c_char_p * len(flags))(*flags))
    size = ctypes.c_size_t()
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    message = log.value.decode(errors="replace")
    cubin = b""
    if status == 0:
        nvrtc.nvrtcGetCUBINSize(program, ctypes.byref(size))
        binary = ctypes.create_string_buffer(size.value)
        nvrtc.nvrtcGetCUBIN(program, binary)
        cubin = binary.raw
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    if status:
        raise CompileError(message)
    return cubin, message


def usage(source: str, precision: str, tile_bits: int | None, architecture: str) -> dict[str, Usage]:
    """What each kernel of a source needs, from the assembler's report."""
    key = Kernel(source, "", precision, tile_bits)  # type: ignore[arg-type]
    options = compile_options(key.precision, key.tile_bits)
    _, log = compile_source(kernel_source(source), options, architecture)
    found: dict[str, Usage] = {}
    name, spilled = "", 0
    for line in log.splitlines():
        if match := re.search(r"(?:Compiling entry function|Function properties for) '?(\w+)'?", line):
            name, spilled = match.group(1), 0
        if match := re.search(r"(\d+) bytes spill stores", line):
            spilled = int(match.group(1))
        if match := re.search(r"Used (\d+) registers", line):
            # parameters stand in constant bank 0 behind a header that depends on the architecture
            constant = re.search(r"(\d+) bytes cmem\[0\]", line)
            found[name] = Usage(int(match.group(1)), spilled, int(constant.group(1)) if constant else 0)
    return found
