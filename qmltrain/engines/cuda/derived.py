"""Times of training steps on GPUs that are not here, derived from counts of instructions and bytes; none is measured.

A thread of 16 amplitudes executes the instructions that were counted in the compiled kernel; the plan says how often
each part of it runs, and so how many each multiprocessor issues. What comes out is a prediction.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from qmltrain.engines.cuda.geometry import ARCHITECTURES, WARP, amplitude_bytes, blocks, resident_blocks
from qmltrain.engines.cuda.tiling import records as r
from qmltrain.engines.cuda.tiling.records import RecordProgram
from qmltrain.engines.cuda.x_components import Z_BEFORE
from qmltrain.engines.protocol import Precision
from qmltrain.errors import InputError

Pairs = dict[str, tuple[float, float]]  # of each part: forward, backward
# SASS instructions of a thread, complex64, T = 12, sm_90, by scripts/bench/gpu_slots.py: see docs/performance-gpu.md
SLOTS: Pairs = {
    "rotation": (51, 135),  # one of the four registers: three shears on 16 amplitudes; backward twice, and v_y
    "x": (0, 36),  # v_x of it, where it is summed
    "v": (0, 128),  # of a record: v_z, sums over the warp; over warps, by one of eight
    "z before": (0, 56),  # v_z once more
    "x sums": (0, 25),  # sums over the warp of either
    "exchange": (78, 78),
    "moved": (53, 45),  # an exchange that also counts its tile anew, eight tile bits
    "table": (140, 204),
    "signs": (42, 37),  # of CZs, in a table
    "joint": (76, 139),  # factors of several register bits, in a table
    "general": (700, 800),  # without its terms
    "sample": (88, 98),  # coefficients by sample
    "record": (27, 19),
    "pass": (280, 312),  # load and store, with eight tile bits on each side
}
# Those of them that multiply or add floats: half as many a clock are executed where a multiprocessor has 64 lanes
FLOAT_SLOTS: Pairs = {
    "rotation": (48, 129),
    "x": (0, 33),
    "v": (0, 67),
    "z before": (0, 54),
    "x sums": (0, 6),
    "exchange": (0, 0),
    "moved": (0, 0),
    "table": (124, 188),
    "signs": (0, 0),
    "joint": (64, 128),
    "general": (416, 480),
    "sample": (0, 0),
    "record": (0, 0),
    "pass": (0, 0),
}
# The way forward of two samples in a thread, for one of them (tile_pass_two.cu)
TWO_SAMPLES: Pairs = SLOTS | {
    part: (forward / 2, SLOTS[part][1])
    for part, forward in {
        "rotation": 98, "exchange": 78, "moved": 48, "table": 204, "signs": 37, "joint": 140, "record": 16, "pass": 388,
    }.items()
}  # fmt: skip
SCHEDULERS = 4  # of a multiprocessor, an instruction of a warp a clock each
ISSUE = 0.7  # share of the issue slots that is reached where several warps share a scheduler: assumed
LONE_WARP = 0.45  # by a warp that has a scheduler for itself and waits for its own results: assumed
SHARED_BYTES = 128  # a clock and multiprocessor
COPY_SHARE = 0.9  # of the published bandwidth of memory that a copy reaches: assumed


@dataclass(frozen=True)
class Gpu:
    """As published: `clock` boosted, Hz; `bandwidth` of device memory, bytes a second; `memory_bytes`."""

    name: str
    compute_capability: str
    multiprocessors: int
    clock: float
    bandwidth: float
    memory_bytes: int


def _letters_and_digits(name: str) -> str:
    return re.sub("nvidia|geforce|[^a-z0-9]", "", name.lower())


GPUS = {
    _letters_and_digits(gpu.name): gpu
    for gpu in (
        Gpu("T4", "75", 40, 1.59e9, 320e9, 16 * 10**9),
        Gpu("RTX 2080 Ti", "75", 68, 1.545e9, 616e9, 11 * 10**9),
        Gpu("A100", "80", 108, 1.41e9, 2039e9, 80 * 10**9),
        Gpu("A10", "86", 72, 1.695e9, 600e9, 24 * 10**9),
        Gpu("RTX 3060", "86", 28, 1.777e9, 360e9, 12 * 10**9),
        Gpu("RTX 3090", "86", 82, 1.695e9, 936e9, 24 * 10**9),
        Gpu("L4", "89", 58, 2.04e9, 300e9, 24 * 10**9),
        Gpu("L40S", "89", 142, 2.52e9, 864e9, 48 * 10**9),
        Gpu("RTX 4090", "89", 128, 2.52e9, 1008e9, 24 * 10**9),
        Gpu("H100", "90", 132, 1.98e9, 3350e9, 80 * 10**9),
        Gpu("H200", "90", 132, 1.98e9, 4800e9, 141 * 10**9),
        Gpu("RTX 5070", "120", 48, 2.512e9, 672e9, 12 * 10**9),
        Gpu("RTX 5090", "120", 170, 2.407e9, 1792e9, 32 * 10**9),
    )
}


def known_gpu(name: str) -> Gpu:
    """A GPU by its name, in any case, with or without blanks and the maker's. Raises InputError with the known ones."""
    key = _letters_and_digits(name)
    if key not in GPUS:
        raise InputError(
            f"--device: {name!r} is not known; choose one of {', '.join(gpu.name for gpu in GPUS.values())}"
        )
    return GPUS[key]


@dataclass(frozen=True)
class Counts:
    """How often each part runs in one sweep."""

    parts: dict[str, int]
    passes: int

    @classmethod
    def of(cls, program: RecordProgram, extra: np.ndarray | None = None) -> Counts:
        """`extra` (records,): sums beside v_y and v_z, see `XComponents.extra`; none where it is not given."""
        flags = program.records_K[:, r.FLAGS]
        extra = np.zeros(len(flags), dtype=np.int32) if extra is None else extra
        rotations = sum(int(np.count_nonzero(flags >> (4 + 2 * register) & 3)) for register in range(4))

        def having(flag: int) -> int:
            return int(np.count_nonzero(flags & flag))

        parts = {
            "rotation": rotations,
            "x": int(np.bitwise_count(extra & 15).sum()),
            "v": having(r.HAS_V),
            "z before": int(np.count_nonzero(extra & Z_BEFORE)),
            "x sums": int(np.count_nonzero(extra)),
            "exchange": having(r.HAS_EXCHANGE),
            "moved": having(r.MOVES_TILE),
            "table": having(r.HAS_TABLE),
            "signs": int(np.count_nonzero(program.records_K[:, r.PATTERN] >= 0)),
            "joint": having(r.HAS_JOINT),
            "general": having(r.HAS_APPLY),
            "sample": having(r.SAMPLE_ROTATIONS),
            "record": len(flags),
            "pass": len(program.passes),
        }
        return cls(parts, len(program.passes))

    def slots(self, of: Pairs = SLOTS) -> tuple[float, float]:
        """Instructions an amplitude, forward and backward."""
        forward, backward = (sum(of[part][k] * n for part, n in self.parts.items()) / 16 for k in (0, 1))
        return forward, backward


@dataclass(frozen=True)
class Derived:
    """Seconds of a step, forward and back, by each limit; `expected` is the slowest of `issue`, the instructions at the
    rate that is assumed, and the bytes of shared and of device memory. `floor`: instructions without any waiting."""

    floor: float
    issue: float
    shared: float
    memory: float

    @property
    def expected(self) -> float:
        return max(self.issue, self.shared, self.memory)

    def plus(self, other: Derived) -> Derived:
        return Derived(*(getattr(self, name) + getattr(other, name) for name in ("floor", "issue", "shared", "memory")))

    def times(self, number: int) -> Derived:
        return Derived(*(getattr(self, name) * number for name in ("floor", "issue", "shared", "memory")))


def derive(
    program: RecordProgram, counts: Counts, gpu: Gpu, batch: int, chunk: int, issue: float = ISSUE, of: Pairs = SLOTS
) -> Derived:
    """A step of `batch` samples, `chunk` at a time, in complex64. `counts` of the program."""
    rest = batch % chunk
    found = _chunk(program, counts, gpu, chunk, issue, of).times(batch // chunk)
    return found.plus(_chunk(program, counts, gpu, rest, issue, of)) if rest else found


def _chunk(program: RecordProgram, counts: Counts, gpu: Gpu, samples: int, issue: float, of: Pairs) -> Derived:
    """The launches of one chunk: each is over when the multiprocessor with the most blocks is."""
    tiles = blocks(samples, 1 << program.pack_bits) << program.tile_count_bits
    busiest = blocks(tiles, gpu.multiprocessors)
    warps = blocks(program.threads, WARP)
    resident = min(busiest, resident_blocks(program.threads))
    in_turn = blocks(busiest * warps, SCHEDULERS)  # warps of one scheduler, one after another
    rate = min(issue, LONE_WARP * blocks(resident * warps, SCHEDULERS))
    lanes = ARCHITECTURES[gpu.compute_capability].fp32_lanes
    slots = zip(counts.slots(of), counts.slots(FLOAT_SLOTS), strict=True)
    clocks = in_turn * sum(16 * max(total, floats * SCHEDULERS * WARP / lanes) for total, floats in slots)
    # an exchange writes and reads 8 bytes per amplitude: psi forward, psi and bra backward
    exchanged = busiest * (counts.parts["exchange"] * 3 * 16 << program.tile_bits)
    moved = tiles * (48 * counts.passes << program.tile_bits)
    return Derived(
        clocks / gpu.clock,
        clocks / gpu.clock / rate,
        exchanged / SHARED_BYTES / gpu.clock,
        moved / (COPY_SHARE * gpu.bandwidth),
    )


def derive_unfused(launches: int, gpu: Gpu, batch: int, address_bits: int, precision: Precision) -> Derived:
    """Of `engine.fusion=false`: each launch reads and writes every amplitude, psi forward, psi and bra backward."""
    moved = (6 * launches * amplitude_bytes(precision) * batch) << address_bits
    return Derived(0.0, 0.0, 0.0, moved / (COPY_SHARE * gpu.bandwidth))
