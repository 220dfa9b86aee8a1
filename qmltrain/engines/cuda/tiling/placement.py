"""Where amplitudes stand in memory between passes: a linear map over GF(2) that passes may change in place.

Masks, block bases and records count *addresses* as the plan does. A pass loads the amplitude of address z from place
P(z) and stores it at P'(z): inside a tile it may permute what it stores, for nothing. So the directions that a plan
with CX works along next become the lowest bits of the places, which must be in every tile (contiguous access); without
that, 3 of the 12 bits of a tile would be address bits that its rotations have no use for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from qmltrain.fusion.plan import PhysicalString, Readout
from qmltrain.gf2 import Span, combine, image


@dataclass(frozen=True)
class Placement:
    """`images[b]` is P(2^b), b < n; address bits from n on (samples of a packed block) stay."""

    images: tuple[int, ...]

    @classmethod
    def identity(cls, n_bits: int) -> Placement:
        return cls(tuple(1 << b for b in range(n_bits)))

    def of(self, address: int) -> int:
        within = address & ((1 << len(self.images)) - 1)
        return combine(self.images, within) | (address ^ within)

    def stored(self, tile: Sequence[int], lanes: Sequence[int], outside: Sequence[int]) -> Placement:
        """The map after a pass over tiles that are cosets of the span of `tile`.

        `lanes`, independent vectors of that span, get the lowest places; every tile keeps its set of places, and the
        vectors `outside` (one per tile bit, completing the span to all addresses) keep theirs.
        """
        if all(self.of(lane) == 1 << b for b, lane in enumerate(lanes)):
            return self
        n_bits = len(self.images)
        free = Span(1 << b for b in range(len(lanes)))
        if any(1 << b not in Span(self.of(v) for v in tile) for b in range(len(lanes))):
            raise ValueError("the lowest places are not in this tile")
        places = [1 << b for b in range(len(lanes))] + [p for p in (self.of(v) for v in tile) if free.add(p)]
        span = Span(lanes)
        vectors = [*lanes, *(v for v in tile if span.add(v)), *outside]
        places += [self.of(v) for v in outside]
        addresses = Span(vectors)
        return Placement(tuple(combine(places, addresses.coordinates(1 << b)) for b in range(n_bits)))

    def readout(self, readout: Readout) -> Readout:
        """Of addresses, as one of places."""
        return Readout(self.of(readout.start), tuple(map(self.of, readout.masks)))

    def string(self, string: PhysicalString) -> PhysicalString:
        """A Pauli string on addresses as one on places."""
        if self == self.identity(len(self.images)):
            return string
        places = Span(self.images)  # coordinates are addresses: the inverse map
        z_mask = image([places.coordinates(1 << b) for b in range(len(self.images))], string.z_mask)
        return replace(string, x_mask=self.of(string.x_mask), z_mask=z_mask)
