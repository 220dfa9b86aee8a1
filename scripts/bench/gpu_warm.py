#!/usr/bin/env python
"""Compile every CUDA kernel into CuPy's cache, in several processes: before the first step is timed.

    python scripts/bench/gpu_warm.py [--processes 8]

As `qmltrain info --warm-up`, which takes one process. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time

from gpu_step import engine_of, parser

from qmltrain.engines.cuda.device import Kernel
from qmltrain.engines.cuda.engine import every_kernel
from qmltrain.engines.cuda.geometry import largest_tile


def modules(engine) -> list[list[Kernel]]:  # noqa: ANN001
    """Kernels by what is compiled at once, the longest to compile first."""
    found: dict[tuple[str, str, int | None], list[Kernel]] = {}
    for precision in ("complex64", "complex128"):
        for kernel in every_kernel(precision, largest_tile(engine.device.limits, precision)):
            found.setdefault((kernel.source, kernel.precision, kernel.tile_bits), []).append(kernel)
    return sorted(found.values(), key=lambda kernels: kernels[0].source != "tile_pass")


def compile_share(number: int, processes: int, device: str) -> int:
    """Modules `number`, `number` + `processes`, ...; how many kernels they have."""
    engine = engine_of(parser().parse_args(["--qubits", "1", "--layers", "1", "--batch", "1", "--device", device]))
    kernels = [kernel for module in modules(engine)[number::processes] for kernel in module]
    for kernel in kernels:
        engine.device.compile(kernel)
    return len(kernels)


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--processes", type=int, default=8)
    words.add_argument("--share", type=int, help="compile this process's share alone")
    words.add_argument("--rehearse", action="store_true", help="for a device that does nothing")
    arguments = words.parse_args()
    if arguments.share is not None:
        print(compile_share(arguments.share, arguments.processes, "null" if arguments.rehearse else "cuda"))
        return
    begun = time.perf_counter()
    command = [sys.executable, __file__, "--processes", str(arguments.processes)]
    command += ["--rehearse"] * arguments.rehearse
    started = [
        subprocess.Popen([*command, "--share", str(number)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for number in range(arguments.processes)
    ]
    said = [one.communicate() for one in started]
    for number, (one, (_, errors)) in enumerate(zip(started, said, strict=True)):
        sys.stderr.write(errors)
        if one.returncode:
            last = errors.strip().rpartition("\n")[2]
            raise SystemExit(f"process {number}, exit {one.returncode}: {last}")
    kernels = sum(int(count) for count, _ in said)
    print(json.dumps({"tool": "warm-up", "kernels": kernels, "seconds": time.perf_counter() - begun}))


if __name__ == "__main__":
    main()
