"""NVRTC without a GPU, a driver or CuPy: the library of the wheel nvidia-cuda-nvrtc through ctypes.

Found beside the interpreter's packages, or in the folder QMLTRAIN_NVRTC names.

    python -m tests.engines.cuda.nvrtc        compiles everything and records registers and spills in registers.json
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from qmltrain.engines.cuda.geometry import LARGEST_TILE, SMALLEST_TILE
from qmltrain.engines.cuda.sources import compile_options, kernel_source
from qmltrain.engines.protocol import Precision

ARCHITECTURES = ("75", "80", "86", "89", "90", "100", "120")
RECORDED = Path(__file__).parent / "registers.json"
TILE_SOURCES = ("tile_pass", "tile_pass_lean", "tile_pass_two")
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
    """Of one kernel, per thread: registers and bytes spilled."""

    registers: int
    spilled: int


class CompileError(Exception):
    """NVRTC's log."""


def cupy_options(options: tuple[str, ...]) -> tuple[str, ...]:
    """What `cupy.RawModule(options=...)` compiles with: CuPy 14 adds these to ours (cupy/cuda/compiler.py), and folders
    of headers, of which our kernels include none. Denormal floats are zero then, and registers are others."""
    return (*options, "-ftz=true", "--device-as-default-execution-space")


def compile_source(text: str, options: tuple[str, ...], architecture: str) -> tuple[bytes, str]:
    """(cubin, log) for sm_`architecture`."""
    return _compiled(text, (f"-arch=sm_{architecture}", "--ptxas-options=-v", *cupy_options(options)), "CUBIN")


def compile_ptx(text: str, options: tuple[str, ...], architecture: str) -> str:
    """PTX for compute_`architecture`: what is left to do is the assembler's."""
    ptx, _ = _compiled(text, (f"-arch=compute_{architecture}", *cupy_options(options)), "PTX")
    return ptx.rstrip(b"\0").decode()


def _compiled(text: str, options: tuple[str, ...], kind: str) -> tuple[bytes, str]:
    """(result, log); `kind` is CUBIN or PTX."""
    nvrtc = library()
    assert nvrtc is not None, ADVICE
    program = ctypes.c_void_p()
    source = text.encode()
    status = nvrtc.nvrtcCreateProgram(ctypes.byref(program), source, b"kernels.cu", 0, None, None)
    assert status == 0, status
    flags = [option.encode() for option in options]
    status = nvrtc.nvrtcCompileProgram(program, len(flags), (ctypes.c_char_p * len(flags))(*flags))
    size = ctypes.c_size_t()
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value)
    nvrtc.nvrtcGetProgramLog(program, log)
    message = log.value.decode(errors="replace")
    result = b""
    if status == 0:
        getattr(nvrtc, f"nvrtcGet{kind}Size")(program, ctypes.byref(size))
        binary = ctypes.create_string_buffer(size.value)
        getattr(nvrtc, f"nvrtcGet{kind}")(program, binary)
        result = binary.raw
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    if status:
        raise CompileError(message)
    return result, message


def usage(source: str, precision: Precision, tile_bits: int | None, architecture: str) -> dict[str, Usage]:
    """What each kernel of a source needs, from the assembler's report."""
    _, log = compile_source(kernel_source(source), compile_options(precision, tile_bits), architecture)
    return usage_in(log)


def usage_in(log: str) -> dict[str, Usage]:
    """The assembler's report in a log."""
    found: dict[str, Usage] = {}
    name, spilled = "", 0
    for line in log.splitlines():
        if match := re.search(r"(?:Compiling entry function|Function properties for) '?(\w+)'?", line):
            name, spilled = match.group(1), 0
        if match := re.search(r"(\d+) bytes spill stores", line):
            spilled = int(match.group(1))
        if match := re.search(r"Used (\d+) registers", line):
            found[name] = Usage(int(match.group(1)), spilled)
    return found


def instances() -> list[tuple[str, Precision, int | None]]:
    """Every (source, precision, tile size) that the engine may ask for."""
    found: list[tuple[str, Precision, int | None]] = []
    precisions: tuple[Precision, ...] = ("complex64", "complex128")
    for precision in precisions:
        found += [("vectors", precision, None), ("gates", precision, None)]
        sizes = range(SMALLEST_TILE, LARGEST_TILE[precision] + 1)
        found += [(source, precision, t) for source in TILE_SOURCES for t in sizes]
    return found


def name_of(source: str, precision: str, tile_bits: int | None) -> str:
    """The key of an instance in registers.json."""
    return f"{source} {precision}" + ("" if tile_bits is None else f" {tile_bits}")


def record() -> None:
    """Compile everything and write registers.json: {architecture: {instance: {kernel: [registers, spilled bytes]}}}."""
    table: dict[str, dict[str, dict[str, list[int]]]] = {}
    for architecture in ARCHITECTURES:
        table[architecture] = {}
        for instance in instances():
            used = usage(*instance, architecture)
            table[architecture][name_of(*instance)] = {k: [u.registers, u.spilled] for k, u in sorted(used.items())}
        print(f"sm_{architecture}: {len(table[architecture])} modules", flush=True)
    RECORDED.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    record()
