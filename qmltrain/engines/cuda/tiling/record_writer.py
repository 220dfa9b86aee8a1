"""Tiling, last: rounds of a pass to the integers of records and the tables they point to; equal ones are kept once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from qmltrain.engines.cuda.tiling.block_basis import REGISTER_BITS, BlockBasis, Exchange, make_exchange, spread
from qmltrain.engines.cuda.tiling.items import Phase, TilePass
from qmltrain.engines.cuda.tiling.placement import Placement
from qmltrain.engines.cuda.tiling.records import (
    APPLY,
    EXCHANGE,
    FIELDS,
    FLAGS,
    HAS_APPLY,
    HAS_EXCHANGE,
    HAS_JOINT,
    HAS_MEASURE,
    HAS_TABLE,
    HAS_V,
    MEASURE,
    MEASURE_COLUMN,
    MOVES_TILE,
    PATTERN,
    PER_SAMPLE,
    ROTATION_COLUMN,
    SAMPLE_ROTATION,
    SAMPLE_ROTATIONS,
    SAMPLE_SHEAR,
    SECOND_BUFFER,
    SHARED_ROTATION,
    TABLE,
    V_COLUMNS,
    IntArray,
    MeasureColumn,
    PassRecords,
    RecordProgram,
    ShearEntry,
    VColumns,
)
from qmltrain.engines.cuda.tiling.rounds import OpenRecord, open_records
from qmltrain.engines.cuda.tiling.sign_patterns import ALIGN, sign_pattern
from qmltrain.fusion.plan import AffineAngle, GateRun

TWO_STATES_BYTES = 16  # of one access to two states: both in single precision, one after the other in double


def make_records(
    passes: Sequence[TilePass], gate_runs: Sequence[GateRun], n_qubits: int, tile_bits: int, amplitude_bytes: int
) -> RecordProgram:
    """Records of `passes` over tiles of 2^tile_bits amplitudes (4 < tile_bits)."""
    writer = _Writer(gate_runs, max(n_qubits, REGISTER_BITS), tile_bits, amplitude_bytes)
    for k, one in enumerate(passes):
        writer.write(one, passes[k + 1].lanes if k + 1 < len(passes) else one.lanes)
    return writer.finish()


class _Pool:
    """Integers one after another; equal lists are kept once. Every list starts at a multiple of `align`."""

    def __init__(self, align: int = 1) -> None:
        self.values: list[int] = []
        self.starts: dict[object, int] = {}
        self.align = align

    def add(self, key: object, values: Iterable[int]) -> int:
        start = self.starts.get(key)
        if start is None:
            self.values += [0] * (-len(self.values) % self.align)
            start = self.starts[key] = len(self.values)
            self.values += values
        return start

    def array(self) -> IntArray:
        return np.array(self.values or [0], dtype=np.int64).astype(np.int32)


class _Writer:
    def __init__(self, gate_runs: Sequence[GateRun], address_bits: int, tile_bits: int, amplitude_bytes: int) -> None:
        self.gate_runs = gate_runs
        self.address_bits = address_bits
        self.tile_bits = tile_bits
        self.amplitude_bytes = amplitude_bytes
        self.records: list[list[int]] = []
        self.exchanges: dict[tuple[BlockBasis, BlockBasis], int] = {}
        self.exchange_tables: list[tuple[Exchange, Exchange]] = []
        self.edges: dict[tuple[BlockBasis, BlockBasis, Placement, Placement], int] = {}
        self.placement = Placement.identity(address_bits)
        self.patterns = _Pool(ALIGN)
        self.terms = _Pool(align=2)
        self.table_range: list[tuple[int, int, int, int]] = []
        self.table_entry: list[tuple[int, int]] = []
        self.passes: list[PassRecords] = []
        self.shears: list[ShearEntry] = []
        self.sample_shears: dict[tuple[AffineAngle, bool], int] = {}
        self.v_columns: list[VColumns] = []
        self.measure_columns: list[MeasureColumn] = []
        self.columns = 0
        self.v_records = 0

    def write(self, one: TilePass, next_lanes: tuple[int, ...]) -> None:
        """Append a pass; `next_lanes` is what is to have the lowest places afterwards."""
        records, tile = open_records(one, next_lanes, self.address_bits, self.tile_bits)
        first, last, loaded = records[0].basis, records[-1].basis, self.placement
        self.placement = loaded.stored(tile, last.threads[: len(next_lanes)], last.tiles)
        edge = self.edges.setdefault((first, last, loaded, self.placement), len(self.edges))
        first_record, first_column = len(self.records), self.columns
        for record in records:
            self._write_record(record, first_column)
        count = len(self.records) - first_record
        general = any(row[FLAGS] & (HAS_APPLY | HAS_MEASURE | SAMPLE_ROTATIONS) for row in self.records[first_record:])
        self.passes.append(
            PassRecords(first_record, count, edge, first_column, self.columns - first_column, lean=not general)
        )

    def _exchange(self, before: BlockBasis, after: BlockBasis) -> int:
        number = self.exchanges.get((before, after))
        if number is None:
            number = self.exchanges[before, after] = len(self.exchange_tables)
            self.exchange_tables.append(
                (make_exchange(before, after, self.amplitude_bytes), make_exchange(before, after, TWO_STATES_BYTES))
            )
        return number

    def _new_columns(self, count: int) -> int:
        column = self.columns
        self.columns += count
        return column

    def _write_record(self, record: OpenRecord, pass_column: int) -> None:
        """`pass_column`: the first column of its pass, which the record counts from."""
        basis, row = record.basis, [0] * FIELDS
        row[PATTERN] = -1
        if record.before is not None:
            exchange = row[EXCHANGE] = self._exchange(record.before, basis)
            row[FLAGS] |= HAS_EXCHANGE | (MOVES_TILE if self.exchange_tables[exchange][0].moves_tile else 0)
        if record.table or record.signs:
            row[FLAGS] |= HAS_TABLE
            row[TABLE] = len(self.table_range)
            joint_signs = 0
            if record.signs:
                pattern = sign_pattern(record.signs, basis)
                row[PATTERN] = self.patterns.add(pattern.numbers, pattern.numbers)
                joint_signs = pattern.joint
            if joint_signs or any((coordinates & 15).bit_count() > 1 for coordinates, _ in record.table):
                row[FLAGS] |= HAS_JOINT
            self.table_range.append((len(self.table_entry), len(record.table), joint_signs, 0))
            self.table_entry += record.table
        if record.apply:
            row[FLAGS] |= HAS_APPLY
            terms, _ = _term_list(record.apply, basis)
            row[APPLY] = self.terms.add(tuple(terms), terms)
        if record.measure:
            row[FLAGS] |= HAS_MEASURE
            terms, ordered = _term_list(record.measure, basis)
            row[MEASURE] = self.terms.add(tuple(terms), terms)
            column = self._new_columns(len(ordered))
            row[MEASURE_COLUMN] = column - pass_column
            for k, phase in enumerate(ordered):
                self.measure_columns.append(MeasureColumn(column + k, phase.number, phase.per_sample))
        if record.rotations:
            self._write_rotations(record, row, pass_column)
        self.records.append(row)

    def _write_rotations(self, record: OpenRecord, row: list[int], pass_column: int) -> None:
        wanted = any(self.gate_runs[r.gate_run].is_trainable for r in record.rotations.values())
        column = 0
        if wanted:
            column = self._new_columns(V_COLUMNS)
            row[FLAGS] |= HAS_V | (SECOND_BUFFER if self.v_records & 1 else 0)
            row[ROTATION_COLUMN] = column - pass_column
            self.v_records += 1
        for register, rotation in sorted(record.rotations.items()):
            gate_run = self.gate_runs[rotation.gate_run]
            kind = SAMPLE_ROTATION if gate_run.per_sample else SHARED_ROTATION
            row[FLAGS] |= kind << (4 + 2 * register)
            if gate_run.per_sample:
                key = (gate_run.rotations[0].angle, rotation.flip)
                row[SAMPLE_SHEAR + register] = self.sample_shears.setdefault(key, len(self.sample_shears))
            else:
                entry = REGISTER_BITS * len(self.records) + register
                self.shears.append(ShearEntry(entry, rotation.gate_run, rotation.flip))
            if gate_run.is_trainable:
                self.v_columns.append(VColumns(len(self.records), column, register, rotation.gate_run, rotation.flip))

    def finish(self) -> RecordProgram:
        threads = 1 << (self.tile_bits - REGISTER_BITS)
        tables = [one for form in (0, 1) for one in (both[form] for both in self.exchange_tables)]
        edges = [((first, loaded), (last, stored)) for first, last, loaded, stored in self.edges]

        def stack(arrays: list, shape: tuple[int, ...]) -> IntArray:
            return np.stack(arrays).astype(np.int32) if arrays else np.zeros((2, *shape), np.int32)

        return RecordProgram(
            address_bits=self.address_bits,
            tile_bits=self.tile_bits,
            records_K=np.array(self.records, dtype=np.int32).reshape(-1, FIELDS),
            exchange_thread=stack([t.thread_S2 for t in tables], (2, threads, 2)),
            exchange_column=stack([t.column_S4 for t in tables], (2, REGISTER_BITS)),
            exchange_tile=stack([_by_fours(t.tile_K4) for t in tables], (0, 16, 4)),
            edge_thread=np.array([[_threads(*side) for side in edge] for edge in edges], dtype=np.int32),
            edge_column=np.array([[_places(*side)[:REGISTER_BITS] for side in edge] for edge in edges], dtype=np.int32),
            edge_tile=np.array([[_by_fours(_tiles(*side)) for side in edge] for edge in edges], dtype=np.int32),
            placement=self.placement,
            pattern=self.patterns.array(),
            term=self.terms.array(),
            table_range=np.array(self.table_range or [(0, 0, 0, 0)], dtype=np.int32),
            table_entry=np.array(self.table_entry or [(0, 0)], dtype=np.int32),
            passes=tuple(self.passes),
            shears=tuple(self.shears),
            sample_shears=tuple(self.sample_shears),
            v_columns=tuple(self.v_columns),
            measure_columns=tuple(self.measure_columns),
            n_columns=self.columns,
        )


def _places(basis: BlockBasis, placement: Placement) -> list[int]:
    return [placement.of(vector) for vector in basis.vectors]


def _threads(basis: BlockBasis, placement: Placement) -> IntArray:
    """(threads, 2) place and address of register 0."""
    places = spread(_places(basis, placement)[REGISTER_BITS : basis.tile_bits])
    return np.stack([places, basis.thread_addresses()], axis=1)


def _tiles(basis: BlockBasis, placement: Placement) -> IntArray:
    """(tile bits, 2) what a tile bit adds to place and address."""
    return np.array([_places(basis, placement)[basis.tile_bits :], basis.tiles], dtype=np.int32).T


def _by_fours(of_bits: IntArray) -> IntArray:
    """(fours, 16, k) from (tile bits, k): what any of four tile bits add together."""
    count, width = of_bits.shape
    fours = -(-count // 4)
    padded = np.zeros((4 * fours, width), dtype=np.int32)
    padded[:count] = of_bits
    found = np.zeros((fours, 16, width), dtype=np.int32)
    for four, column in np.ndindex(fours, width):
        found[four, :, column] = spread(padded[4 * four : 4 * four + 4, column].tolist())
    return found


def _term_list(phases: Sequence[Phase], basis: BlockBasis) -> tuple[list[int], list[Phase]]:
    """16 counts, then {mask, angle} sorted by the register part of the mask; and the phases in that order."""
    parts: list[list[Phase]] = [[] for _ in range(16)]
    for phase in phases:
        parts[basis.coordinates(phase.mask) & 15].append(phase)
    ordered = [phase for part in parts for phase in part]
    flat = [len(part) for part in parts]
    for phase in ordered:
        flat += [phase.mask, phase.number + (PER_SAMPLE if phase.per_sample else 0)]
    return flat, ordered
