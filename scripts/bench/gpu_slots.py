#!/usr/bin/env python
"""Instructions of the compiled tile kernels by part of a record: what derived times count with. No GPU needed.

    python scripts/bench/gpu_slots.py [--architecture 90] [--tile-bits 12] [--precision complex64] [--define NAME=VALUE]

Compiles each form of the kernel with NVRTC as CuPy would and takes the machine code apart with nvdisasm
(`pip install nvidia-cuda-nvrtc nvidia-cuda-nvdisasm`, or NVDISASM=path). An instruction belongs to the part in whose
lines of tile_pass.cuh it is, or what is inlined there. Prints registers, spilled bytes and the instructions of each
part, those that multiply or add floats in brackets: a part is executed once where a record (or a pass) has it,
`rotation` and `x` of each register, `last warp` by one warp of a block, `fours` once for each four tile bits.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from qmltrain.engines.cuda.sources import kernel_source
from qmltrain.shipped_files import kernels_directory
from tests.engines.cuda import nvrtc

SOURCES = ("tile_pass", "tile_pass_lean", "tile_pass_two")
MAIN = "tile_pass.cuh"
# where a part begins in tile_pass.cuh, by a text of its first line; what is not listed goes on with the part before
PARTS = (
    ("pass", "__device__ __forceinline__ void tile_pass(const PassArguments& A)"),
    ("record", "for (int k = BACKWARD"),
    ("exchange", "auto exchange = [&]"),
    ("moved", "if (flags & MOVES_TILE)"),
    ("exchange", "if (!synchronised || (!LEAN && (flags & HAS_MEASURE))) __syncthreads();"),
    ("table", "auto table_diagonal = [&]"),
    ("joint", "if (flags & HAS_JOINT)"),
    ("measure", "auto measure = [&]"),
    ("general", "auto general_diagonal = [&]"),
    ("coefficients", "auto rotations = [&]"),
    ("v", "Real y[4], z[4], x[4], z_of_warp = 0;"),
    ("rotation", "rotation<0, BACKWARD, TWO>"),
    ("v", "if (!BACKWARD || !(flags & HAS_V)) return;"),
    ("z before", "if (extra & Z_BEFORE)"),
    ("last warp", "const auto column = [&](int i)"),
    ("packed", "if (BY_SAMPLE || (WARPS == 1 && A.pack_bits)) {  // a row"),
    ("v", "const Real y_of_warp = warp_sums"),
    ("x sums", "const Real mine_x = warp_sums"),
    ("v", "if (WARPS == 1) {\n        if (!extra"),
    ("last warp", "if (warp == (k & (WARPS - 1)) && lane < 12) {"),
    ("record", "if (!BACKWARD) {\n      if (flags & HAS_EXCHANGE)"),
    ("pass", "Complex *home, *other_home;\n  homes<BACKWARD, TWO>(A, as_it_stands(tile)"),
)
WITHIN = (  # lines of functions that are inlined, or of a part
    ("x", MAIN, "if (extra >> R & 1)"),
    ("pass fours", MAIN, "for (; left; left >>= 4, table += 16)"),
    ("pass fours", MAIN, "const int2 add = __ldg(table + (left & 15u));"),
    ("pass fours", MAIN, "sum.x ^= add.x;"),
    ("pass fours", MAIN, "sum.y ^= add.y;"),
    ("moved fours", MAIN, "for (; left; left >>= 4, moved += 64)"),
    ("moved fours", MAIN, "const int4 add = load_four(moved + 4 * (left & 15u));"),
    ("moved fours", MAIN, "write_address ^= (unsigned)"),
    ("moved fours", MAIN, "read_address ^= (unsigned)"),
    ("moved fours", MAIN, "tile_address ^= (unsigned)"),
    ("further signs", "diagonals.cuh", "for (int i = 0; i < both.w; ++i)"),
    ("further signs", "diagonals.cuh", "pairs ^= offset & (offset >> __ldg"),
    ("signs", "diagonals.cuh", "const SignBits signs = sign_bits("),
    ("signs", "diagonals.cuh", "factor = with_sign(factor, signs.thread);"),
    ("signs", "diagonals.cuh", "found[r] = with_sign(found[r], signs.one[r]);"),
)
FLOATS = {"FFMA", "FMUL", "FADD", "DFMA", "DMUL", "DADD"}
_FRAME = re.compile(r'File "([^"]*)", line (\d+)')
_INSTRUCTION = re.compile(r"\s*/\*[0-9a-f]{4,6}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9_]*)")


@dataclass(frozen=True)
class KernelSlots:
    """Of one kernel: registers and bytes spilled of a thread; by part its instructions, and those on floats."""

    registers: int
    spilled: int
    parts: dict[str, int]
    floats: dict[str, int]


def nvdisasm() -> str | None:
    """The disassembler, or None."""
    roots = [Path(root) for root in sys.path if root]
    found = [str(path) for root in roots for path in root.glob("nvidia/*/bin/nvdisasm")]
    return os.environ.get("NVDISASM") or shutil.which("nvdisasm") or next(iter(found), None)


def slots(
    source: str, precision: str, tile_bits: int, architecture: str, defines: tuple[str, ...] = ()
) -> dict[str, KernelSlots]:
    """The kernels of a source."""
    options = (*nvrtc.compile_options(precision, tile_bits), *(f"-D{define}" for define in defines))
    cubin, log = nvrtc.compile_source(kernel_source(source), options, architecture)
    used = nvrtc.usage_in(log)
    with tempfile.TemporaryDirectory() as work:
        path = Path(work) / "kernels.cubin"
        path.write_bytes(cubin)
        command = [str(nvdisasm()), "-c", "-gi", str(path)]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = {}
    for section in re.split(r"\n\s*\.section\s+\.text\.", text)[1:]:
        name = section.split(",")[0].strip()
        found[name] = KernelSlots(used[name].registers, used[name].spilled, *_by_part(section))
    return found


def _by_part(section: str) -> tuple[dict[str, int], dict[str, int]]:
    def line_of(mark: str, file: str = MAIN) -> int:
        text = (kernels_directory() / "cuda" / file).read_text(encoding="utf-8")
        assert text.count(mark) == 1, f"{mark!r} stands {text.count(mark)} times in {file}"
        return text.count("\n", 0, text.index(mark)) + 1

    starts = sorted((line_of(mark), part) for part, mark in PARTS)
    within = {(file, line_of(mark, file)): part for part, file, mark in WITHIN}
    first = line_of("const Record record = load_record(fields);")  # what comes before it is done once in a pass
    counts: Counter[str] = Counter()
    floats: Counter[str] = Counter()
    part, frames, complete, begun = "pass", [], True, False
    for line in section.splitlines():
        if "//## File" in line:
            if complete:
                frames, complete = [], False
            frames += [(Path(file).name, int(number)) for file, number in _FRAME.findall(line)[:1]]
            continue
        if match := _INSTRUCTION.match(line):
            if not complete:
                complete = True
                inner = [within[frame] for frame in frames if frame in within]
                lines = [number for file, number in frames if file == MAIN and number >= starts[0][0]]
                outer = [[p for start, p in starts if start <= number][-1] for number in lines]
                part = (inner or outer or [part])[0]
                begun = begun or (MAIN, first) in frames
                part = "pass" if part == "record" and not begun else part
            if match[1] != "NOP":
                counts[part] += 1
                floats[part] += match[1] in FLOATS
    return dict(counts), dict(floats)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architecture", default="90")
    parser.add_argument("--tile-bits", type=int, default=12)
    parser.add_argument("--precision", default="complex64")
    parser.add_argument("--define", action="append", default=[])
    parser.add_argument("sources", nargs="*", default=SOURCES)
    given = parser.parse_args()
    if nvrtc.library() is None or nvdisasm() is None:
        raise SystemExit("needs nvidia-cuda-nvrtc and nvidia-cuda-nvdisasm: pip install both")
    for source in given.sources:
        kernels = slots(source, given.precision, given.tile_bits, given.architecture, tuple(given.define))
        for name, one in kernels.items():
            print(f"{source} {name}: {one.registers} registers, {one.spilled} bytes spilled, "
                  f"{sum(one.parts.values())} instructions")  # fmt: skip
            for part, count in sorted(one.parts.items()):
                of = 4 if part in ("rotation", "x") else 1
                print(f"    {part:13s} {count / of:7.2f} ({one.floats[part] / of:g})", flush=True)


if __name__ == "__main__":
    main()
