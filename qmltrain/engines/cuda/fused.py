"""Fused schedule: the records of a plan through tile_pass.cuh, one launch per pass, cut where a watchdog is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmltrain.engines.cuda.device import Buffer, Device, Kernel, View, pointer, real_of, structure
from qmltrain.engines.cuda.geometry import (
    MAX_GRID,
    WARP,
    amplitude_bytes,
    blocks,
    blocks_of_short_launch,
    tile_shared_bytes,
)
from qmltrain.engines.cuda.schedule import ColumnMap, Launches
from qmltrain.engines.cuda.tiling.block_basis import REGISTER_BITS
from qmltrain.engines.cuda.tiling.cone_tiles import schedule_tiles
from qmltrain.engines.cuda.tiling.items import Angles, TermEntry, take_apart
from qmltrain.engines.cuda.tiling.record_writer import make_records
from qmltrain.engines.cuda.tiling.records import FLAGS, HAS_APPLY, PassRecords, RecordProgram
from qmltrain.engines.cuda.vectors import SampleAngles
from qmltrain.engines.cuda.x_components import XComponents
from qmltrain.engines.plan_values import PlanValues, SharedAngles
from qmltrain.engines.protocol import FloatArray, Precision
from qmltrain.fusion.plan import Plan

# struct PassArguments of tile_pass.cuh, whose names and types a test compares
_POINTERS = [
    "psi",
    "bra",
    "record",
    "exchange_thread",
    "exchange_column",
    "exchange_tile",
    "edge_thread",
    "edge_column",
    "edge_tile",
    "pattern",
    "term",
    "table",
    "rotation",
    "sample_shear",
    "angle",
    "sample_angle",
    "sums",
]
_INTEGERS = [
    "records",
    "address_bits",
    "tile_count_bits",
    "pack_bits",
    "sample_shears",
    "sample_angles",
    "sum_lanes",
    "start_zero",
    "first_tile",
    "tile_fours",
]
PASS_ARGUMENTS = np.dtype(
    [(name, np.uint64) for name in _POINTERS]
    + [("row_stride", np.int64), ("column_stride", np.int64)]
    + [(name, np.int32) for name in _INTEGERS],
    align=True,
)


def rotation_values(real: np.dtype) -> np.dtype:
    """struct RotationValues of tile_pass.cuh, at multiples of 16 bytes."""
    itemsize = 16 * (REGISTER_BITS * 2 * real.itemsize // 16 + 1)
    offsets = [0, REGISTER_BITS * 2 * real.itemsize]
    formats = [(real, (REGISTER_BITS, 2)), np.int32]
    return np.dtype({"names": ["shear", "extra"], "formats": formats, "offsets": offsets, "itemsize": itemsize})


_THREADS = 256  # of a block of the kernels in vectors.cu
# Where the driver stops kernels after 2 s, as consumer cards with a display do, no launch may last longer than 0.2 s.
# Work of a launch is bounded by amplitudes x records: 64 issue slots each, 128 slots per clock and multiprocessor, a
# quarter of 1.5 GHz: 0.1 s. (Other cards need no cut, and a cut costs part of a wave of blocks.)
_WORK_PER_MULTIPROCESSOR = int(0.1 * 0.25 * 1.5e9 * 128 / 64)


@dataclass
class FusedValues:
    """Angles of one chunk on the device."""

    table: Buffer
    rotation: Buffer | View
    sample_shear: Buffer | None
    angle: Buffer | View | None
    sample_angle: Buffer | None


class FusedSchedule:
    starts_itself = True

    def __init__(
        self,
        device: Device,
        plan: Plan,
        precision: Precision,
        tile_bits: int,
        low_bits: int,
        rotations_per_pass: int,
        two_samples: bool = False,
    ) -> None:
        self.device, self.plan, self.precision, self.two_samples = device, plan, precision, two_samples
        self.real = real_of(precision)
        self.plan_values = PlanValues(plan)
        moments, self.angles = take_apart(plan.moments)
        per_sample = frozenset(number for number, one in enumerate(plan.gate_runs) if one.per_sample)
        tiles = schedule_tiles(moments, plan.n_qubits, tile_bits, low_bits, rotations_per_pass, per_sample)
        program = make_records(tiles, plan.gate_runs, plan.n_qubits, tile_bits, amplitude_bytes(precision))
        self.program, self.tile_bits = program, tile_bits
        self.address_bits = program.address_bits
        self.n_columns = program.n_columns
        self.passes = tuple(
            Launches(sum(len(r.rotations) for r in tile.rounds), one.first_column, one.columns)
            for tile, one in zip(tiles, program.passes, strict=True)
        )
        self.strings = tuple(program.placement.string(string) for string in plan.strings)
        self.readout = program.placement.readout(plan.readout)
        self.column_map = _column_map(program, plan, self.plan_values, self.angles)
        self.x_components = XComponents(plan, program)
        self.rotation_values = rotation_values(self.real)
        self._upload_tables()
        self._index_angles()
        self.arguments = [self._arguments(one) for one in program.passes]
        self.exchanges = (self._exchanges(False), self._exchanges(True))

    def _upload_tables(self) -> None:
        """Everything without values goes to the device once."""
        program = self.program
        arrays = {
            "record": program.records_K,
            "exchange_thread": program.exchange_thread,
            "exchange_column": program.exchange_column,
            "exchange_tile": program.exchange_tile,
            "edge_thread": program.edge_thread,
            "edge_column": program.edge_column,
            "edge_tile": program.edge_tile,
            "pattern": program.pattern,
            "term": program.term,
            "table_range": program.table_range,
            "table_entry": program.table_entry,
        }
        self.static = {name: self.device.upload(np.ascontiguousarray(array)) for name, array in arrays.items()}
        tables = len(program.table_range) * program.table_entries
        self.fixed_bytes = sum(array.nbytes for array in arrays.values()) + tables * amplitude_bytes(self.precision)
        self.fixed_bytes += len(program.records_K) * self.rotation_values.itemsize

    def _index_angles(self) -> None:
        """Where each numbered angle comes from, as arrays."""
        zero = self.plan.n_shared_slots + 2 * self.plan_values.n_gate_runs  # of `SharedAngles.sources`
        source, coefficient, offset = [], [], []
        for entry in self.angles.shared:
            if isinstance(entry, TermEntry):
                table = self.plan_values.shared_terms[entry.moment]
                source.append(int(table.source[entry.index]))
                coefficient.append(float(table.coefficients[entry.index]))
                offset.append(float(table.offsets[entry.index]))
            else:
                source.append(zero)
                coefficient.append(0.0)
                offset.append(entry)
        # the last one is a zero that unused table entries point to
        self.source = np.array([*source, zero], dtype=np.int64)
        self.coefficient, self.offset = np.array([*coefficient, 0.0]), np.array([*offset, 0.0])
        self.has_general = bool(np.any(self.program.records_K[:, FLAGS] & HAS_APPLY))
        plain = [(angle, False) for angle in self.angles.per_sample]
        self.sample_angles = SampleAngles(self.device, "sample_cycles", self.precision, 1, plain)
        self.sample_shears = SampleAngles(self.device, "sample_shears", self.precision, 2, self.program.sample_shears)
        shears = self.program.shears
        self.shear_entry = np.array([s.entry for s in shears], dtype=np.int64)
        self.shear_gate_run = np.array([s.gate_run for s in shears], dtype=np.int64)
        self.shear_sign = np.array([-1.0 if s.flip else 1.0 for s in shears])

    def _arguments(self, one: PassRecords) -> NDArray[Any]:
        """What PassArguments of a pass have in common in all launches."""
        program, static = self.program, self.static
        fields: dict[str, Any] = {
            "record": static["record"].pointer + program.records_K[0].nbytes * one.first_record,
            "edge_thread": static["edge_thread"].pointer + program.edge_thread[0].nbytes * one.edge,
            "edge_column": static["edge_column"].pointer + program.edge_column[0].nbytes * one.edge,
            "edge_tile": static["edge_tile"].pointer + program.edge_tile[0].nbytes * one.edge,
            "records": one.records,
            "address_bits": program.address_bits,
            "tile_count_bits": program.tile_count_bits,
            "pack_bits": program.pack_bits,
            "tile_fours": program.edge_tile.shape[2],
            "sample_shears": self.sample_shears.columns,
            "sample_angles": self.sample_angles.columns,
            # lanes of a warp that work for one sample
            "sum_lanes": min(program.threads, WARP, 1 << (program.address_bits - REGISTER_BITS)) - 1,
        }
        for field in ("pattern", "term"):
            fields[field] = static[field].pointer
        return structure(PASS_ARGUMENTS, fields)

    def _exchanges(self, two_states: bool) -> dict[str, int]:
        """Tables of the exchanges of one state, or of two that are moved together."""
        names = ("exchange_thread", "exchange_column", "exchange_tile")
        return {
            name: self.static[name].pointer + two_states * getattr(self.program, name).nbytes // 2 for name in names
        }

    def padded(self, batch: int) -> int:
        packed = 1 << self.program.pack_bits
        return blocks(batch, packed) * packed

    def rows_per_sample(self, index: int) -> int:
        return 1 << self.program.tile_count_bits

    def strides(self, index: int, rows: int) -> tuple[int, int]:
        """Packed samples write a column together; else a block writes a row."""
        return (1, rows) if self.program.pack_bits else (self.passes[index].columns, 1)

    def sample_bytes(self) -> int:
        return self.real.itemsize * (2 * self.sample_shears.columns + self.sample_angles.columns)

    def shared_arrays(self, angles: SharedAngles) -> tuple[NDArray[Any], ...]:
        """All numbered angles / 2 pi and one zero (double), `rotation_values` of the records, and the first again as
        Real where general diagonals read them."""
        radians = self.coefficient * angles.sources[self.source] + self.offset
        cycles = _cycles(radians)
        rotation = np.zeros(len(self.program.records_K), dtype=self.rotation_values)
        beta = self.shear_sign * angles.beta[self.shear_gate_run]
        beta -= 2 * np.pi * np.rint(beta / (2 * np.pi))  # 2 pi more is a global sign
        shear = np.zeros((REGISTER_BITS * len(rotation), 2), dtype=self.real)
        shear[self.shear_entry, 0] = np.tan(beta / 4)
        shear[self.shear_entry, 1] = np.sin(beta / 2)
        rotation["shear"] = shear.reshape(-1, REGISTER_BITS, 2)
        rotation["extra"] = self.x_components.extra(angles.beta)
        return (cycles, rotation, cycles.astype(self.real)) if self.has_general else (cycles, rotation)

    def completed(self, raw_R: FloatArray, angles: SharedAngles) -> FloatArray:
        """Raw sums with the v_x that no kernel has summed."""
        return self.x_components.completed(raw_R, angles.beta)

    def sample_arrays(self, angles: SharedAngles, per_sample_BS: FloatArray) -> tuple[NDArray[Any], ...]:
        """The per-sample slots (B, S'), where any are read."""
        return (per_sample_BS,) if self.sample_shears.columns or self.sample_angles.columns else ()

    def prepare(self, buffers: Sequence[Buffer | View], batch: int) -> FusedValues:
        device, program = self.device, self.program
        cycles, rotation, *others = buffers
        angle = others.pop(0) if self.has_general else None
        tables = len(program.table_range)
        table = device.allocate(tables * program.table_entries * amplitude_bytes(self.precision))
        device.launch(
            Kernel("vectors", "prepare_tables", self.precision),
            tables,
            _THREADS,
            0,
            (
                pointer(self.static["table_range"]),
                pointer(self.static["table_entry"]),
                pointer(cycles),
                pointer(table),
                np.int32(program.threads),
            ),
        )
        sample_shear = sample_angle = None
        if others:
            slots, size = others[0], (self.plan.n_per_sample_slots, batch, self.padded(batch))
            sample_shear = self.sample_shears.prepared(slots, *size)
            sample_angle = self.sample_angles.prepared(slots, *size)
        return FusedValues(table, rotation, sample_shear, angle, sample_angle)

    def seconds(self, samples: int) -> float:
        program = self.program
        tiles = samples << program.tile_count_bits >> program.pack_bits
        work = tiles * len(program.records_K) << program.tile_bits
        return 3 * 0.1 * work / (_WORK_PER_MULTIPROCESSOR * self.device.limits.multiprocessors)  # backward: psi and bra

    def forward(self, index: int, psi: Buffer, values: FusedValues, samples: int, from_zero: bool) -> None:
        self._launch("tile_pass_forward", index, psi, None, values, samples, None, from_zero)

    def backward(self, index: int, psi: Buffer, bra: Buffer, values: FusedValues, samples: int, sums: Buffer) -> None:
        self._launch("tile_pass_backward", index, psi, bra, values, samples, sums, False)

    def _launch(
        self,
        name: str,
        index: int,
        psi: Buffer,
        bra: Buffer | None,
        values: FusedValues,
        samples: int,
        sums: Buffer | None,
        from_zero: bool,
    ) -> None:
        program, one = self.program, self.program.passes[index]
        row_stride, column_stride = self.strides(index, samples << program.tile_count_bits)
        arguments = self.arguments[index].copy()
        for field, buffer in (
            ("psi", psi),
            ("bra", bra),
            ("table", values.table),
            ("sample_shear", values.sample_shear),
            ("angle", values.angle),
            ("sample_angle", values.sample_angle),
            ("sums", sums),
        ):
            arguments[field] = 0 if buffer is None else buffer.pointer
        arguments["rotation"] = values.rotation.pointer + one.first_record * self.rotation_values.itemsize
        arguments["row_stride"], arguments["column_stride"] = row_stride, column_stride
        arguments["start_zero"] = from_zero
        at_once = self._blocks_at_once(one.records)
        states = samples >> program.pack_bits
        for source, start, end in self._sources(one.lean, bra is not None, states):
            two_states = bra is not None or source == "tile_pass_two"
            for field, address in self.exchanges[two_states].items():
                arguments[field] = address
            kernel = Kernel(source, name, self.precision, program.tile_bits)
            shared = tile_shared_bytes(program.tile_bits, self.precision, two_states)
            tiles = end << program.tile_count_bits
            for first in range(start << program.tile_count_bits, tiles, at_once):
                arguments["first_tile"] = first
                self.device.launch(kernel, min(at_once, tiles - first), program.threads, shared, (arguments.copy(),))

    def _sources(self, lean: bool, backward: bool, states: int) -> list[tuple[str, int, int]]:
        """Which kernel does which of the states of a pass, [first, end); of pairs of states where it takes two."""
        if not lean:
            return [("tile_pass", 0, states)]
        if backward or not self.two_samples:
            return [("tile_pass_lean", 0, states)]
        alone = [("tile_pass_lean", states - 1, states)] if states % 2 else []
        return ([("tile_pass_two", 0, states // 2)] if states > 1 else []) + alone

    def _blocks_at_once(self, records: int) -> int:
        """Blocks that one launch of a pass of so many records may have."""
        limits = self.device.limits
        if not limits.watchdog:
            return MAX_GRID
        most = _WORK_PER_MULTIPROCESSOR * limits.multiprocessors // max(1, records << self.tile_bits)
        return blocks_of_short_launch(limits, self.program.threads, most)

    def describe(self) -> str:
        return self.program.describe()


def _cycles(radians: FloatArray) -> FloatArray:
    """angle / 2 pi, reduced in double to [-1/2, 1/2]: 2 pi more is a global sign."""
    cycles = radians / (2 * np.pi)
    return cycles - np.rint(cycles)


def _column_map(program: RecordProgram, plan: Plan, plan_values: PlanValues, angles: Angles) -> ColumnMap:
    raw: list[tuple[int, int, int]] = []
    sample: list[tuple[int, int, float]] = []
    for v in program.v_columns:
        gate_run = plan.gate_runs[v.gate_run]
        sign = -1 if v.flip else 1
        if gate_run.per_sample:
            angle = gate_run.rotations[0].angle
            assert angle.slot is not None
            sample.append((v.y, angle.slot, sign * angle.coefficient))
            continue
        raw.append((v.y, 3 * v.gate_run + 1, sign))
        if gate_run.needs_v_z:
            raw.append((v.x, 3 * v.gate_run, 1))
            raw.append((v.z, 3 * v.gate_run + 2, sign))
    for measured in program.measure_columns:
        if measured.per_sample:
            angle = angles.per_sample[measured.number]
            assert angle.slot is not None
            sample.append((measured.column, angle.slot, angle.coefficient))
        else:
            entry = angles.shared[measured.number]
            assert isinstance(entry, TermEntry)
            row = int(plan_values.shared_terms[entry.moment].gradient_rows[entry.index])
            raw.append((measured.column, row, 1))
    return ColumnMap.of(raw, sample)
