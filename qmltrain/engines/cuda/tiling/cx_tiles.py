"""The tiled schedule of plans with CX: tiles over the span of the masks that come next.

Masks have many address bits and change from moment to moment, and a chain of CX makes most rotations of a moment wait
for the whole moment before, so that a tile finishes one moment and begins the next. Which masks share a tile is
searched: several orders of the rotations left, each judged by what it and the best pass after it get done for their
instructions.

A tile holds the lowest places in memory (contiguous access). They are not address bits here: a pass stores so that
directions which the next tile wants stand there (placement.py), so consecutive tiles must have `low_bits` directions in
common, and no more is lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from qmltrain.engines.cuda.tiling.items import Item, MomentItems, Phase, Round, TilePass
from qmltrain.fusion.plan import Rotation
from qmltrain.gf2 import Span, intersection, null_space

_LEAST = 5  # rotations that are worth another round in a pass: fewer are left to the next pass
_DEPTH = 48  # moments a pass may run ahead
_STARTS = 8  # orders of the rotations left that are tried for a tile
# instructions of a thread, forward and backward (about, see derived.py): a pass, a round, four rotations of it
_PASS, _ROUND, _FOUR = 914, 1400, 480


@dataclass
class _Trial:
    """What a pass over `span` would do; `rotations` and `items` are what is left of the moments it touches."""

    span: Span
    rounds: list[Round]
    rotations: dict[int, list[Rotation]]
    items: dict[int, list[Item]]

    @property
    def done(self) -> int:
        return sum(len(one.rotations) for one in self.rounds)

    @property
    def cost(self) -> int:
        return _PASS + sum(_ROUND + _FOUR * -(-len(one.rotations) // 4) for one in self.rounds)


class CxTiles:
    """Passes over `moments`; see `schedule_tiles` of cone_tiles.py."""

    def __init__(self, moments: Sequence[MomentItems], n_bits: int, tile_bits: int, low_bits: int) -> None:
        self.n_bits, self.tile_bits, self.low_bits = n_bits, tile_bits, low_bits
        self.rotations = [list(moment.rotations) for moment in moments]
        self.items = [list(moment.items) for moment in moments]
        self.current = 0  # the first moment with rotations left
        self.oldest = 0  # the first moment with items left

    def passes(self) -> tuple[TilePass, ...]:
        passes: list[TilePass] = []
        address_bits = [1 << b for b in range(self.n_bits)]
        before: Sequence[int] = address_bits[: self.low_bits]  # what the tile must have low_bits directions of
        while self._advance():
            trial = self._choose(before)
            lanes = self._lanes(trial, before, passes)
            passes.append(TilePass(tuple(trial.span.basis), tuple(trial.rounds), lanes))
            for moment, left in trial.rotations.items():
                self.rotations[moment] = left
            for moment, items in trial.items.items():
                self.items[moment] = items
            before = trial.span.basis
        rest = tuple(item for items in self.items for item in items)
        if not passes:
            basis = tuple(address_bits[: self.tile_bits])
            return (TilePass(basis, (Round(rest, ()),), basis[: self.low_bits]),)
        if rest:
            last = passes.pop()
            passes.append(TilePass(last.basis, (*last.rounds, Round(rest, ())), last.lanes))
        return tuple(passes)

    def _advance(self) -> bool:
        while self.current < len(self.rotations) and not self.rotations[self.current]:
            self.current += 1
        while self.oldest < self.current and self.oldest < len(self.items) and not self.items[self.oldest]:
            self.oldest += 1
        return self.current < len(self.rotations)

    # ---- which tile

    def _choose(self, before: Sequence[int]) -> _Trial:
        """The trial with the most rotations per instruction, the best pass after it counted in."""
        trials: list[_Trial] = []
        for order in self._orders(self.current, {}):
            trial = self._trial(self._span(order, self.current, {}, before), self.current, {}, {})
            if not any(set(trial.span.basis) == set(other.span.basis) for other in trials):
                trials.append(trial)
        if len(trials) == 1:
            return trials[0]
        return max(trials, key=self._value)

    def _value(self, trial: _Trial) -> float:
        done, cost = trial.done, trial.cost
        if not done:
            return 0.0
        moment = self.current
        while moment < len(self.rotations) and not trial.rotations.get(moment, self.rotations[moment]):
            moment += 1
        if moment < len(self.rotations):
            order = next(iter(self._orders(moment, trial.rotations)))
            span = self._span(order, moment, trial.rotations, trial.span.basis)
            following = self._trial(span, moment, trial.rotations, trial.items)
            done, cost = done + following.done, cost + following.cost
        return done / cost

    def _orders(self, moment: int, rotations: dict[int, list[Rotation]]) -> Iterable[list[Rotation]]:
        """Rotations left of `moment`, those that one rotation of the next moment waits for standing together."""
        here = rotations.get(moment, self.rotations[moment])
        following = self.rotations[moment + 1] if moment + 1 < len(self.rotations) else []
        meet = [[k for k, rotation in enumerate(here) if not rotation.fits_beside(then)] for then in following]
        groups: list[list[list[int]]] = [[] for _ in here]
        for group in meet:
            for k in group:
                groups[k].append(group)
        starts = dict.fromkeys(len(here) * s // _STARTS for s in range(_STARTS))
        for start in starts:
            order, seen = [start], {start}
            for k in order:  # grows while it is walked: breadth first
                for group in groups[k]:
                    order += [other for other in group if other not in seen]
                    seen.update(group)
            order += [k for k in range(len(here)) if k not in seen]
            yield [here[k] for k in order]

    def _span(
        self, order: Sequence[Rotation], moment: int, rotations: dict[int, list[Rotation]], before: Sequence[int]
    ) -> Span:
        """Masks in `order`, then those of the following moments, with `low_bits` directions of the tile before."""
        masks = [rotation.pair_mask for rotation in order]
        for s in range(moment + 1, min(moment + 4, len(self.rotations))):
            masks += [rotation.pair_mask for rotation in rotations.get(s, self.rotations[s])]
        span, common = Span(), 0
        joined = Span(before)
        for mask in (*masks, *before, *(1 << b for b in range(self.n_bits))):
            if len(span) == self.tile_bits:
                break
            if mask in span:
                continue
            grows = mask not in joined  # else the tile gains a direction in common with the one before
            if grows and self.tile_bits - len(span) <= self.low_bits - common:
                continue
            span.add(mask)
            if grows:
                joined.add(mask)
            else:
                common += 1
        return span

    def _lanes(self, trial: _Trial, before: Sequence[int], passes: Sequence[TilePass]) -> tuple[int, ...]:
        """Directions of both tiles for the lowest places. Best are those that the rotations on both sides do not
        notice (even parity with all their masks): then these rotations' own block bases may load and store."""
        if not passes:
            return tuple(1 << b for b in range(self.low_bits))
        common = intersection(trial.span.basis, before)
        first = next((one.rotations for one in trial.rounds if one.rotations), ())
        last = next((one.rotations for one in reversed(passes[-1].rounds) if one.rotations), ())
        neutral = null_space(common, [r.parity_mask for r in first])
        both = null_space(neutral, [r.parity_mask for r in last])
        own = [r.pair_mask for r in last if r.pair_mask in Span(neutral)]
        lanes = Span()
        for vector in (*both, *own, *neutral, *common):
            if len(lanes) < self.low_bits:
                lanes.add(vector)
        return tuple(lanes.basis)

    # ---- what a tile gets done

    def _trial(
        self, span: Span, current: int, rotations: dict[int, list[Rotation]], items: dict[int, list[Item]]
    ) -> _Trial:
        """Rounds of one tile from moment `current` on; `rotations` and `items` replace what is left of some moments."""
        trial = _Trial(span, [], dict(rotations), dict(items))
        following: list[Item] = []  # gammas of rotations just done: their basis is the one in registers
        for moment in range(current, min(current + _DEPTH, len(self.rotations))):
            here = trial.rotations.get(moment, self.rotations[moment])
            waiting = [r for k in range(current, moment) for r in trial.rotations.get(k, self.rotations[k])]
            needed: dict[int, tuple[int, Item]] = {}
            ready = []
            for rotation in here:
                if rotation.pair_mask not in span or not all(map(rotation.commutes_with, waiting)):
                    continue
                blocking = [
                    (k, item)
                    for k in range(self.oldest, moment)
                    for item in trial.items.get(k, self.items[k])
                    if item.blocks(rotation.pair_mask)
                ]
                if all(self._executable(k, item, trial, current) for k, item in blocking):
                    ready.append(rotation)
                    needed.update((id(item), (k, item)) for k, item in blocking)
            if not ready or (trial.rounds and len(ready) < _LEAST):
                if here:
                    break
                continue
            for k, _ in needed.values():
                trial.items[k] = [item for item in trial.items.get(k, self.items[k]) if id(item) not in needed]
            trial.rounds.append(Round((*following, *(item for _, item in needed.values())), tuple(ready)))
            done = {rotation.gate_run for rotation in ready}
            trial.rotations[moment] = [r for r in here if r.gate_run not in done]
            following = [
                item
                for item in trial.items.get(moment, self.items[moment])
                if isinstance(item, Phase)
                and item.is_gamma
                and any(item.blocks(r.pair_mask) for r in ready)
                and self._executable(moment, item, trial, current)
            ]
            taken = {id(item) for item in following}
            left = trial.items.get(moment, self.items[moment])
            trial.items[moment] = [item for item in left if id(item) not in taken]
        if following:
            trial.rounds.append(Round(tuple(following), ()))
        return trial

    def _executable(self, moment: int, item: Item, trial: _Trial, current: int) -> bool:
        """Whether no rotation before `item` that it does not commute with is still to do."""
        return not any(
            item.blocks(r.pair_mask)
            for k in range(current, moment + 1)
            for r in trial.rotations.get(k, self.rotations[k])
        )
