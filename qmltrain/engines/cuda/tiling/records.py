"""Records: the integers that the CUDA kernel executes, and all the tables they point to. Pure: no values.

A pass loads a tile, executes its records one after another and stores the tile. A record is 12 integers, FIELDS as in
kernels/cuda/tile_pass.cuh, and has up to four parts, which the flags announce:

    part         exchange         table               general diagonal     rotations on the 4 register bits
    does         to the block     phases and CZ       phases of any        RY(beta) of each register that has one,
                 basis of this    signs of threads    mask, shared or      going back v beside them
                 record           or registers        per sample
    flags        HAS_EXCHANGE     HAS_TABLE           HAS_APPLY            SHARED_, SAMPLE_ROTATION (by register);
                 MOVES_TILE       HAS_JOINT           HAS_MEASURE          HAS_V, SECOND_BUFFER
    fields       EXCHANGE         TABLE, PATTERN      APPLY, MEASURE,      ROTATION_COLUMN,
                                                      MEASURE_COLUMN       SAMPLE_SHEAR to SAMPLE_SHEAR + 3
    points to    exchange_*       table_*, pattern    term                 shears, sample_shears

Records, tables and exchanges of all passes stand in common pools. `qmltrain.engines.cuda.tiling.record_writer` makes
them from rounds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qmltrain.engines.cuda.tiling.block_basis import REGISTER_BITS
from qmltrain.engines.cuda.tiling.placement import Placement
from qmltrain.fusion.plan import AffineAngle

FIELDS = 12
FLAGS, EXCHANGE, TABLE, PATTERN, APPLY, MEASURE, ROTATION_COLUMN, MEASURE_COLUMN, SAMPLE_SHEAR = range(9)
HAS_EXCHANGE, HAS_TABLE, HAS_APPLY, MOVES_TILE = 1, 2, 4, 8
HAS_V, HAS_MEASURE, SECOND_BUFFER, HAS_JOINT = 1 << 12, 1 << 13, 1 << 14, 1 << 15
SHARED_ROTATION, SAMPLE_ROTATION = 1, 3
SAMPLE_ROTATIONS = 0xAA0  # the second bits of all four
RATIOS, JOINT = REGISTER_BITS, 1 << REGISTER_BITS  # numbers of a table beside those of threads
V_COLUMNS = 12  # v_y of the four registers, v_z, then v_x
PER_SAMPLE = -(1 << 31)  # sign bit of a term's angle
IntArray = NDArray[np.int32]


@dataclass(frozen=True)
class ShearEntry:
    """Rotation coefficients: entry `entry` of the pool is beta of gate run `gate_run`, negated if `flip`."""

    entry: int
    gate_run: int
    flip: bool


@dataclass(frozen=True)
class VColumns:
    """Of the columns of record `record`, from `column` on, those of `register` are v of `gate_run`; with `flip` v_y and
    v_z have the other sign."""

    record: int
    column: int
    register: int
    gate_run: int
    flip: bool

    @property
    def y(self) -> int:
        return self.column + self.register

    @property
    def z(self) -> int:
        return self.y + REGISTER_BITS

    @property
    def x(self) -> int:
        return self.z + REGISTER_BITS


@dataclass(frozen=True)
class MeasureColumn:
    """Column `column` of the sums is the gradient of angle `number`."""

    column: int
    number: int
    per_sample: bool


@dataclass(frozen=True)
class PassRecords:
    """One launch: records [first, first + count), block bases at its edges, and its own columns of the sums. `lean`: no
    per-sample rotation, general diagonal or sum of w among them."""

    first_record: int
    records: int
    edge: int
    first_column: int
    columns: int
    lean: bool


@dataclass(frozen=True)
class RecordProgram:
    """Everything the kernel reads that depends on no angle. `address_bits` is n, at least 4.

    Exchanges are there twice: the first half for one state, the second for two that are moved together.
    `sample_shears` are the distinct per-sample rotation angles, negated where the flag is set. `placement` says where
    amplitudes stand after the last pass.
    """

    address_bits: int
    tile_bits: int
    records_K: IntArray
    exchange_thread: IntArray
    exchange_column: IntArray
    exchange_tile: IntArray
    edge_thread: IntArray
    edge_column: IntArray
    edge_tile: IntArray
    pattern: IntArray
    term: IntArray
    table_range: IntArray
    table_entry: IntArray
    passes: tuple[PassRecords, ...]
    shears: tuple[ShearEntry, ...]
    sample_shears: tuple[tuple[AffineAngle, bool], ...]
    v_columns: tuple[VColumns, ...]
    measure_columns: tuple[MeasureColumn, ...]
    n_columns: int
    placement: Placement

    @property
    def pack_bits(self) -> int:
        """2^pack_bits samples share a block."""
        return max(0, self.tile_bits - self.address_bits)

    @property
    def tile_count_bits(self) -> int:
        """2^tile_count_bits tiles make a state."""
        return max(0, self.address_bits - self.tile_bits)

    @property
    def threads(self) -> int:
        return 1 << (self.tile_bits - REGISTER_BITS)

    @property
    def table_entries(self) -> int:
        """Numbers of a diagonal's table: see diagonals.cuh."""
        return self.threads + RATIOS + JOINT

    @property
    def exchanges(self) -> int:
        return int(np.count_nonzero(self.records_K[:, FLAGS] & HAS_EXCHANGE))

    @property
    def tables(self) -> int:
        return int(np.count_nonzero(self.records_K[:, FLAGS] & HAS_TABLE))

    def describe(self) -> str:
        """One line of what the plan became."""
        rotations = len(self.v_columns)
        return (
            f"{len(self.passes)} passes over tiles of 2^{self.tile_bits} amplitudes, {len(self.records_K)} records, "
            f"{rotations} trainable rotations, {self.exchanges} exchanges, {self.tables} diagonals by table, "
            f"{int(np.count_nonzero(self.records_K[:, FLAGS] & HAS_APPLY))} general ones"
        )
