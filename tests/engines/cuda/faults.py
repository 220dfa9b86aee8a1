"""Planted faults: changes to the kernels that the proofs must notice.

    python -m tests.engines.cuda.faults [--only WORD]

Each is applied to a copy of kernels/cuda; the cases of `tests.engines.cuda.proof` then run with the race check. A
fault that changes neither an answer, nor bits between orders of threads, nor raises a race or an error, fails this
script.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from qmltrain.shipped_files import kernels_directory


@dataclass(frozen=True)
class Fault:
    """Occurrence `number` of `old` in `file` becomes `new`."""

    name: str
    file: str
    old: str
    new: str
    number: int = 0


def barriers(file: str) -> Iterator[Fault]:
    text = (kernels_directory() / "cuda" / file).read_text()
    for number in range(len(re.findall(r"__syncthreads\(\);", text))):
        yield Fault(f"{file}: barrier {number + 1} removed", file, "__syncthreads();", ";", number)


OTHERS = (
    Fault("off-by-one tile, address", "tile_pass.cu", "const int on = -(int)(tile >> i & 1u);",
          "const int on = -(int)((tile + 1) >> i & 1u);"),
    Fault("stored at the places of the first basis", "tile_pass.cu", "tile_edge(A, !BACKWARD, tile).x",
          "tile_edge(A, BACKWARD, tile).x"),
    Fault("off-by-one tile, base of the state", "tile_pass.cu", "(size_t)(tile >> A.tile_count_bits)",
          "(size_t)((tile + 1) >> A.tile_count_bits)"),
    Fault("tile bits of an exchange forgotten", "tile_pass.cu", "if (flags & MOVES_TILE)", "if (false)"),
    Fault("wrong conjugate, table", "diagonals.cuh", "if (BACKWARD) factor.y = -factor.y;", ";"),
    Fault("wrong conjugate, general diagonal", "diagonals.cuh", "if (!BACKWARD) factor.y = -factor.y;",
          "factor.y = -factor.y;"),
    Fault("wrong conjugate, w", "portable.cuh", "multiply_add(bra.x, psi.y, -bra.y * psi.x)",
          "multiply_add(bra.x, psi.y, bra.y * psi.x)"),
    Fault("inverse rotation of the bra forgotten", "rotations.cuh", "zero.x = multiply_add(-a, one.x, zero.x);",
          "zero.x = multiply_add(a, one.x, zero.x);"),
    Fault("float atomic in the sums of a rotation", "tile_pass.cu", "if (i < 3) buffer[warp * 12 + which] = mine;",
          "if (thread < 12) buffer[thread] = 0; __syncthreads(); if (i < 3) atomicAdd(&buffer[which], mine); "
          "__syncthreads(); if (i < 3 && warp) buffer[warp * 12 + which] = 0;"),
    Fault("sign pattern of another basis kept", "tile_pass.cu", "if (record.pattern != current_pattern)",
          "if (current_pattern == -1)"),
    Fault("a row of sums too far", "tile_pass.cu", "(record.rotation_column + lane) * A.column_stride",
          "(record.rotation_column + lane + 1) * A.column_stride"),
    Fault("samples of a warp mixed", "tile_pass.cu", "if (A.sum_lanes & step) sums[i]", "sums[i]"),
    Fault("second reduction buffer not used", "tile_pass.cu", "(flags & SECOND_BUFFER ? WARPS * 12 : 0)", "0"),
    Fault("bra of another amplitude", "vectors.cu", "parity((z ^ x) & (unsigned)p.y)", "parity(z & (unsigned)p.y)"),
    Fault("partner of a pair, pivot off by one", "gates.cu", "((within ^ low) << 1) | low", "((within ^ low) << 1)"),
)  # fmt: skip


def plant(fault: Fault, folder: Path) -> None:
    path = folder / fault.file
    parts = path.read_text().split(fault.old)
    if len(parts) <= fault.number + 1:
        raise SystemExit(f"{fault.name}: the text to change is no longer in {fault.file}; update {__file__}")
    head, tail = fault.old.join(parts[: fault.number + 1]), fault.old.join(parts[fault.number + 1 :])
    path.write_text(head + fault.new + tail)


def notices(fault: Fault) -> str | None:
    """What noticed the fault, or None."""
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "cuda"
        shutil.copytree(kernels_directory() / "cuda", folder)
        plant(fault, folder)
        for orders in ("reverse", "forward,random"):
            command = [sys.executable, "-m", "tests.engines.cuda.proof", "--variant", "races", "--stop"]
            command += ["--orders", orders, "--kernels", str(folder)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            text = done.stdout + done.stderr
            if done.returncode:
                lines = [line for line in text.splitlines() if re.search("FAIL|RACE|ERROR|Error", line)]
                return (lines or [f"exit code {done.returncode}"])[0].strip()
    return None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="faults whose name contains this")
    only = parser.parse_args().only
    missed = 0
    everything = [*(f for name in ("tile_pass.cu", "vectors.cu", "gates.cu") for f in barriers(name)), *OTHERS]
    for fault in everything:
        if only not in fault.name:
            continue
        found = notices(fault)
        missed += found is None
        print(f"{'noticed' if found else 'MISSED '} {fault.name}: {found or 'nothing noticed it'}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
