#!/usr/bin/env python
"""One training step on the CUDA engine, timed: loss and gradient of all parameters, mean over the batch.

    python scripts/bench/gpu_step.py --qubits 12 --layers 100 --batch 1000
    python scripts/bench/gpu_step.py --qubits 16 --layers 10 --batch 64 --fusion off
    python scripts/bench/gpu_step.py --qubits 20 --layers 1000 --batch 1000 --memory-gib 2 --repeats 1

The circuit is RY(x_i) on qubit i, then layers of RX RY RZ on every qubit and CZ on a ring (--entangler cx, or strongly:
strongly entangling layers), or amplitude encoding; loss = mean_b sum_j w_j <Z_j>, j < min(10, n). Inputs depend on the
seed alone, so that gpu_triton_qml.py computes the same numbers. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from gpu_derived import Counts, ansatz
from gpu_inputs import inputs

from qmltrain.circuit.observables import PauliString
from qmltrain.engines.cuda import CudaEngine, cupy_device, sources
from qmltrain.engines.cuda.device import Kernel
from qmltrain.engines.cuda.fused import FusedSchedule
from qmltrain.engines.cuda.program import CudaProgram
from qmltrain.engines.protocol import BLOCK, ChunkFunction, EngineOptions, GradientOptions
from qmltrain.training.angles import AngleMap
from qmltrain.training.reduction import TreeSum, node_sizes, node_sums, tree_sum


class Step:
    """Chunks of whole blocks through the engine, their sums in the fixed tree, as the trainer does it."""

    def __init__(self, program: CudaProgram, angles: AngleMap, weights: np.ndarray, chunk: int) -> None:
        self.program, self.angles, self.weights, self.chunk = program, angles, weights, chunk
        self.functions: dict[object, ChunkFunction] = {}

    def function(self, batch: int, sizes: tuple[int, ...]) -> ChunkFunction:
        """The same for the same arguments, so that the engine may replay it."""
        if (batch, sizes) not in self.functions:

            def loss_and_sums(tape: Any, weights: Any) -> tuple[Any, ...]:
                values = tape.expectations_BM * weights[None, :]
                back = tape.backward(weights[None, :] / batch + 0.0 * values)
                return tree_sum(values.T) / batch, node_sums(back.block_sums_GR, sizes)

            self.functions[batch, sizes] = loss_and_sums
        return self.functions[batch, sizes]

    def __call__(self, theta: np.ndarray, x: np.ndarray, initial: np.ndarray | None) -> tuple[float, np.ndarray]:
        batch, nodes_of = len(x), []
        step = self.program.begin_step(self.angles.shared(theta))
        for first in range(0, batch, self.chunk):
            part = x[first : first + self.chunk]
            nodes_of.append(node_sizes(first // BLOCK, -(-len(part) // BLOCK)))
            states = None if initial is None else initial[first : first + self.chunk]
            function = self.function(batch, nodes_of[-1])
            step.chunk(function, self.angles.per_sample(theta, part), states, (self.weights,))
        losses, nodes = zip(*step.results(), strict=True)
        total = TreeSum()
        for sizes, sums in zip(nodes_of, nodes, strict=True):
            total.add_nodes(sizes, sums)
        gradient = self.angles.shared_gradient(step.slot_gradient(total.total()))
        return float(np.concatenate(losses).sum()), gradient


def chunk_size(program: CudaProgram, batch: int) -> int:
    """Samples in flight: as many whole blocks as fit, all of the batch if possible."""
    forecast = program.forecast
    blocks = max(1, (forecast.memory_bytes - forecast.fixed_bytes) // forecast.block_bytes)
    return int(min(-(-batch // BLOCK), blocks) * BLOCK)


class KernelTimes:
    """Launches of `device` with an event before and one behind each: what the GPU was busy with, by kernel."""

    def __init__(self, device: Any, event: Callable[[], Any], milliseconds: Callable[[Any, Any], float]) -> None:
        """`event` records one on the compute stream; `milliseconds` are those between two."""
        self.event, self.milliseconds = event, milliseconds
        self.found: list[tuple[str, Any, Any]] = []
        self._launch, device.launch = device.launch, self

    def __call__(self, kernel: Kernel, *rest: Any) -> None:
        begun = self.event()
        self._launch(kernel, *rest)
        self.found.append((kernel.name, begun, self.event()))

    def seconds(self) -> dict[str, tuple[float, int]]:
        """Of all launches so far (none may be under way), and how many they were."""
        total: dict[str, tuple[float, int]] = {}
        for name, begun, ended in self.found:
            before, count = total.get(name, (0.0, 0))
            total[name] = (before + self.milliseconds(begun, ended) / 1e3, count + 1)
        self.found.clear()
        return total


def kernel_times(device: Any) -> KernelTimes:
    if not hasattr(device, "cupy"):  # nothing is executed: no time passes
        return KernelTimes(device, lambda: None, lambda begun, ended: 0.0)
    cuda = device.cupy.cuda

    def event() -> Any:
        found = cuda.Event()
        found.record(device.stream)
        return found

    return KernelTimes(device, event, cuda.get_elapsed_time)


def engine_of(arguments: argparse.Namespace) -> CudaEngine:
    """The engine on the device that is asked for, with other kernels, tiles or shares of memory where they are."""
    if arguments.kernels:
        folder = arguments.kernels
        if not (folder / "cuda" / "tile_pass.cu").is_file():
            raise SystemExit(f"--kernels: {folder}/cuda/tile_pass.cu: no such file")
        sources.kernels_directory = lambda: folder
    if arguments.carveout is not None:
        cupy_device.shared_carveout = lambda *_: arguments.carveout
    device: Any = None
    if arguments.device == "emulator":  # for the test of this script
        from tests.engines.cuda.emulator_device import EmulatorDevice

        device = EmulatorDevice()
    if arguments.device == "null":
        from null_device import NullDevice

        device = NullDevice()
    return CudaEngine(device, arguments.tile_bits, arguments.low_bits, arguments.two_samples)


def gpu_memory(engine: CudaEngine) -> dict[str, Any]:
    """Most memory CuPy's pool has taken."""
    cupy = getattr(engine.device, "cupy", None)
    if cupy is None:
        return {}
    pool = cupy.get_default_memory_pool()
    runtime = cupy.cuda.runtime.runtimeGetVersion(), cupy.cuda.runtime.driverGetVersion()
    return {"peak_gib": pool.total_bytes() / 2**30, "cupy": cupy.__version__, "cuda": runtime[0], "driver": runtime[1]}


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    n, layers, batch = arguments.qubits, arguments.layers, arguments.batch
    theta_LQ3, x, weights = inputs(n, layers, batch, arguments.seed)
    circuit = ansatz(n, layers, arguments.entangler)
    theta, initial = theta_LQ3.ravel(), None
    if arguments.encoding == "amplitude":
        circuit = dataclasses.replace(circuit, gates=circuit.gates[n:], amplitude_encoded=True)
        initial = np.random.default_rng(arguments.seed).normal(size=(batch, 1 << n))
        initial /= np.linalg.norm(initial, axis=1, keepdims=True)
    strings = tuple(PauliString(0, 1 << q) for q in range(len(weights)))
    engine = engine_of(arguments)
    if arguments.graphs == "off" or arguments.times:
        engine.device.has_graphs = False
    start = time.perf_counter()
    program = engine.compile(
        circuit,
        strings,
        arguments.precision,
        GradientOptions(arguments.mode, arguments.interval),
        EngineOptions(
            memory_bytes=int(arguments.memory_gib * 2**30) if arguments.memory_gib else None,
            fusion=arguments.fusion == "on",
        ),
    )
    planned = time.perf_counter() - start
    chunk = arguments.chunk or chunk_size(program, batch)
    step = Step(program, AngleMap(circuit), weights, chunk)
    warm = min(batch, chunk, 64)  # kernels and memory; a long step need not run twice
    start = time.perf_counter()
    step(theta, x[:warm], None if initial is None else initial[:warm])
    first = time.perf_counter() - start
    for _ in range(3 if batch <= chunk else 0):  # both places of inputs, then the graphs of both
        step(theta, x, initial)
    kernels = kernel_times(engine.device) if arguments.times else None
    times = []
    loss, gradient = float("nan"), theta
    for _ in range(arguments.repeats):
        start = time.perf_counter()
        loss, gradient = step(theta, x, initial)
        times.append(time.perf_counter() - start)
    seconds = statistics.median(times)
    schedule = program.schedule
    result = {
        "tool": "qmltrain",
        "gpu": engine.device.limits.name,
        "qubits": n,
        "layers": layers,
        "batch": batch,
        "entangler": arguments.entangler,
        "encoding": arguments.encoding,
        "precision": arguments.precision,
        "fusion": arguments.fusion,
        "mode": program.forecast.mode,
        "interval": program.forecast.checkpoint_interval,
        "chunk": chunk,
        "graphs": arguments.graphs,
        "plan_s": planned,
        "first_s": first,
        "step_s": seconds,
        "samples_per_s": batch / seconds,
        "loss": loss,
        "grad_norm": float(np.linalg.norm(gradient)),
        "plan": schedule.describe(),
        **gpu_memory(engine),
    }
    if kernels is not None:  # events cost a few microseconds a launch, which step_s has in it
        per_step = sorted(kernels.seconds().items(), key=lambda one: -one[1][0])
        result["kernels"] = {name: [s / arguments.repeats, count // arguments.repeats] for name, (s, count) in per_step}
    amplitudes = 2.0 ** max(n, 4) * batch
    if isinstance(schedule, FusedSchedule):
        counts = Counts.of(schedule.program, schedule.x_components.extra_at_random_angles())
        result["slots_per_s"] = amplitudes * sum(counts.slots()) / seconds
        result["bytes_per_s"] = amplitudes * 48 * counts.passes / seconds
    else:  # every launch reads and writes each amplitude: psi forward, psi and bra backward
        size = 8 if arguments.precision == "complex64" else 16
        result["bytes_per_s"] = amplitudes * len(schedule.passes) * size * 6 / seconds
    return result


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--qubits", type=int, required=True)
    parser.add_argument("--layers", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--entangler", choices=["cz", "cx", "strongly"], default="cz")
    parser.add_argument("--encoding", choices=["angle", "amplitude"], default="angle")
    parser.add_argument("--precision", choices=["complex64", "complex128"], default="complex64")
    parser.add_argument("--fusion", choices=["on", "off"], default="on")
    parser.add_argument("--graphs", choices=["on", "off"], default="on", help="CUDA graphs for short chunks")
    parser.add_argument("--mode", choices=["auto", "reversible", "checkpoint"], default="auto")
    parser.add_argument("--interval", type=int, help="gradient.checkpoint_interval")
    parser.add_argument("--chunk", type=int, help="samples in flight (default: what fits)")
    parser.add_argument("--memory-gib", type=float, help="engine.memory_gib")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--device", choices=["cuda", "emulator", "null"], default="cuda")
    parser.add_argument("--times", action="store_true", help="seconds and launches of each kernel in a step; no graphs")
    parser.add_argument("--tile-bits", type=int, help="other tiles than the engine takes")
    parser.add_argument("--low-bits", type=int, help="lowest address bits that every tile holds")
    parser.add_argument("--two-samples", action="store_true", help="the way forward with two samples in a thread")
    parser.add_argument("--carveout", type=int, help="percent of a multiprocessor's memory that is shared memory")
    parser.add_argument("--kernels", type=Path, help="a folder whose cuda/ has other kernels")
    return parser


def main() -> None:
    print(json.dumps(measure(parser().parse_args())))


if __name__ == "__main__":
    main()
