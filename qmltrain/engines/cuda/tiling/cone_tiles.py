"""The tiled schedule of a GPU along light cones (with CX: `cx_tiles`): which items are done in which tile, and when.

A diagonal needs no locality, so inside a tile a rotation may run ahead of qubits outside as soon as the diagonal items
between are known: the work of a pass is a triangle of many layers, the light cone of the tile. For a ring of 20 qubits
and tiles of 12 bits that takes 0.35 passes per layer, where layer by layer takes 1. Tiles are chosen greedily by the
rotations they finish, with a look at the next tile; equal situations are decided once, so that the period of a layered
circuit is found by itself and 20 qubits x 1,000 layers take seconds.

Plans with CX rotate over masks of many address bits that change from moment to moment: see `CxTiles`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from qmltrain.engines.cuda.tiling.block_basis import REGISTER_BITS
from qmltrain.engines.cuda.tiling.cx_tiles import CxTiles
from qmltrain.engines.cuda.tiling.items import Item, MomentItems, Round, TilePass, resident_passes
from qmltrain.fusion.plan import Rotation

_LEAST = 3  # rotations that are worth another diagonal in a pass: fewer are left to the next pass


def schedule_tiles(
    moments: Sequence[MomentItems],
    n_bits: int,
    tile_bits: int,
    low_bits: int,
    rotations_per_pass: int = 1 << 14,
    per_sample_runs: Collection[int] = (),
) -> tuple[TilePass, ...]:
    """Every rotation and item of `moments` in exactly one pass, what does not commute in its order.

    `low_bits` directions stand at the lowest places in every tile (contiguous access); 0 <= low_bits < tile_bits. A
    state of one tile is cut into passes of about `rotations_per_pass` rotations (short launches, cuts for kept states),
    and behind the last of the gate runs that are per sample.
    """
    if n_bits <= tile_bits:
        return resident_passes(moments, n_bits, rotations_per_pass, per_sample_runs)
    if not 0 <= low_bits < tile_bits:
        raise ValueError(f"tile of {tile_bits} bits with {low_bits} low bits: needs 0 <= low bits < tile bits")
    rotations = [rotation for moment in moments for rotation in moment.rotations]
    if all(r.pair_mask == r.parity_mask and r.pair_mask.bit_count() == 1 for r in rotations):
        return ConeTiles(moments, n_bits, tile_bits, low_bits).passes()
    return CxTiles(moments, n_bits, tile_bits, min(low_bits, max(0, tile_bits - REGISTER_BITS))).passes()


class ConeTiles:
    """Rotations on single address bits: bit b has its own list of rotations and a counter of those done.

    An item between rotations c_b - 1 and c_b of each of its bits b may be applied when all those counters have come so
    far; rotation c of bit b waits for the items just before it, hence for other bits' counters: `needs[b][c]`.
    """

    def __init__(self, moments: Sequence[MomentItems], n_bits: int, tile_bits: int, low_bits: int) -> None:
        self.n_bits = n_bits
        self.rotations: list[list[Rotation]] = [[] for _ in range(n_bits)]
        self.before: list[list[list[int]]] = [[[]] for _ in range(n_bits)]  # items just before rotation c of bit b
        self.items: list[Item] = []
        supports: list[list[tuple[int, int]]] = []
        for moment in moments:
            for rotation in moment.rotations:
                bit = rotation.pair_mask.bit_length() - 1
                self.rotations[bit].append(rotation)
                self.before[bit].append([])
            for item in moment.items:
                counts = [(b, len(self.rotations[b])) for b in _bits(item.support)]
                for b, _ in counts:
                    self.before[b][-1].append(len(self.items))
                self.items.append(item)
                supports.append(counts)
        self.needs = [self._needs(b, supports) for b in range(n_bits)]
        self.signatures = self._signatures()
        self.final = [all(c == len(self.rotations[b]) for b, c in counts) for counts in supports]
        self.supports = supports
        self.done = [0] * n_bits
        self.applied = [False] * len(self.items)
        low = list(range(low_bits))
        self.tiles: list[tuple[int, ...]] = []
        for first in range(n_bits):
            bits = list(low)
            for k in range(n_bits):
                b = (first + k) % n_bits
                if len(bits) < tile_bits and b not in bits:
                    bits.append(b)
            if tuple(sorted(bits)) not in self.tiles:
                self.tiles.append(tuple(sorted(bits)))
        self.low, self.tile_bits = low, tile_bits
        self.lanes = tuple(1 << b for b in low[: max(0, tile_bits - REGISTER_BITS)])
        self.choices: dict[object, tuple[int, ...]] = {}

    def _needs(self, bit: int, supports: list[list[tuple[int, int]]]) -> list[tuple[tuple[int, int], ...]]:
        needs = []
        for c in range(len(self.rotations[bit])):
            counts: dict[int, int] = {}
            for number in self.before[bit][c]:
                for b, count in supports[number]:
                    if b != bit:
                        counts[b] = max(counts.get(b, 0), count)
            needs.append(tuple(sorted(counts.items())))
        return needs

    def _signatures(self) -> list[int]:
        """One number a counter value c: equal where the structure around rotation c of all bits is equal."""
        known: dict[object, int] = {}
        depth = max((len(r) for r in self.rotations), default=0)
        return [
            known.setdefault(
                tuple(
                    tuple((b, count - c) for b, count in needs[c]) if c < len(needs) else None for needs in self.needs
                ),
                len(known),
            )
            for c in range(depth)
        ]

    def passes(self) -> tuple[TilePass, ...]:
        passes = []
        total = sum(len(r) for r in self.rotations)
        while sum(self.done) < total:
            passes.append(self._run(self._choose()))
        left = tuple(item for number, item in enumerate(self.items) if not self.applied[number])
        if left and passes:
            last = passes.pop()
            passes.append(TilePass(last.basis, (*last.rounds, Round(left, ())), last.lanes))
        elif left or not passes:
            passes.append(TilePass(_basis(self.tiles[0]), (Round(left, ()),), self.lanes))
        return tuple(passes)

    def _choose(self) -> tuple[int, ...]:
        base = min(d for d, r in zip(self.done, self.rotations, strict=True) if d < len(r))
        relative = tuple(d - base for d in self.done)
        window = max(relative) + 2 * self.tile_bits
        key = (relative, tuple(self.signatures[base : base + window]))
        known = self.choices.get(key)
        if known is not None and self._reach(self.done, known) != self.done:
            return known
        oldest = sorted(range(self.n_bits), key=lambda b: (self.done[b] - len(self.rotations[b]), b))
        extra = list(self.low)
        for b in oldest:
            if len(extra) < self.tile_bits and b not in extra:
                extra.append(b)
        best, best_score = self.tiles[0], (-1, -1)
        for tile in (*self.tiles, tuple(sorted(extra))):
            reached = self._reach(self.done, tile)
            gained = sum(reached) - sum(self.done)
            if not gained:
                continue
            ahead = max(sum(self._reach(reached, then)) for then in self.tiles) - sum(reached)
            if (gained + ahead, gained) > best_score:
                best, best_score = tile, (gained + ahead, gained)
        self.choices[key] = best
        return best

    def _ready(self, done: list[int], tile: tuple[int, ...]) -> list[int]:
        """Bits of `tile` whose next rotation waits for nothing."""
        ready = []
        for b in tile:
            needs, c = self.needs[b], done[b]
            if c < len(needs):
                for other, count in needs[c]:
                    if done[other] < count:
                        break
                else:
                    ready.append(b)
        return ready

    def _reach(self, done: list[int], tile: tuple[int, ...]) -> list[int]:
        """The counters after the rounds of `tile`."""
        done = list(done)
        ready = self._ready(done, tile)
        while ready:
            for b in ready:
                done[b] += 1
            ready = self._ready(done, tile)
            if len(ready) < _LEAST:
                break
        return done

    def _run(self, tile: tuple[int, ...]) -> TilePass:
        rounds: list[Round] = []
        while True:
            ready = self._ready(self.done, tile)
            if not ready or (rounds and len(ready) < _LEAST):
                break
            items = []
            for b in ready:
                for number in self.before[b][self.done[b]]:
                    if not self.applied[number]:
                        self.applied[number] = True
                        items.append(self.items[number])
            rounds.append(Round(tuple(items), tuple(self.rotations[b][self.done[b]] for b in ready)))
            for b in ready:
                self.done[b] += 1
        closing = self._closing(tile)
        if closing:
            rounds.append(Round(closing, ()))
        return TilePass(_basis(tile), tuple(rounds), self.lanes)

    def _closing(self, tile: tuple[int, ...]) -> tuple[Item, ...]:
        """Items of this tile that no rotation waits for, while their bits are at hand."""
        numbers = []
        for b in tile:
            if self.done[b] < len(self.rotations[b]):
                continue
            for number in self.before[b][self.done[b]]:
                counts = self.supports[number]
                if (
                    not self.applied[number]
                    and self.final[number]
                    and all(other in tile and self.done[other] >= count for other, count in counts)
                ):
                    self.applied[number] = True
                    numbers.append(number)
        return tuple(self.items[number] for number in numbers)


def _bits(mask: int) -> list[int]:
    return [b for b in range(mask.bit_length()) if mask >> b & 1]


def _basis(tile: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(1 << b for b in tile)
