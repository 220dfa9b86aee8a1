"""Sizes chosen for the CPU: qubits in the lanes, tiles, shares of rows, states that are kept, samples of a unit.

All sizes are chosen here and handed to the kernels, which choose none of these again: plans are scheduled and memory is
forecast on this side of the border. They follow from circuit, samples, precision and instruction set alone, as the last
bits of results do.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Literal

from qmltrain.engines.cpu.extension import AVX512_INTEL
from qmltrain.engines.protocol import Precision
from qmltrain.fusion.plan import Plan

TILE_BYTES = 32 << 10  # of a tile: psi and the bra stay near the first cache
FEW_QUBITS = 8  # of short states
SHARE_ROW_BITS = 10  # rows of a share of a long state: enough work for a thread to be called to it
# as host/shared_blocks.hpp has them: states of columns that are kept, shares of the samples of a step, at most
STAYING_BYTES, SHARES = 6 << 20, 16


@dataclass(frozen=True)
class LaneRule:
    """States of 2^`most` rows at most have no qubits in the lanes, whatever fills these; longer ones so many that
    2^`left` rows are left, as far as there are lanes."""

    most: int
    left: int


@dataclass(frozen=True)
class CacheSizes:
    """What suits the caches of a kind of processor, as measured.

    `plain`: psi and the bra stay near the caches. `entangled`: where CX has made masks of many bits, qubits in the
    lanes cost shuffles at every rotation and a phase of its own for every amplitude, so they are worth it later.
    `sampled`: where plans have `sample_angles`, c and s of a rotation within the lanes differ from lane to lane, and
    phases are products only where no qubit lies in the lanes (12 to 16 qubits, 16 samples: 1.2 to 1.6 times faster so).
    `real`: of real states, if not as of others. `resident_bytes`: of the longest state that is one tile: psi and the
    bra stream from the outer caches faster than tiles of them are gathered. `table_bytes`: most that tables of
    diagonals across the lanes take; phases beyond are worked out tile by tile, each time with the same bits.
    """

    plain: LaneRule
    entangled: LaneRule
    sampled: LaneRule
    real: LaneRule | None
    resident_bytes: int
    table_bytes: int


# Of entangled circuits of 13 and 14 qubits, 16 samples, as many lanes as leave 2^10 rows take 17 to 23 and 10 to 16 %
# less time than as many as leave 2^12 (Zen 4, complex64 and complex128).
COMMON = CacheSizes(LaneRule(10, 10), LaneRule(12, 10), LaneRule(14, 14), None, 2 << 20, 32 << 20)
# Two 64-byte multiply-adds a cycle, but 62 cycles for four rows of psi and bra from the second cache and back, whatever
# is done with them (44 from the first): on a Xeon with 48 KiB and 2 MiB a core gradients of 9 to 12 qubits, 16 samples,
# take 10 to 23 % less time than with the sizes above, of 13 and 14 entangled ones 14 to 17 %, of 17 and 18 5 to 26 %.
INTEL = CacheSizes(LaneRule(8, 7), LaneRule(12, 7), LaneRule(14, 14), LaneRule(9, 8), 512 << 10, 8 << 20)
CACHE_SIZES = {AVX512_INTEL: INTEL}  # of instruction sets; of others: COMMON


def cache_sizes(instruction_set: str) -> CacheSizes:
    return CACHE_SIZES.get(instruction_set, COMMON)


@dataclass(frozen=True)
class Overrides:
    """What tests set instead of the engine: bits of a tile's rows, qubits in the lanes, rows that make a share."""

    tile_row_bits: int | None = None
    lane_bits: int | None = None
    share_row_bits: int | None = None


@dataclass(frozen=True)
class KernelSetting:
    """What the extension's `Program` is made with. `lanes`: numbers of a vector; `keep`: psi of every moment is kept;
    `interval`: moments, or 0."""

    precision: Precision
    instruction_set: str
    lanes: int
    mode: Literal["keep", "reversible", "checkpoint"]
    interval: int
    threads: int
    fusion: bool


@dataclass(frozen=True)
class Reported:
    """The same as the forecast tells it: `keep` is checkpoint with interval 1."""

    mode: Literal["reversible", "checkpoint"]
    interval: int | None
    reason: str
    memory_bytes: int


def amplitude_bytes(plan: Plan, precision: Precision) -> int:
    """Of one number of a state; real states have no imaginary parts."""
    return (8 if precision == "complex64" else 16) >> plan.real


def kept_states(plan: Plan) -> int:
    """States of a sample when psi after every set of rotations is kept, and the bra; an upper bound."""
    return 2 + sum(bool(moment.rotations) + (moment.diagonal is not None) for moment in plan.moments)


def most_in_unit(n_qubits: int, lanes: int, sample_angles: bool = False) -> int:
    """Most samples that one unit of work may hold: its lanes, less those that hold qubits whatever the circuit and the
    processor."""
    row_bits = COMMON.sampled.most if sample_angles else COMMON.entangled.most
    return lanes >> max(0, min(n_qubits - row_bits, lanes.bit_length() - 1))


def entangled(plan: Plan) -> bool:
    """Whether CX has made masks of many bits."""
    return any(r.pair_mask & (r.pair_mask - 1) for moment in plan.moments for r in moment.rotations)


def choose_lane_bits(
    samples: int, plan: Plan, lanes: int, override: int | None = None, sizes: CacheSizes = COMMON
) -> int:
    """Qubits in the lanes for a block of so many samples: as many as leave no lane without a sample, but for short
    states, and more where the state is long. `override`: so many, as far as there are lanes and qubits."""
    n, most = plan.n_qubits, min(lanes.bit_length() - 1, plan.n_qubits)
    if override is not None:
        return min(override, most)
    bits = 0
    while bits < most and lanes >> (bits + 1) >= samples:
        bits += 1
    if n <= FEW_QUBITS:
        return _of_few_qubits(n, bits, most, plan.real)
    rule = sizes.entangled if entangled(plan) else sizes.plain
    if plan.real and sizes.real:
        rule = sizes.real
    if plan.sample_angles:
        rule = sizes.sampled
    return max(bits, min(most, n - rule.left)) if n > rule.most else bits


def _of_few_qubits(n: int, bits: int, most: int, real: bool) -> int:
    """`bits` leave no lane without a sample. But up to 2^4 rows without qubits in the lanes are one call a layer, which
    takes as long for one sample as for sixteen; a block of few samples behind full ones would need signs, scales and
    tables of its own; and five row bits are two calls (steps of batches of 1 to 8, 20, 24 and 50: up to 40 % less)."""
    if n <= 4:
        return 0
    if real:  # lanes cost these less
        return bits
    if (bits == 1 and n < FEW_QUBITS) or (bits == 2 and n == 5):
        return 0
    return min(bits + 1, most) if bits > 1 and n - bits == 5 else bits


def tile_rows(row_bits: int, row_bytes: int, override: int | None = None, sizes: CacheSizes = COMMON) -> int:
    """Bits of a tile of the 2^row_bits rows: all where the state is resident; else as few tiles as `TILE_BYTES`
    allows, of even size, so that rotations go in pairs. `override`: at most so many, whatever the caches."""
    most = override or (TILE_BYTES // row_bytes).bit_length() - 1
    if row_bits <= (override or (sizes.resident_bytes // row_bytes).bit_length() - 1):
        return row_bits
    count = ceil(row_bits / most)
    bits = ceil(row_bits / count)
    return min(most, bits + bits % 2)
