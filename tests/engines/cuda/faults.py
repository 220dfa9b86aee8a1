"""Planted faults: changes to the kernels that the proofs must notice.

    python -m tests.engines.cuda.faults [--only WORD] [--ptx]

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
    Fault("off-by-one tile, address", "tile_pass.cuh", "unsigned left = tile & ((1u << A.tile_count_bits) - 1u);",
          "unsigned left = (tile + 1) & ((1u << A.tile_count_bits) - 1u);"),
    Fault("stored at the places of the first basis", "tile_pass.cuh", "tile_edge(A, !BACKWARD, tile).x",
          "tile_edge(A, BACKWARD, tile).x"),
    Fault("off-by-one tile, base of the state", "tile_pass.cuh", "(size_t)(tile >> A.tile_count_bits)",
          "(size_t)((tile + 1) >> A.tile_count_bits)"),
    Fault("tile bits of an exchange forgotten", "tile_pass.cuh", "if (flags & MOVES_TILE)", "if (false)"),
    Fault("psi for bra in an exchange", "tile_pass.cuh", "other.x = both.z;", "other.x = both.x;"),
    Fault("the bra of double precision over psi", "tile_pass.cuh", "(place + TILE_BYTES) = other;", "(place) = other;"),
    Fault("wrong conjugate, table", "diagonals.cuh", "multiply<BACKWARD>(psi[J], factor);",
          "multiply<false>(psi[J], factor);"),
    Fault("wrong conjugate, joint factors", "diagonals.cuh", "multiply<BACKWARD>(other[j + i], factor[i]);",
          "multiply<false>(other[j + i], factor[i]);"),
    Fault("wrong conjugate, general diagonal", "diagonals.cuh", "multiply<!BACKWARD>(psi[j], factor);",
          "multiply<true>(psi[j], factor);"),
    Fault("signs of threads forgotten", "diagonals.cuh", "factor = with_sign(factor, signs.thread);", ";"),
    Fault("sign of a register bit forgotten", "diagonals.cuh", "found[r] = with_sign(found[r], signs.one[r]);", ";"),
    Fault("sign of two register bits forgotten", "diagonals.cuh", "both[r] = signs.both[r];", "both[r] = 0;"),
    Fault("third shift of a pattern forgotten", "diagonals.cuh", "i < both.w;", "i < 0;"),
    Fault("ratio of the wrong branch", "diagonals.cuh", "ratio[R][J >> (R + 1) & 1]", "ratio[R][0]"),
    Fault("joint factors forgotten", "tile_pass.cuh", "if (flags & HAS_JOINT)", "if (false)"),
    Fault("joint signs forgotten", "vectors.cu", "joint >= 0 ? mine.z >> joint & 1 : 0;", "0;"),
    Fault("wrong conjugate, w", "portable.cuh", "multiply_add(bra.x, psi.y, -bra.y * psi.x)",
          "multiply_add(bra.x, psi.y, bra.y * psi.x)"),
    Fault("wrong sign of a shear", "rotations.cuh", "zero.x = multiply_add(-a, one.x, zero.x);",
          "zero.x = multiply_add(a, one.x, zero.x);"),
    Fault("inverse rotation of the bra forgotten", "tile_pass.cuh", "if (TWO) rotate<R>(other, a, b);",
          "if (TWO) rotate<R>(other, -a, -b);"),
    Fault("v_x forgotten", "tile_pass.cuh", "if (extra >> R & 1)", "if (false)"),
    Fault("v_x of another register", "tile_pass.cuh", "if (extra >> R & 1)", "if (extra >> (R ^ 1) & 1)"),
    Fault("v_z before the rotations forgotten", "tile_pass.cuh", "if (extra & Z_BEFORE) z_sums(psi, other, x);", ";"),
    Fault("float atomic in the sums of a rotation", "tile_pass.cuh",
          "if (!(lane & 3)) (WARPS == 1 ? column(which) : buffer[warp * 12 + which]) = mine;",
          "if (WARPS == 1) { if (!(lane & 3)) column(which) = mine; } else { if (thread < 8) buffer[thread] = 0; "
          "__syncthreads(); if (!(lane & 3)) atomicAdd(&buffer[which], mine); __syncthreads(); "
          "if (!(lane & 3) && warp) buffer[warp * 12 + which] = 0; }"),
    Fault("a row of sums too far", "tile_pass.cuh", "column(lane) = sum;", "column(lane + 1) = sum;"),
    Fault("samples of a warp mixed", "tile_pass.cuh", "if (A.sum_lanes & step) sum +=", "sum +=", 1),
    Fault("second reduction buffer not used", "tile_pass.cuh", "(flags & SECOND_BUFFER ? WARPS * 12 : 0)", "0"),
    Fault("the second sample is the first", "tile_pass.cuh", "A.psi + base + amplitudes", "A.psi + base"),
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


def notices(fault: Fault, ptx: bool) -> str | None:
    """What noticed the fault, or None; with `ptx`, in what NVRTC makes of the kernels."""
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "cuda"
        shutil.copytree(kernels_directory() / "cuda", folder)
        plant(fault, folder)
        for orders in ("reverse", "forward,random"):
            command = [sys.executable, "-m", "tests.engines.cuda.proof", "--variant", "races", "--stop"]
            command += ["--orders", orders, "--kernels", str(folder), *(["--ptx"] if ptx else [])]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            text = done.stdout + done.stderr
            if done.returncode:
                lines = [line for line in text.splitlines() if re.search("FAIL|RACE|ERROR|Error", line)]
                return (lines or [f"exit code {done.returncode}"])[0].strip()
    return None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="faults whose name contains this")
    parser.add_argument("--ptx", action="store_true", help="in what NVRTC makes of the kernels")
    given = parser.parse_args()
    missed = 0
    everything = [*(f for name in ("tile_pass.cuh", "vectors.cu", "gates.cu") for f in barriers(name)), *OTHERS]
    for fault in everything:
        if given.only not in fault.name:
            continue
        found = notices(fault, given.ptx)
        missed += found is None
        print(f"{'noticed' if found else 'MISSED '} {fault.name}: {found or 'nothing noticed it'}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
