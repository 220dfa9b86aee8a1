#!/usr/bin/env python
"""Bandwidth of a copy within the GPU's memory, bytes read and written a second: what passes are measured against."""

from __future__ import annotations

import json
import time

import cupy


def main() -> None:
    source = cupy.ones(1 << 28, dtype=cupy.float32)  # 1 GiB
    target = cupy.empty_like(source)
    best = 0.0
    for _ in range(10):
        cupy.cuda.Device().synchronize()
        start = time.perf_counter()
        cupy.copyto(target, source)
        cupy.cuda.Device().synchronize()
        best = max(best, 2 * source.nbytes / (time.perf_counter() - start))
    properties = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)
    print(json.dumps({"tool": "copy", "gpu": properties["name"].decode(), "bytes_per_s": best}))


if __name__ == "__main__":
    main()
