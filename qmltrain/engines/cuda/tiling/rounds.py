"""Tiling, third: rounds of a pass. Which block basis is taken when, and which diagonal is done in which.

Rotations want their pair masks in registers, four at a time; a round that finds some of its rotations there begins
with those. Phases whose coordinates are all threads or all registers go through a table (shared by the batch), CZs
through sign bits, the rest (per sample, mixed, or on tile bits) through general terms.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from qmltrain.engines.cuda.tiling.block_basis import REGISTER_BITS, BlockBasis, make_basis
from qmltrain.engines.cuda.tiling.items import Item, Phase, Round, Sign, TilePass
from qmltrain.fusion.plan import Rotation
from qmltrain.gf2 import Span, parity

MEASURED_AT_ONCE = 256  # terms of one record: their partial sums share the exchange buffer


@dataclass
class OpenRecord:
    """A record in words, its parts in the order of execution (see `qmltrain.engines.cuda.tiling.records`)."""

    basis: BlockBasis
    before: BlockBasis | None = None  # the basis that an exchange comes from; None without one
    table: list[tuple[int, int]] = field(default_factory=list)  # coordinate mask, angle
    signs: list[Sign] = field(default_factory=list)
    apply: list[Phase] = field(default_factory=list)
    measure: list[Phase] = field(default_factory=list)
    rotations: dict[int, Rotation] = field(default_factory=dict)  # register -> rotation


def open_records(
    one: TilePass, next_lanes: tuple[int, ...], address_bits: int, tile_bits: int
) -> tuple[list[OpenRecord], list[int]]:
    """The records of a pass, and a basis of its tile without the bits of packed samples. `next_lanes`: what is to
    have the lowest places afterwards."""
    opened = _OpenPass(one, address_bits, tile_bits)
    opened.fill(one.rounds, next_lanes)
    return opened.records, opened.address


class _OpenPass:
    """Grows the records of one pass; the last one's basis is that of the block then."""

    def __init__(self, one: TilePass, address_bits: int, tile_bits: int) -> None:
        self.tile_bits = tile_bits
        tile = list(one.basis)
        span = Span(tile)
        for b in range(address_bits, tile_bits):  # sample bits of a packed block
            tile.append(1 << b)
            span.add(1 << b)
        for b in range(address_bits):  # a tile of fewer bits than a block holds
            if len(span) < tile_bits and span.add(1 << b):
                tile.append(1 << b)
        self.tile, self.span = tile, Span(tile)
        self.address = [v for v in tile if v < 1 << address_bits]  # without the sample bits
        self.outside = [1 << b for b in range(address_bits) if span.add(1 << b)]
        self.lanes = one.lanes  # of this pass; of the next one in the last round
        self.records = [OpenRecord(self._first_basis(one.rounds))]

    def fill(self, rounds: Sequence[Round], next_lanes: tuple[int, ...]) -> None:
        for k, one in enumerate(rounds):
            if k == len(rounds) - 1:
                self.lanes = next_lanes  # its basis may store as it is
            following = rounds[k + 1].rotations if k + 1 < len(rounds) else ()
            self._round(one, tuple(r.pair_mask for r in following))
        self.lanes = next_lanes
        if not self._is_edge(self.basis):
            self._exchange(self._basis((), {}, ()))

    @property
    def basis(self) -> BlockBasis:
        return self.records[-1].basis

    # ---- bases

    def _basis(self, window: Sequence[int], frame: dict[int, int], fillers: Iterable[int]) -> BlockBasis:
        """Registers stay off the sample bits, and off the lanes unless the window needs them."""
        others = sorted((b for b in self.address if b not in self.lanes), reverse=True)
        preferred = [*(f for f in fillers if f not in self.lanes), *(f for f in frame if f not in self.lanes), *others]
        return make_basis(window, frame, [*preferred, *self.lanes], self.tile, self.outside, self.lanes)

    def _is_edge(self, basis: BlockBasis) -> bool:
        """Whether a basis may load and store: neighbouring threads touch neighbouring places."""
        return set(basis.threads[: len(self.lanes)]) == set(self.lanes)

    def _first_basis(self, rounds: Sequence[Round]) -> BlockBasis:
        for one in rounds:
            if one.rotations:
                rotations = sorted(one.rotations, key=lambda r: (r.pair_mask in self.lanes, -r.pair_mask))
                basis = self._window_basis(rotations[:REGISTER_BITS], one.rotations, ())
                if self._is_edge(basis):
                    return basis
                break
        return self._basis((), {}, ())

    def _window_basis(
        self, window: Sequence[Rotation], whole: Sequence[Rotation], upcoming: Iterable[int]
    ) -> BlockBasis:
        frame = {r.pair_mask: r.parity_mask for r in whole}
        fillers = [m for m in upcoming if m in frame or not any(parity(m & r) for r in frame.values())]
        return self._basis([r.pair_mask for r in window], frame, [m for m in fillers if m in self.span])

    def _exchange(self, basis: BlockBasis) -> None:
        if basis != self.basis:
            self.records.append(OpenRecord(basis, before=self.basis))

    # ---- rounds

    def _round(self, one: Round, upcoming: tuple[int, ...]) -> None:
        here = {self.basis.register_of(r.pair_mask, r.parity_mask): r for r in one.rotations}
        here.pop(None, None)
        done = {r.gate_run for r in here.values()}
        left = sorted((r for r in one.rotations if r.gate_run not in done), key=lambda r: r.pair_mask)
        # fours of rotations; the incomplete one last, so that what follows finds its fillers in registers
        windows = [left[k : k + REGISTER_BITS] for k in range(0, len(left), REGISTER_BITS)]
        target = None
        if windows and not here:
            target = self._window_basis(windows[0], one.rotations, (*(r.pair_mask for r in left), *upcoming))
        now, later = self._split_items(one.items, self.basis, target)
        self._items(now)
        if here:
            self._rotate({int(k): r for k, r in here.items() if k is not None})
        for k, window in enumerate(windows):
            fillers = upcoming if k == len(windows) - 1 else (r.pair_mask for r in windows[k + 1])
            basis = target if k == 0 and target is not None else self._window_basis(window, one.rotations, fillers)
            self._exchange(basis)
            if k == 0:
                self._items(later)
            rotations = {}
            for rotation in window:
                register = self.basis.register_of(rotation.pair_mask, rotation.parity_mask)
                assert register is not None
                rotations[register] = rotation
            self._rotate(rotations)

    def _rotate(self, rotations: dict[int, Rotation]) -> None:
        if self.records[-1].rotations:
            self.records.append(OpenRecord(self.basis))
        self.records[-1].rotations = rotations

    # ---- diagonals

    def _split_items(
        self, items: Iterable[Item], here: BlockBasis, target: BlockBasis | None
    ) -> tuple[list[Item], list[Item]]:
        """What to apply in this basis and what in the next: each where a table can do it, else where it comes last."""
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

    def _by_table(self, phase: Phase, basis: BlockBasis) -> bool:
        if phase.per_sample:
            return False
        coordinates = basis.coordinates(phase.mask)
        registers, rest = coordinates & 15, coordinates >> REGISTER_BITS
        return not coordinates >> self.tile_bits and not (registers and rest)

    def _items(self, items: Sequence[Item]) -> None:
        if not items:
            return
        if self.records[-1].rotations:
            self.records.append(OpenRecord(self.basis))
        record = self.records[-1]
        for item in items:
            if isinstance(item, Sign):
                record.signs.append(item)
                continue
            if self._by_table(item, self.basis):
                record.table.append((self.basis.coordinates(item.mask), item.number))
            else:
                record.apply.append(item)
            if item.measured:
                if len(record.measure) == MEASURED_AT_ONCE:
                    self.records.append(OpenRecord(self.basis))
                    record = self.records[-1]
                record.measure.append(item)
