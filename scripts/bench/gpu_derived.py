#!/usr/bin/env python
"""Times of a training step on a GPU, derived from counts of instructions and bytes of its plan. No GPU needed.

    python scripts/bench/gpu_derived.py [--multiprocessors 132] [--clock 1.98e9] [--bandwidth 4.3e12] [--issue 0.7]

The counts of instructions are those of the compiled kernel (nvdisasm, sm_90, complex64, T = 12), a thread of 16
amplitudes and one record; the plan says how often each part runs. What comes out is a prediction, not a measurement.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from qmltrain.circuit.angle import feature, parameter
from qmltrain.circuit.circuit import Circuit, Gate
from qmltrain.engines.cuda.tiling import records as r
from qmltrain.engines.cuda.tiling.cone_tiles import schedule_tiles
from qmltrain.engines.cuda.tiling.items import take_apart
from qmltrain.engines.cuda.tiling.record_writer import make_records
from qmltrain.engines.cuda.tiling.records import RecordProgram
from qmltrain.fusion.compile import compile_plan

# SASS instructions (forward, backward) of a thread: see docs/performance-gpu.md
SLOTS = {
    "rotation": (60, 178),  # one of the four registers: three shears on 16 amplitudes; backward twice and v_x, v_y
    "v": (0, 192),  # v_z, the sum over the warp, the store
    "exchange": (82, 116),
    "moved": (20, 30),  # an exchange that also counts its tile anew, 8 tile bits
    "table": (267, 347),
    "general": (700, 800),  # without its terms
    "record": (58, 30),
    "pass": (400, 514),  # load and store, with 8 tile bits on each side
}
LANES = 128  # instructions a clock of a multiprocessor
SHARED_BYTES = 128  # a clock


@dataclass(frozen=True)
class Counts:
    """How often each part runs in one sweep."""

    parts: dict[str, int]
    passes: int

    @classmethod
    def of(cls, program: RecordProgram) -> Counts:
        flags = program.records_K[:, r.FLAGS]
        rotations = sum(int(np.count_nonzero(flags >> (4 + 2 * register) & 3)) for register in range(4))

        def having(flag: int) -> int:
            return int(np.count_nonzero(flags & flag))

        parts = {
            "rotation": rotations,
            "v": having(r.HAS_V),
            "exchange": having(r.HAS_EXCHANGE),
            "moved": having(r.MOVES_TILE),
            "table": having(r.HAS_TABLE),
            "general": having(r.HAS_APPLY),
            "record": len(flags),
            "pass": len(program.passes),
        }
        return cls(parts, len(program.passes))

    def slots(self) -> tuple[float, float]:
        """Instructions an amplitude, forward and backward."""
        return tuple(sum(SLOTS[part][k] * n for part, n in self.parts.items()) / 16 for k in (0, 1))  # type: ignore[return-value]


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


def plan(n_qubits: int, layers: int, entangler: str, tile_bits: int, low_bits: int = 3) -> RecordProgram:
    compiled = compile_plan(ansatz(n_qubits, layers, entangler), ())
    moments, _ = take_apart(compiled.moments)
    tiles = schedule_tiles(moments, n_qubits, tile_bits, low_bits)
    return make_records(tiles, compiled.gate_runs, n_qubits, tile_bits, 8)


def derived(counts: Counts, n_qubits: int, batch: int, device: argparse.Namespace) -> dict[str, float]:
    """Seconds of one training step by each limit, and the sum of instructions at the issue rate assumed."""
    amplitudes = 2.0 ** max(n_qubits, 4) * batch
    forward, backward = counts.slots()
    clocks = device.multiprocessors * device.clock
    issue = amplitudes * (forward + backward) / LANES / clocks
    # an exchange writes and reads 8 bytes per amplitude: psi forward, psi and bra backward
    shared = amplitudes * counts.parts["exchange"] * 3 * 16 / SHARED_BYTES / clocks
    memory = amplitudes * 48 * counts.passes / device.bandwidth
    return {
        "forward slots": forward,
        "backward slots": backward,
        "issue floor": issue,
        "expected": max(issue / device.issue, memory, shared),
        "shared": shared,
        "memory": memory,
    }


ROWS = (
    ("HEA 20 qubits, 1,000 layers, 1,000 samples", 20, 100, 10, 1000, "cz", 12),
    ("strongly entangling 20 qubits, 1,000 layers, 1,000 samples", 20, 100, 10, 1000, "strongly", 12),
    ("HEA 16 qubits, 100 layers, 1,000 samples", 16, 100, 1, 1000, "cz", 12),
    ("HEA 12 qubits, 100 layers, 1,000 samples", 12, 100, 1, 1000, "cz", 12),
    ("HEA 4 qubits, 10 layers, 4,096 samples", 4, 10, 1, 4096, "cz", 9),
)


def table(rows: Iterable[tuple[str, int, int, int, int, str, int]], device: argparse.Namespace) -> list[str]:
    lines = [
        "| one training step with all gradients | passes per layer | slots/amplitude/layer, fwd + bwd | issue floor "
        f"| at {device.issue:.0%} issue | shared memory | device memory |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, n_qubits, layers, times, batch, entangler, tile_bits in rows:
        counts = Counts.of(plan(n_qubits, layers, entangler, tile_bits))
        found = derived(counts, n_qubits, batch, device)
        lines.append(
            f"| {name} | {counts.passes / layers:.3f} | {found['forward slots'] / layers:.0f} + "
            f"{found['backward slots'] / layers:.0f} | {seconds(times * found['issue floor'])} | "
            f"{seconds(times * found['expected'])} | {seconds(times * found['shared'])} | "
            f"{seconds(times * found['memory'])} |"
        )
    return lines


def seconds(value: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value / 1e-6:.3g} us"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--multiprocessors", type=int, default=132)
    parser.add_argument("--clock", type=float, default=1.98e9, help="Hz")
    parser.add_argument("--bandwidth", type=float, default=4.3e12, help="bytes per second")
    parser.add_argument("--issue", type=float, default=0.7, help="share of the issue slots that is reached")
    print("\n".join(table(ROWS, parser.parse_args())))


if __name__ == "__main__":
    main()
