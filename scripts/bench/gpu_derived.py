#!/usr/bin/env python
"""Times of a training step on a GPU, derived from counts of instructions and bytes of its plan. No GPU needed.

    python scripts/bench/gpu_derived.py [--gpu H200] [--issue 0.7] [--two-samples]

How, and from which counts: qmltrain/engines/cuda/derived.py. What comes out is a prediction, not a measurement.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from qmltrain.circuit.angle import feature, parameter
from qmltrain.circuit.circuit import Circuit, Gate
from qmltrain.engines.cuda.absent_device import AbsentDevice
from qmltrain.engines.cuda.derived import GPUS, ISSUE, SLOTS, TWO_SAMPLES, Counts, Gpu, Pairs, derive, known_gpu
from qmltrain.engines.cuda.geometry import largest_tile, working_tile
from qmltrain.engines.cuda.tiling.cone_tiles import schedule_tiles
from qmltrain.engines.cuda.tiling.items import take_apart
from qmltrain.engines.cuda.tiling.record_writer import make_records
from qmltrain.engines.cuda.tiling.records import RecordProgram
from qmltrain.engines.cuda.x_components import XComponents
from qmltrain.fusion.compile import compile_plan
from qmltrain.training.progress import short_duration


def ansatz(n_qubits: int, layers: int, entangler: str) -> Circuit:
    """RY(x) encoding, then layers of RX RY RZ and a ring of `entangler`; or strongly entangling layers."""
    gates = [Gate("ry", (q,), (feature(q),)) for q in range(n_qubits)]
    count = 0
    for layer in range(layers):
        axes = ("rz", "ry", "rz") if entangler == "strongly" else ("rx", "ry", "rz")
        for q in range(n_qubits):
            for name in axes:
                gates.append(Gate(name, (q,), (parameter(count),)))
                count += 1
        reach = layer % (n_qubits - 1) + 1 if entangler == "strongly" else 1
        for q in range(n_qubits):
            gates.append(Gate("cz" if entangler == "cz" else "cx", (q, (q + reach) % n_qubits)))
    return Circuit(n_qubits, tuple(gates), tuple(f"theta.{k}" for k in range(count)), n_features=n_qubits)


def planned(
    n_qubits: int, layers: int, entangler: str, tile_bits: int, low_bits: int = 3
) -> tuple[RecordProgram, Counts]:
    """The records of an ansatz, and what they count at random angles."""
    compiled = compile_plan(ansatz(n_qubits, layers, entangler), ())
    moments, _ = take_apart(compiled.moments)
    per_sample = [number for number, one in enumerate(compiled.gate_runs) if one.per_sample]
    tiles = schedule_tiles(moments, n_qubits, tile_bits, low_bits, per_sample_runs=per_sample)
    program = make_records(tiles, compiled.gate_runs, n_qubits, tile_bits, 8)
    return program, Counts.of(program, XComponents(compiled, program).extra_at_random_angles())


ROWS = (
    ("HEA 20 qubits, 1,000 layers, 1,000 samples", 20, 100, 10, 1000, "cz", 12),
    ("strongly entangling 20 qubits, 1,000 layers, 1,000 samples", 20, 100, 10, 1000, "strongly", 12),
    ("HEA 16 qubits, 100 layers, 1,000 samples", 16, 100, 1, 1000, "cz", 12),
    ("HEA 12 qubits, 100 layers, 1,000 samples", 12, 100, 1, 1000, "cz", 12),
    ("HEA 4 qubits, 10 layers, 4,096 samples", 4, 10, 1, 4096, "cz", 9),
)


def table(
    rows: Iterable[tuple[str, int, int, int, int, str, int]], gpu: Gpu, issue: float, of: Pairs = SLOTS
) -> list[str]:
    lines = [
        "| one training step with all gradients | passes per layer | slots/amplitude/layer, fwd + bwd | issue floor "
        f"| at {issue:.0%} issue | shared memory | device memory |",
        "|---|---|---|---|---|---|---|",
    ]
    limits = AbsentDevice(gpu).limits
    for name, n_qubits, layers, times, batch, entangler, tile_bits in rows:
        largest = largest_tile(limits, "complex64")
        fitting = largest if n_qubits <= largest else working_tile(limits, "complex64")
        program, counts = planned(n_qubits, layers, entangler, min(tile_bits, fitting))
        forward, backward = (slots / layers for slots in counts.slots(of))
        found = derive(program, counts, gpu, batch, batch, issue, of).times(times)
        times_of = " | ".join(short_duration(s) for s in (found.floor, found.expected, found.shared, found.memory))
        lines.append(f"| {name} | {counts.passes / layers:.3f} | {forward:.0f} + {backward:.0f} | {times_of} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gpu", default="H200", help=f"one of {', '.join(gpu.name for gpu in GPUS.values())}")
    parser.add_argument("--issue", type=float, default=ISSUE, help="share of the issue slots that is reached")
    parser.add_argument("--two-samples", action="store_true", help="the way forward with two samples in a thread")
    arguments = parser.parse_args()
    of = TWO_SAMPLES if arguments.two_samples else SLOTS
    print("\n".join(table(ROWS, known_gpu(arguments.gpu), arguments.issue, of)))


if __name__ == "__main__":
    main()
