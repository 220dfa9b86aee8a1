#!/usr/bin/env python3
"""Loss and gradient in the sizes of `avx512` and of `avx512_intel`, in turns in one process on one core.

    scripts/bench/cache_sizes.py [--case "hea 12,20,16"]... [--seconds 3] [--core 1]

Both are the same kernels; which suits the caches of a processor, this says. Times are median (quartiles), with other
angles in each call. Cases are those of compare.py: `hea` or `strongly_entangling`, then qubits, layers, samples.
"""

from __future__ import annotations

import argparse
import os
import time

import compare
import numpy as np
import own_kernel
import own_training

from qmltrain.engines.cpu.extension import AVX512_INTEL, instruction_sets, load

SETS = ("avx512", AVX512_INTEL)
CASES = [
    *[f"hea {sizes}" for sizes in ("8,20,64", "9,20,32", "10,20,32", "11,20,16", "12,20,16", "14,20,4", "16,20,2")],
    *[f"hea {sizes}" for sizes in ("17,10,1", "18,10,1", "20,10,1")],
    *[f"strongly_entangling {sizes}" for sizes in ("12,20,16", "13,20,16", "14,20,16", "16,20,2")],
    *[f"strongly_entangling {sizes}" for sizes in ("17,10,1", "18,10,1", "20,10,1")],
]


def step_of(case: dict, instruction_set: str) -> own_kernel.Step:
    os.environ["QMLTRAIN_SIMD"] = instruction_set
    generator = np.random.default_rng(case["seed"])
    theta_P = generator.uniform(0, 2 * np.pi, case["n_parameters"])
    x_BF = generator.uniform(0, np.pi, (case["batch"], case["n_features"]))
    return own_kernel.renewed(case, theta_P, x_BF, generator.normal(size=case["qubits"]))


def in_turns(steps: list[own_kernel.Step], seconds: float) -> list[list[float]]:
    """Microseconds of each call."""
    times: list[list[float]] = [[] for _ in steps]
    for step in steps:
        step()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for step, of_step in zip(steps, times, strict=True):
            begun = time.perf_counter()
            step()
            of_step.append(1e6 * (time.perf_counter() - begun))
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", action="append", help="in place of all")
    parser.add_argument("--seconds", type=float, default=3.0, help="of a case")
    parser.add_argument("--core", type=int, default=0, help="-1: do not pin")
    arguments = parser.parse_args()
    own_training.pin(arguments.core)
    if "avx512" not in instruction_sets(load()):
        raise SystemExit("cache_sizes.py: this processor has no AVX-512, which both sets are of")
    print(f"| circuit n, layers, samples | {SETS[0]}, us | {SETS[1]}, us | times faster |\n|---|---|---|---|")
    for name in arguments.case or CASES:
        kind, sizes = name.split()
        case = getattr(compare, kind)(*map(int, sizes.split(","))) | {"threads": 1}
        times = in_turns([step_of(case, one) for one in SETS], arguments.seconds)
        quartiles = [np.percentile(of_set, [50, 25, 75]) for of_set in times]
        cells = [f"{middle:,.0f} ({low:,.0f} to {high:,.0f})" for middle, low, high in quartiles]
        print(f"| {name} | {cells[0]} | {cells[1]} | {quartiles[0][0] / quartiles[1][0]:.2f} |", flush=True)


if __name__ == "__main__":
    main()
