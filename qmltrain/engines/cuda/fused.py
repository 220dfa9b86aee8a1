"""Fused schedule: the records of a plan through tile_pass.cu, one launch a pass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qmltrain.engines.cuda.device import Buffer, Device, Kernel, View, pointer, real_of, structure
from qmltrain.engines.cuda.geometry import amplitude_bytes, blocks, tile_shared_bytes, tile_threads
from qmltrain.engines.cuda.schedule import ColumnMap, Launches
from qmltrain.engines.preparation import Preparation
from qmltrain.engines.protocol import FloatArray, Precision, SlotValues
from qmltrain.fusion.cost import needs_v_z
from qmltrain.fusion.light_cone import schedule_tiles
from qmltrain.fusion.plan import AffineAngle, Plan
from qmltrain.fusion.records import RecordProgram, make_records
from qmltrain.fusion.tile_items import Angles, TermPlace, take_apart

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
    "shear",
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
    "padding",
]
# struct PassArguments of tile_pass.cu
PASS_ARGUMENTS = np.dtype(
    [(name, np.uint64) for name in _POINTERS]
    + [("row_stride", np.int64), ("column_stride", np.int64)]
    + [(name, np.int32) for name in _INTEGERS],
    align=True,
)
# No launch may last longer than 0.2 s (consumer cards stop it at 2 s). Work of a launch is bounded by amplitudes x
# records: 64 issue slots each, 128 slots a clock and multiprocessor, a quarter of 1.5 GHz: 0.1 s.
_WORK_A_MULTIPROCESSOR = int(0.1 * 0.25 * 1.5e9 * 128 / 64)


@dataclass
class FusedValues:
    """Angles of one chunk on the device."""

    table: Buffer
    shear: Buffer
    sample_shear: Buffer | None
    angle: Buffer | None
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
        rotations_a_pass: int,
    ) -> None:
        """`plan` has one pass (its operations in time order)."""
        self.device, self.plan, self.precision = device, plan, precision
        self.real = real_of(precision)
        self.preparation = Preparation(plan)
        steps, self.angles = take_apart(operation for one in plan.passes for operation in one.operations)
        tiles = schedule_tiles(steps, plan.n_qubits, tile_bits, low_bits, rotations_a_pass)
        program = make_records(tiles, plan.runs, plan.n_qubits, tile_bits, amplitude_bytes(precision))
        self.program = program
        self.address_bits = program.address_bits
        self.n_columns = program.n_columns
        self.passes = tuple(
            Launches(sum(len(r.rotations) for r in tile.rounds), one.first_column, one.columns)
            for tile, one in zip(tiles, program.passes, strict=True)
        )
        self.column_map = _column_map(program, plan, self.preparation, self.angles)
        self._place_tables()
        self._index_angles()

    def _place_tables(self) -> None:
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
        tables = len(program.table_range) * (program.threads + 16)
        angles = len(program.records_K) * 4 + tables
        self.fixed_bytes = sum(array.nbytes for array in arrays.values()) + angles * amplitude_bytes(self.precision)

    def _index_angles(self) -> None:
        """Where each numbered angle comes from, as arrays."""
        preparation = self.preparation
        zero = self.plan.n_shared_slots + 2 * preparation.n_runs  # of `preparation.sources`
        source, coefficient, offset = [], [], []
        for place in self.angles.shared:
            if isinstance(place, TermPlace):
                table = preparation.shared_terms[place.layer]
                source.append(int(table.source[place.index]))
                coefficient.append(float(table.coefficients[place.index]))
                offset.append(float(table.offsets[place.index]))
            else:
                source.append(zero)
                coefficient.append(0.0)
                offset.append(place)
        self.source = np.array(source, dtype=np.int64)
        self.coefficient, self.offset = np.array(coefficient), np.array(offset)
        self.sample_angles = _Affine.of([(angle, False) for angle in self.angles.per_sample])
        self.sample_shears = _Affine.of(list(self.program.sample_shears))
        shears = self.program.shears
        self.shear_place = np.array([s.place for s in shears], dtype=np.int64)
        self.shear_run = np.array([s.run for s in shears], dtype=np.int64)
        self.shear_sign = np.array([-1.0 if s.flip else 1.0 for s in shears])

    def padded(self, batch: int) -> int:
        packed = 1 << self.program.pack_bits
        return blocks(batch, packed) * packed

    def rows_a_sample(self, index: int) -> int:
        return 1 << self.program.tile_count_bits

    def strides(self, index: int, rows: int) -> tuple[int, int]:
        """Packed samples write a column together; else a block writes a row."""
        return (1, rows) if self.program.pack_bits else (self.passes[index].columns, 1)

    def sample_bytes(self) -> int:
        return self.real.itemsize * (2 * len(self.sample_shears.slot) + len(self.sample_angles.slot))

    def values(self, slots: SlotValues) -> FusedValues:
        device, program, preparation = self.device, self.program, self.preparation
        samples = self.padded(slots.batch)
        runs = preparation.run_angles(slots.shared_S)
        radians = self.coefficient * preparation.sources(slots.shared_S, runs)[self.source] + self.offset
        half_turns = _half_turns(radians)
        uploaded = device.upload(np.append(half_turns, 0.0))
        tables = len(program.table_range)
        table = device.allocate(tables * (program.threads + 16) * amplitude_bytes(self.precision))
        device.launch(
            Kernel("vectors", "prepare_tables", self.precision),
            tables,
            256,
            0,
            (
                pointer(self.static["table_range"]),
                pointer(self.static["table_entry"]),
                pointer(uploaded),
                pointer(table),
                np.int32(program.threads),
            ),
        )
        shear = np.zeros((4 * len(program.records_K) + 4, 2), dtype=self.real)
        shear[self.shear_place] = _shears(self.shear_sign * runs.beta[self.shear_run])
        sample_shear = sample_angle = None
        if len(self.sample_shears.slot):
            sample_shear = device.upload(self._padded(_shears(self.sample_shears.of_slots(slots)), samples))
        if len(self.sample_angles.slot):
            sample_angle = device.upload(self._padded(_half_turns(self.sample_angles.of_slots(slots)), samples))
        angle = device.upload(np.append(half_turns, 0.0).astype(self.real))
        return FusedValues(table, device.upload(shear), sample_shear, angle, sample_angle)

    def _padded(self, values: FloatArray, samples: int) -> NDArray[np.floating]:
        result = np.zeros((samples, *values.shape[1:]), dtype=self.real)
        result[: len(values)] = values
        return result

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
        program, one, static = self.program, self.program.passes[index], self.static
        threads = tile_threads(program.tile_bits)
        tiles = samples << program.tile_count_bits >> program.pack_bits
        row_stride, column_stride = self.strides(index, samples << program.tile_count_bits)
        fields = {
            "psi": psi.pointer,
            "bra": 0 if bra is None else bra.pointer,
            "record": View(static["record"], 48 * one.first_record).pointer,
            "edge_thread": View(static["edge_thread"], 8 * threads * one.edge).pointer,
            "edge_column": View(static["edge_column"], 32 * one.edge).pointer,
            "edge_tile": View(static["edge_tile"], 4 * program.tile_count_bits * one.edge).pointer,
            "table": values.table.pointer,
            "shear": View(values.shear, 4 * one.first_record * amplitude_bytes(self.precision)).pointer,
            "sample_shear": 0 if values.sample_shear is None else values.sample_shear.pointer,
            "angle": 0 if values.angle is None else values.angle.pointer,
            "sample_angle": 0 if values.sample_angle is None else values.sample_angle.pointer,
            "sums": 0 if sums is None else sums.pointer,
            "row_stride": row_stride,
            "column_stride": column_stride,
            "records": one.records,
            "address_bits": program.address_bits,
            "tile_count_bits": program.tile_count_bits,
            "pack_bits": program.pack_bits,
            "sample_shears": len(self.sample_shears.slot),
            "sample_angles": len(self.sample_angles.slot),
            "sum_lanes": min(threads, 32, 1 << (program.address_bits - 4)) - 1,
            "start_zero": int(from_zero),
        }
        for field in ("exchange_thread", "exchange_column", "exchange_tile", "pattern", "term"):
            fields[field] = static[field].pointer
        kernel = Kernel("tile_pass", name, self.precision, program.tile_bits)
        shared = tile_shared_bytes(program.tile_bits, self.precision, bra is not None)
        work = max(1, one.records << program.tile_bits)
        at_once = max(1, _WORK_A_MULTIPROCESSOR * self.device.limits.multiprocessors // work)
        for first in range(0, tiles, at_once):
            fields["first_tile"] = first
            arguments = structure(PASS_ARGUMENTS, fields)
            self.device.launch(kernel, min(at_once, tiles - first), threads, shared, (arguments,))

    def describe(self) -> str:
        return self.program.describe()


@dataclass(frozen=True)
class _Affine:
    """coefficient * slot + offset of per-sample slots, as arrays."""

    slot: NDArray[np.int64]
    coefficient: FloatArray
    offset: FloatArray

    @classmethod
    def of(cls, angles: list[tuple[AffineAngle, bool]]) -> _Affine:
        sign = np.array([-1.0 if negated else 1.0 for _, negated in angles])
        return cls(
            np.array([angle.slot for angle, _ in angles], dtype=np.int64),
            sign * np.array([angle.coefficient for angle, _ in angles]),
            sign * np.array([angle.offset for angle, _ in angles]),
        )

    def of_slots(self, slots: SlotValues) -> FloatArray:
        return self.coefficient * slots.per_sample_BS[:, self.slot] + self.offset


def _half_turns(radians: FloatArray) -> FloatArray:
    """angle / 2 pi, reduced in double to [-1/2, 1/2]: a full turn is a global sign."""
    turns = radians / (2 * np.pi)
    return turns - np.rint(turns)


def _shears(beta: FloatArray) -> FloatArray:
    """(..., 2): tan(beta/4), sin(beta/2) of beta reduced to [-pi, pi]: a full turn is a global sign."""
    beta = beta - 2 * np.pi * np.rint(beta / (2 * np.pi))
    return np.stack([np.tan(beta / 4), np.sin(beta / 2)], axis=-1)


def _column_map(program: RecordProgram, plan: Plan, preparation: Preparation, angles: Angles) -> ColumnMap:
    raw: list[tuple[int, int, float]] = []
    sample: list[tuple[int, int, float]] = []
    for v in program.v_columns:
        run = plan.runs[v.run]
        sign = -1.0 if v.flip else 1.0
        if run.per_sample:
            angle = run.rotations[0].angle
            assert angle.slot is not None
            sample.append((v.column + 1, angle.slot, sign * angle.coefficient))
            continue
        raw.append((v.column + 1, 3 * v.run + 1, sign))
        if needs_v_z(run):
            raw.append((v.column, 3 * v.run, 1.0))
            raw.append((v.column + 2, 3 * v.run + 2, sign))
    for measured in program.measure_columns:
        if measured.per_sample:
            angle = angles.per_sample[measured.number]
            assert angle.slot is not None
            sample.append((measured.column, angle.slot, angle.coefficient))
        else:
            place = angles.shared[measured.number]
            assert isinstance(place, TermPlace)
            row = int(preparation.shared_terms[place.layer].gradient_rows[place.index])
            raw.append((measured.column, row, 1.0))
    return ColumnMap.of(raw, sample)
