"""From tile passes to records: layouts, and which diagonal goes where.

Phases whose coordinates are all threads or all registers go through a table (shared by the batch), CZs through sign
bits, the rest (per sample, mixed, or on tile bits) through general terms. Equal exchanges are made once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from qmltrain.fusion.cost import is_trainable
from qmltrain.fusion.layouts import REGISTER_BITS, Exchange, Layout, Reducer, make_exchange, make_layout, spread
from qmltrain.fusion.placement import Placement
from qmltrain.fusion.plan import AffineAngle, Rotation, Run
from qmltrain.fusion.records import (
    APPLY,
    EXCHANGE,
    FIELDS,
    FLAGS,
    HAS_APPLY,
    HAS_EXCHANGE,
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
    SAMPLE_SHEAR,
    SECOND_BUFFER,
    SHARED_ROTATION,
    TABLE,
    IntArray,
    MeasureColumn,
    PassRecords,
    RecordProgram,
    ShearPlace,
    VColumns,
)
from qmltrain.fusion.sign_patterns import sign_pattern
from qmltrain.fusion.tile_items import Item, Phase, Round, Sign, TilePass

MEASURED_AT_ONCE = 256  # terms of one record: their partial sums share the exchange buffer


def make_records(
    passes: Sequence[TilePass], runs: Sequence[Run], n_qubits: int, tile_bits: int, amplitude_bytes: int
) -> RecordProgram:
    """Records of `passes` over tiles of 2^tile_bits amplitudes (4 < tile_bits)."""
    writer = _Writer(runs, max(n_qubits, REGISTER_BITS), tile_bits, amplitude_bytes)
    for k, one in enumerate(passes):
        writer.write(one, passes[k + 1].lanes if k + 1 < len(passes) else one.lanes)
    return writer.finish()


@dataclass
class _Record:
    """A record while it is written."""

    layout: Layout
    exchange: int | None = None
    moves_tile: bool = False
    table: list[tuple[int, int]] = field(default_factory=list)  # coordinate mask, angle
    signs: list[Sign] = field(default_factory=list)
    apply: list[Phase] = field(default_factory=list)
    measure: list[Phase] = field(default_factory=list)
    rotations: dict[int, Rotation] = field(default_factory=dict)  # register -> rotation


class _Pool:
    """Integers one after another; equal lists are kept once. Every list starts at a multiple of `align`."""

    def __init__(self, align: int = 1) -> None:
        self.values: list[int] = []
        self.places: dict[object, int] = {}
        self.align = align

    def add(self, key: object, values: Iterable[int]) -> int:
        place = self.places.get(key)
        if place is None:
            self.values += [0] * (-len(self.values) % self.align)
            place = self.places[key] = len(self.values)
            self.values += values
        return place

    def array(self) -> IntArray:
        return np.array(self.values or [0], dtype=np.int64).astype(np.int32)


class _Writer:
    def __init__(self, runs: Sequence[Run], address_bits: int, tile_bits: int, amplitude_bytes: int) -> None:
        self.runs = runs
        self.address_bits = address_bits
        self.tile_bits = tile_bits
        self.amplitude_bytes = amplitude_bytes
        self.records: list[list[int]] = []
        self.exchanges: dict[tuple[Layout, Layout], int] = {}
        self.exchange_tables: list[Exchange] = []
        self.edges: dict[tuple[Layout, Layout, Placement, Placement], int] = {}
        self.placement = Placement.identity(address_bits)
        self.patterns = _Pool()
        self.terms = _Pool(align=2)
        self.table_range: list[tuple[int, int]] = []
        self.table_entry: list[tuple[int, int]] = []
        self.passes: list[PassRecords] = []
        self.shears: list[ShearPlace] = []
        self.sample_shears: dict[tuple[AffineAngle, bool], int] = {}
        self.v_columns: list[VColumns] = []
        self.measure_columns: list[MeasureColumn] = []
        self.columns = 0
        self.v_records = 0

    # ---- one pass: rounds to records

    def write(self, one: TilePass, next_lanes: tuple[int, ...]) -> None:
        """`next_lanes`: what is to stand at the lowest places afterwards."""
        basis = list(one.basis)
        span = Reducer(basis)
        for b in range(self.address_bits, self.tile_bits):  # sample bits of a packed block
            basis.append(1 << b)
            span.add(1 << b)
        for b in range(self.address_bits):  # a tile of fewer bits than a block holds
            if span.size < self.tile_bits and span.add(1 << b):
                basis.append(1 << b)
        self.basis, self.span = basis, Reducer(basis)
        self.outside = [1 << b for b in range(self.address_bits) if span.add(1 << b)]
        self.lanes = one.lanes
        rounds = list(one.rounds)
        first = self._first_layout(rounds)
        self.open: list[_Record] = [_Record(first)]
        for k, this in enumerate(rounds):
            if k == len(rounds) - 1:
                self.lanes = next_lanes  # its layout may store as it is
            following = rounds[k + 1].rotations if k + 1 < len(rounds) else ()
            self._round(this, tuple(r.pair_mask for r in following))
        self.lanes = next_lanes
        if not self._is_edge(self.open[-1].layout):
            self._exchange(self._layout((), {}, ()))
        self._close(first)

    def _layout(self, window: Sequence[int], frame: dict[int, int], fillers: Iterable[int]) -> Layout:
        """Registers stay off the sample bits, and off the lanes unless the window needs them."""
        address = [b for b in self.basis if b < 1 << self.address_bits]
        others = sorted((b for b in address if b not in self.lanes), reverse=True)
        preferred = [*(f for f in fillers if f not in self.lanes), *(f for f in frame if f not in self.lanes), *others]
        return make_layout(window, frame, [*preferred, *self.lanes], self.basis, self.outside, self.lanes)

    def _is_edge(self, layout: Layout) -> bool:
        """Whether a layout may load and store: neighbouring threads touch neighbouring places."""
        return set(layout.threads[: len(self.lanes)]) == set(self.lanes)

    def _first_layout(self, rounds: Sequence[Round]) -> Layout:
        for one in rounds:
            if one.rotations:
                rotations = sorted(one.rotations, key=lambda r: (r.pair_mask in self.lanes, -r.pair_mask))
                layout = self._window_layout(rotations[:REGISTER_BITS], one.rotations, ())
                if self._is_edge(layout):
                    return layout
                break
        return self._layout((), {}, ())

    def _window_layout(self, window: Sequence[Rotation], all_: Sequence[Rotation], upcoming: Iterable[int]) -> Layout:
        frame = {r.pair_mask: r.parity_mask for r in all_}
        fillers = [m for m in upcoming if m in frame or not any((m & r).bit_count() & 1 for r in frame.values())]
        return self._layout([r.pair_mask for r in window], frame, [m for m in fillers if m in self.span])

    @property
    def layout(self) -> Layout:
        return self.open[-1].layout

    def _exchange(self, layout: Layout) -> None:
        if layout == self.layout:
            return
        before = self.layout
        number = self.exchanges.get((before, layout))
        if number is None:
            number = self.exchanges[before, layout] = len(self.exchange_tables)
            self.exchange_tables.append(make_exchange(before, layout, self.amplitude_bytes))
        self.open.append(_Record(layout, number, self.exchange_tables[number].moves_tile))

    def _round(self, one: Round, upcoming: tuple[int, ...]) -> None:
        here = {self.layout.register_of(r.pair_mask, r.parity_mask): r for r in one.rotations}
        here.pop(None, None)
        done = {r.run for r in here.values()}
        left = sorted((r for r in one.rotations if r.run not in done), key=lambda r: r.pair_mask)
        windows = self._windows(left, upcoming)
        target = None
        if windows and not here:
            target = self._window_layout(windows[0], one.rotations, (*(r.pair_mask for r in left), *upcoming))
        now, later = self._split_items(one.items, self.layout, target)
        self._items(now)
        if here:
            if self.open[-1].rotations:
                self.open.append(_Record(self.layout))
            self.open[-1].rotations = {int(k): r for k, r in here.items() if k is not None}
        for k, window in enumerate(windows):
            fillers = upcoming if k == len(windows) - 1 else (r.pair_mask for r in windows[k + 1])
            layout = target if k == 0 and target is not None else self._window_layout(window, one.rotations, fillers)
            self._exchange(layout)
            if k == 0:
                self._items(later)
            if self.open[-1].rotations:
                self.open.append(_Record(self.layout))
            for rotation in window:
                register = self.layout.register_of(rotation.pair_mask, rotation.parity_mask)
                assert register is not None
                self.open[-1].rotations[register] = rotation

    def _windows(self, left: list[Rotation], upcoming: tuple[int, ...]) -> list[list[Rotation]]:
        """Fours of rotations; the incomplete one last, so that what follows finds its fillers in registers."""
        return [left[k : k + REGISTER_BITS] for k in range(0, len(left), REGISTER_BITS)]

    def _split_items(self, items: Iterable[Item], here: Layout, target: Layout | None) -> tuple[list[Item], list[Item]]:
        """What to apply in this layout and what in the next: each where a table can do it, else where it comes last."""
        if target is None:
            return list(items), []
        now: list[Item] = []
        later: list[Item] = []
        for item in items:
            by_table_here = isinstance(item, Sign) or self._by_table(item, here)
            (now if by_table_here else later).append(item)
        if all(isinstance(item, Sign) for item in now):  # no table record for signs alone
            return [], now + later
        if later and all(isinstance(item, Sign) or self._by_table(item, target) for item in now):
            return [], now + later  # one table is enough
        return now, later

    def _by_table(self, phase: Phase, layout: Layout) -> bool:
        if phase.per_sample:
            return False
        coordinates = layout.coordinates(phase.mask)
        registers, rest = coordinates & 15, coordinates >> REGISTER_BITS
        return not coordinates >> self.tile_bits and not (registers and rest)

    def _items(self, items: Sequence[Item]) -> None:
        if not items:
            return
        if self.open[-1].rotations:
            self.open.append(_Record(self.layout))
        record = self.open[-1]
        for item in items:
            if isinstance(item, Sign):
                record.signs.append(item)
                continue
            if self._by_table(item, self.layout):
                record.table.append((self.layout.coordinates(item.mask), item.number))
            else:
                record.apply.append(item)
            if item.measured:
                if len(record.measure) == MEASURED_AT_ONCE:
                    self.open.append(_Record(self.layout))
                    record = self.open[-1]
                record.measure.append(item)

    # ---- records to integers

    def _close(self, first: Layout) -> None:
        first_record, first_column = len(self.records), self.columns
        last, loaded = self.layout, self.placement
        basis = [v for v in self.basis if v < 1 << self.address_bits]
        self.placement = loaded.stored(basis, last.threads[: len(self.lanes)], last.tiles)
        edge = self.edges.setdefault((first, last, loaded, self.placement), len(self.edges))
        for record in self.open:
            self._write_record(record)
        count = len(self.records) - first_record
        self.passes.append(PassRecords(first_record, count, edge, first_column, self.columns - first_column))

    def _column(self, count: int) -> int:
        """`count` new columns; a record numbers them from the start of its pass."""
        column = self.columns
        self.columns += count
        return column

    def _write_record(self, record: _Record) -> None:
        layout, row = record.layout, [0] * FIELDS
        start = self._pass_start()
        row[PATTERN] = -1
        if record.exchange is not None:
            row[FLAGS] |= HAS_EXCHANGE | (MOVES_TILE if record.moves_tile else 0)
            row[EXCHANGE] = record.exchange
        if record.table or record.signs:
            row[FLAGS] |= HAS_TABLE
            row[TABLE] = len(self.table_range)
            self.table_range.append((len(self.table_entry), len(record.table)))
            self.table_entry += record.table
            if record.signs:
                pattern = sign_pattern(record.signs, layout)
                row[PATTERN] = self.patterns.add((layout, tuple(pattern)), pattern)
        if record.apply:
            row[FLAGS] |= HAS_APPLY
            terms, _ = _term_list(record.apply, layout)
            row[APPLY] = self.terms.add(tuple(terms), terms)
        if record.measure:
            row[FLAGS] |= HAS_MEASURE
            terms, ordered = _term_list(record.measure, layout)
            row[MEASURE] = self.terms.add(tuple(terms), terms)
            column = self._column(len(ordered))
            row[MEASURE_COLUMN] = column - start
            for k, phase in enumerate(ordered):
                self.measure_columns.append(MeasureColumn(column + k, phase.number, phase.per_sample))
        if record.rotations:
            self._write_rotations(record, row, start)
        self.records.append(row)

    def _pass_start(self) -> int:
        if not self.passes:
            return 0
        last = self.passes[-1]
        return last.first_column + last.columns

    def _write_rotations(self, record: _Record, row: list[int], start: int) -> None:
        wanted = any(is_trainable(self.runs[r.run]) for r in record.rotations.values())
        column = 0
        if wanted:
            column = self._column(12)
            row[FLAGS] |= HAS_V | (SECOND_BUFFER if self.v_records & 1 else 0)
            row[ROTATION_COLUMN] = column - start
            self.v_records += 1
        for register, rotation in sorted(record.rotations.items()):
            run = self.runs[rotation.run]
            kind = SAMPLE_ROTATION if run.per_sample else SHARED_ROTATION
            row[FLAGS] |= kind << (4 + 2 * register)
            if run.per_sample:
                key = (run.rotations[0].angle, rotation.flip)
                row[SAMPLE_SHEAR + register] = self.sample_shears.setdefault(key, len(self.sample_shears))
            else:
                place = REGISTER_BITS * len(self.records) + register
                self.shears.append(ShearPlace(place, rotation.run, rotation.flip))
            if is_trainable(run):
                self.v_columns.append(VColumns(column + 3 * register, rotation.run, rotation.flip))

    def finish(self) -> RecordProgram:
        threads = 1 << (self.tile_bits - REGISTER_BITS)
        tables = self.exchange_tables
        edges = [((first, loaded), (last, stored)) for first, last, loaded, stored in self.edges]

        def stack(arrays: list, shape: tuple[int, ...]) -> IntArray:
            return np.stack(arrays).astype(np.int32) if arrays else np.zeros((1, *shape), np.int32)

        return RecordProgram(
            address_bits=self.address_bits,
            tile_bits=self.tile_bits,
            records_K=np.array(self.records, dtype=np.int32).reshape(-1, FIELDS),
            exchange_thread=stack([t.thread_S2 for t in tables], (2, threads, 2)),
            exchange_column=stack([t.column_S4 for t in tables], (2, REGISTER_BITS)),
            exchange_tile=stack([t.tile_K4 for t in tables], (0, 4)),
            edge_thread=np.array([[_threads(*side) for side in edge] for edge in edges], dtype=np.int32),
            edge_column=np.array([[_places(*side)[:REGISTER_BITS] for side in edge] for edge in edges], dtype=np.int32),
            edge_tile=np.array([[_tiles(*side) for side in edge] for edge in edges], dtype=np.int32),
            placement=self.placement,
            pattern=self.patterns.array(),
            term=self.terms.array(),
            table_range=np.array(self.table_range or [(0, 0)], dtype=np.int32),
            table_entry=np.array(self.table_entry or [(0, 0)], dtype=np.int32),
            passes=tuple(self.passes),
            shears=tuple(self.shears),
            sample_shears=tuple(self.sample_shears),
            v_columns=tuple(self.v_columns),
            measure_columns=tuple(self.measure_columns),
            n_columns=self.columns,
        )


def _places(layout: Layout, placement: Placement) -> list[int]:
    return [placement.of(vector) for vector in layout.vectors]


def _threads(layout: Layout, placement: Placement) -> IntArray:
    """(threads, 2) place and address of register 0."""
    places = spread(_places(layout, placement)[REGISTER_BITS : layout.tile_bits])
    return np.stack([places, layout.thread_addresses()], axis=1)


def _tiles(layout: Layout, placement: Placement) -> list[tuple[int, int]]:
    return list(zip(_places(layout, placement)[layout.tile_bits :], layout.tiles, strict=True))


def _term_list(phases: Sequence[Phase], layout: Layout) -> tuple[list[int], list[Phase]]:
    """16 counts, then {mask, angle} sorted by the register part of the mask; and the phases in that order."""
    parts: list[list[Phase]] = [[] for _ in range(16)]
    for phase in phases:
        parts[layout.coordinates(phase.mask) & 15].append(phase)
    ordered = [phase for part in parts for phase in part]
    flat = [len(part) for part in parts]
    for phase in ordered:
        flat += [phase.mask, phase.number + (PER_SAMPLE if phase.per_sample else 0)]
    return flat, ordered
