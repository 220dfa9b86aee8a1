"""The tiled schedule of a GPU: which tile is in fast memory when, and which items are done there.

A diagonal needs no locality, so inside a tile a rotation may run ahead of qubits outside as soon as the diagonal items
between are known: the work of a pass is a triangle of many layers, the light cone of the tile. For a ring of 20 qubits
and tiles of 12 bits that takes 0.43 passes a layer, where layer by layer takes 1. Tiles are chosen greedily by the
rotations they finish, with one step of look-ahead; equal situations are decided once, so that the period of a layered
circuit is found by itself and 20 qubits x 1,000 layers take seconds.

Plans with CX rotate over masks of many address bits that change from step to step; they are scheduled step by step over
the span of the masks that come next (`_zigzag`).
"""

from __future__ import annotations

from collections.abc import Sequence

from qmltrain.fusion.passes import Span
from qmltrain.fusion.plan import Rotation
from qmltrain.fusion.tile_items import Item, Phase, Round, TilePass, TimeStep, resident_passes

_LEAST = 3  # rotations that are worth another diagonal in a pass: fewer are left to the next pass
_LEAST_ZIGZAG = 4  # the same for plans with CX, where a step needs two diagonals
_DEPTH = 48  # steps a zigzag pass may run ahead


def schedule_tiles(
    steps: Sequence[TimeStep], n_bits: int, tile_bits: int, low_bits: int, rotations_a_pass: int = 1 << 14
) -> tuple[TilePass, ...]:
    """Every rotation and item of `steps` in exactly one pass, what does not commute in its order.

    `low_bits` address bits are in every tile (contiguous access); 0 <= low_bits < tile_bits. A state of one tile is
    cut into passes of about `rotations_a_pass` rotations (short launches, places to keep states).
    """
    if n_bits <= tile_bits:
        return resident_passes(steps, n_bits, rotations_a_pass)
    if not 0 <= low_bits < tile_bits:
        raise ValueError(f"tile of {tile_bits} bits with {low_bits} low bits: needs 0 <= low bits < tile bits")
    rotations = [rotation for step in steps for rotation in step.rotations]
    if all(r.pair_mask == r.parity_mask and r.pair_mask.bit_count() == 1 for r in rotations):
        return _LightCone(steps, n_bits, tile_bits, low_bits).passes()
    return _zigzag(steps, n_bits, tile_bits, low_bits)


class _LightCone:
    """Rotations on single address bits: bit b has its own list of rotations and a counter of those done.

    An item between rotations c_b - 1 and c_b of each of its bits b may be applied when all those counters have come so
    far; rotation c of bit b waits for the items just before it, hence for other bits' counters: `needs[b][c]`.
    """

    def __init__(self, steps: Sequence[TimeStep], n_bits: int, tile_bits: int, low_bits: int) -> None:
        self.n_bits = n_bits
        self.rotations: list[list[Rotation]] = [[] for _ in range(n_bits)]
        self.before: list[list[list[int]]] = [[[]] for _ in range(n_bits)]  # items just before rotation c of bit b
        self.items: list[Item] = []
        supports: list[list[tuple[int, int]]] = []
        for step in steps:
            for rotation in step.rotations:
                bit = rotation.pair_mask.bit_length() - 1
                self.rotations[bit].append(rotation)
                self.before[bit].append([])
            for item in step.items:
                places = [(b, len(self.rotations[b])) for b in _bits(item.support)]
                for b, _ in places:
                    self.before[b][-1].append(len(self.items))
                self.items.append(item)
                supports.append(places)
        self.needs = [self._needs(b, supports) for b in range(n_bits)]
        self.signatures = self._signatures()
        self.final = [all(c == len(self.rotations[b]) for b, c in places) for places in supports]
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
            passes.append(TilePass(last.basis, (*last.rounds, Round(left, ()))))
        elif left or not passes:
            passes.append(TilePass(_basis(self.tiles[0]), (Round(left, ()),)))
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
        return TilePass(_basis(tile), tuple(rounds))

    def _closing(self, tile: tuple[int, ...]) -> tuple[Item, ...]:
        """Items of this tile that no rotation waits for, while their bits are at hand."""
        numbers = []
        for b in tile:
            if self.done[b] < len(self.rotations[b]):
                continue
            for number in self.before[b][self.done[b]]:
                places = self.supports[number]
                if (
                    not self.applied[number]
                    and self.final[number]
                    and all(other in tile and self.done[other] >= count for other, count in places)
                ):
                    self.applied[number] = True
                    numbers.append(number)
        return tuple(self.items[number] for number in numbers)


def _bits(mask: int) -> list[int]:
    return [b for b in range(mask.bit_length()) if mask >> b & 1]


def _basis(tile: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(1 << b for b in tile)


def _zigzag(steps: Sequence[TimeStep], n_bits: int, tile_bits: int, low_bits: int) -> tuple[TilePass, ...]:
    """Passes over the span of the masks that come next; each runs ahead while rotations stay inside."""
    rotations = [list(step.rotations) for step in steps]
    items = [list(step.items) for step in steps]
    passes: list[TilePass] = []
    current = oldest = 0
    while True:
        while current < len(steps) and not rotations[current]:
            current += 1
        if current == len(steps):
            break
        while oldest < current and not items[oldest]:
            oldest += 1
        span = _span(rotations, current, n_bits, tile_bits, low_bits)
        passes.append(TilePass(tuple(span.basis), tuple(_run_ahead(rotations, items, current, oldest, span))))
    left = tuple(item for step in items for item in step)
    if passes and left:
        last = passes.pop()
        passes.append(TilePass(last.basis, (*last.rounds, Round(left, ()))))
    elif not passes:
        passes.append(TilePass(tuple(1 << b for b in range(tile_bits)), (Round(left, ()),)))
    return tuple(passes)


def _span(rotations: list[list[Rotation]], current: int, n_bits: int, tile_bits: int, low_bits: int) -> Span:
    """Low bits, then masks of this step in the order in which they meet in the next one, then of the steps after.

    Rotations that one rotation of the next step waits for stand together, so that it can follow in the same tile.
    """
    span = Span([1 << b for b in range(low_bits)])
    step = rotations[current]
    following = rotations[current + 1] if current + 1 < len(rotations) else []
    meet = [[k for k, rotation in enumerate(step) if _entangled(rotation, then)] for then in following]
    order, seen = [0], {0}
    for k in order:  # grows while it is walked: breadth first
        for group in meet:
            if k in group:
                order += [other for other in group if other not in seen]
                seen.update(group)
    order += [k for k in range(len(step)) if k not in seen]
    for rotation in (
        *(step[k] for k in order),
        *following,
        *(r for s in rotations[current + 2 : current + 4] for r in s),
    ):
        if len(span) == tile_bits:
            return span
        span.add(rotation.pair_mask)
    for b in range(n_bits):
        if len(span) < tile_bits:
            span.add(1 << b)
    return span


def _entangled(a: Rotation, b: Rotation) -> bool:
    return bool(((a.pair_mask & b.parity_mask).bit_count() | (b.pair_mask & a.parity_mask).bit_count()) & 1)


def _run_ahead(
    rotations: list[list[Rotation]], items: list[list[Item]], current: int, oldest: int, span: Span
) -> list[Round]:
    """Rounds of one tile; removes what was done from `rotations` and `items`."""
    rounds: list[Round] = []
    following: list[Item] = []  # gammas of rotations just done: their basis is the one in registers
    for step in range(current, min(current + _DEPTH, len(rotations))):
        waiting = [r for k in range(current, step) for r in rotations[k]]
        needed: dict[int, tuple[int, Item]] = {}
        ready = []
        for rotation in rotations[step]:
            if rotation.pair_mask not in span or not all(_commute(rotation, other) for other in waiting):
                continue
            blocking = [(k, item) for k in range(oldest, step) for item in items[k] if item.blocks(rotation.pair_mask)]
            if all(_executable(k, item, rotations, current) for k, item in blocking):
                ready.append(rotation)
                needed.update((id(item), (k, item)) for k, item in blocking)
        if not ready or (rounds and len(ready) < _LEAST_ZIGZAG):
            if rotations[step]:
                break
            continue
        for k, item in needed.values():
            items[k].remove(item)
        rounds.append(Round((*following, *(item for _, item in needed.values())), tuple(ready)))
        rotations[step] = [r for r in rotations[step] if r not in ready]
        following = [
            item
            for item in items[step]
            if isinstance(item, Phase)
            and item.follows_run
            and any(item.blocks(r.pair_mask) for r in ready)
            and _executable(step, item, rotations, current)
        ]
        items[step] = [item for item in items[step] if item not in following]
    if following:
        rounds.append(Round(tuple(following), ()))
    return rounds


def _executable(step: int, item: Item, rotations: list[list[Rotation]], current: int) -> bool:
    """Whether no rotation before `item` that it does not commute with is still to do."""
    return not any(item.blocks(r.pair_mask) for k in range(current, step + 1) for r in rotations[k])


def _commute(a: Rotation, b: Rotation) -> bool:
    """Their Paulis X^m Z^r commute."""
    return not ((a.pair_mask & b.parity_mask).bit_count() ^ (b.pair_mask & a.parity_mask).bit_count()) & 1
