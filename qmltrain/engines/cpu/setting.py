"""Sizes chosen for the CPU: qubits in the lanes, tiles, shares of rows, states that are kept, samples of a unit.

All sizes are chosen here and handed to the kernels, which choose none of these again: plans are scheduled and memory is
forecast on this side of the border.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Literal

from qmltrain.engines.protocol import Precision
from qmltrain.fusion.plan import Plan

TILE_BYTES = 32 << 10  # of a tile: psi and the bra stay near the first cache
RESIDENT_BYTES = 2 << 20  # psi and the bra stream from the outer caches faster than tiles of them are gathered
TABLE_BYTES = 32 << 20  # most that tables of diagonals across the lanes take
# Rows of a state beyond which qubits move into the lanes: psi and the bra then stay in the second cache. Where CX has
# made masks of many bits, qubits in the lanes cost shuffles at every rotation and a phase of its own for every
# amplitude: there they are worth it later.
ROW_BITS, ROW_BITS_ENTANGLED = 10, 12
# Where plans have `sample_angles`: of a rotation within the lanes c and s differ from lane to lane, and phases are
# products only where no qubit lies in the lanes (12 to 16 qubits, 16 samples: 1.2 to 1.6 times faster so).
ROW_BITS_SAMPLED = 14
SHARE_ROW_BITS = 10  # rows of a share of a long state: enough work for a thread to be called to it
# as host/shared_blocks.hpp has them: states of columns that are kept, shares of the samples of a step, at most
STAYING_BYTES, SHARES = 6 << 20, 16


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
    """Most samples that one unit of work may hold: its lanes, less those that hold qubits whatever the circuit."""
    row_bits = ROW_BITS_SAMPLED if sample_angles else ROW_BITS_ENTANGLED
    return lanes >> max(0, min(n_qubits - row_bits, lanes.bit_length() - 1))


def entangled(plan: Plan) -> bool:
    """Whether CX has made masks of many bits."""
    return any(r.pair_mask & (r.pair_mask - 1) for moment in plan.moments for r in moment.rotations)


def choose_lane_bits(samples: int, plan: Plan, lanes: int, override: int | None = None) -> int:
    """Qubits in the lanes for a block of so many samples: as many as leave no lane without a sample, and more where the
    state is long. `override`: so many, as far as there are lanes and qubits."""
    most = min(lanes.bit_length() - 1, plan.n_qubits)
    if override is not None:
        return min(override, most)
    row_bits = ROW_BITS_ENTANGLED if entangled(plan) else ROW_BITS
    if plan.sample_angles:
        row_bits = ROW_BITS_SAMPLED
    bits = 0
    while bits < most and (lanes >> (bits + 1) >= samples or plan.n_qubits - bits > row_bits):
        bits += 1
    return bits


def tile_rows(row_bits: int, row_bytes: int, override: int | None = None) -> int:
    """Bits of a tile of the 2^row_bits rows: all where the state is resident; else as few tiles as `TILE_BYTES`
    allows, of even size, so that rotations go in pairs. `override`: at most so many, whatever the caches."""
    most = override or (TILE_BYTES // row_bytes).bit_length() - 1
    if row_bits <= (override or (RESIDENT_BYTES // row_bytes).bit_length() - 1):
        return row_bits
    count = ceil(row_bits / most)
    bits = ceil(row_bits / count)
    return min(most, bits + bits % 2)
