#!/usr/bin/env python
"""What a GPU gives at most: multiply-adds a second, bytes a second in a copy; what steps are measured against.

    python scripts/bench/gpu_probe.py             one JSON line, in some seconds
    python scripts/bench/gpu_probe.py --describe  GPU, driver and versions instead

Multiply-adds are chains of eight that do not wait for each other, in as many threads as fit: what the multiprocessors
issue under load, and so the clock that they keep.
"""

from __future__ import annotations

import argparse
import json
import platform
from typing import Any

import numpy as np

from qmltrain.engines.cuda import CudaEngine, unavailable_reason
from qmltrain.engines.cuda.geometry import ARCHITECTURES

THREADS, BLOCKS_EACH, ROUNDS = 256, 8, 20_000  # blocks of a multiprocessor; rounds of 8 multiply-adds of a thread
KERNEL = r"""
extern "C" __global__ void chains(float* out, float a, float b, int rounds) {
    float x[8];
    for (int k = 0; k < 8; ++k) x[k] = a + k;
    for (int i = 0; i < rounds; ++i)
        for (int k = 0; k < 8; ++k) x[k] = fmaf(x[k], a, b);
    float sum = 0;
    for (int k = 0; k < 8; ++k) sum += x[k];
    out[blockIdx.x * blockDim.x + threadIdx.x] = sum;
}
"""


def seconds_of(cupy: Any, call: Any, repeats: int = 5) -> float:
    """The fastest of some calls, by events."""
    found = []
    for _ in range(repeats + 1):  # the first warms up
        begun, ended = cupy.cuda.Event(), cupy.cuda.Event()
        begun.record()
        call()
        ended.record()
        ended.synchronize()
        found.append(cupy.cuda.get_elapsed_time(begun, ended) / 1e3)
    return min(found[1:])


def measure(cupy: Any) -> dict[str, Any]:
    limits = CudaEngine().device.limits
    blocks = limits.multiprocessors * BLOCKS_EACH
    out = cupy.empty(blocks * THREADS, dtype=np.float32)
    kernel = cupy.RawKernel(KERNEL, "chains")
    arguments = (out, np.float32(0.999), np.float32(0.001), np.int32(ROUNDS))
    seconds = seconds_of(cupy, lambda: kernel((blocks,), (THREADS,), arguments))
    per_second = 8 * ROUNDS * blocks * THREADS / seconds
    source = cupy.ones(1 << 28, dtype=np.float32)  # 1 GiB
    target = cupy.empty_like(source)
    copied = 2 * source.nbytes / seconds_of(cupy, lambda: cupy.copyto(target, source))
    lanes = ARCHITECTURES[limits.compute_capability].fp32_lanes if limits.compute_capability in ARCHITECTURES else 128
    return {
        "tool": "probe",
        "gpu": limits.name,
        "multiply_adds_per_s": per_second,
        "clock_hz": per_second / lanes / limits.multiprocessors,  # where each lane has one every clock
        "bytes_per_s": copied,
    }


def describe(cupy: Any) -> dict[str, Any]:
    engine = CudaEngine()
    limits, runtime = engine.device.limits, cupy.cuda.runtime
    return {
        "tool": "versions",
        "gpu": limits.name,
        "compute_capability": limits.compute_capability,
        "multiprocessors": limits.multiprocessors,
        "memory_gib": limits.memory_bytes / 2**30,
        "watchdog": limits.watchdog,
        "driver": runtime.driverGetVersion(),
        "cuda": runtime.runtimeGetVersion(),
        "nvrtc": list(cupy.cuda.nvrtc.getVersion()),
        "cupy": cupy.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--describe", action="store_true", help="GPU, driver and versions")
    parser.add_argument("--rehearse", action="store_true", help="without a GPU: why there is none")
    arguments = parser.parse_args()
    if arguments.rehearse:
        print(json.dumps({"tool": "probe", "rehearsed": unavailable_reason() or "a GPU is here"}))
        return
    reason = unavailable_reason()
    if reason is not None:
        raise SystemExit(reason)
    import cupy

    print(json.dumps(describe(cupy) if arguments.describe else measure(cupy)))


if __name__ == "__main__":
    main()
