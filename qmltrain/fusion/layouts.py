"""Layouts: which address masks the register, thread and tile coordinates of a block stand for, over GF(2).

A layout is a basis of the address space: 4 register vectors, T - 4 thread vectors, then one vector a tile bit. The
amplitude with coordinates c stands at address XOR_i c_i vector_i. The register and thread vectors of all layouts of a
pass span the same tile. Going from one layout to another is one trip through shared memory (an exchange), whatever
the vectors are, so rotations on any independent masks become plain butterflies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import xor

import numpy as np
from numpy.typing import NDArray

REGISTER_BITS = 4
IntArray = NDArray[np.int32]


def parity(bits: int) -> int:
    return bits.bit_count() & 1


def combine(vectors: Sequence[int], coordinates: int) -> int:
    """XOR of the vectors whose coordinate is set."""
    return reduce(xor, (v for i, v in enumerate(vectors) if coordinates >> i & 1), 0)


class Reducer:
    """A span that also says how its members are made: coordinates of a vector in the vectors added."""

    def __init__(self, vectors: Iterable[int] = ()) -> None:
        self._rows: dict[int, tuple[int, int]] = {}  # leading bit -> (vector, coordinates)
        self.size = 0
        for vector in vectors:
            self.add(vector)

    def _reduce(self, vector: int) -> tuple[int, int]:
        coordinates = 0
        while vector:
            row = self._rows.get(vector.bit_length())
            if row is None:
                break
            vector ^= row[0]
            coordinates ^= row[1]
        return vector, coordinates

    def __contains__(self, vector: int) -> bool:
        return self._reduce(vector)[0] == 0

    def add(self, vector: int) -> bool:
        rest, coordinates = self._reduce(vector)
        if not rest:
            return False
        self._rows[rest.bit_length()] = (rest, coordinates ^ 1 << self.size)
        self.size += 1
        return True

    def coordinates(self, vector: int) -> int:
        rest, coordinates = self._reduce(vector)
        if rest:
            raise ValueError(f"{vector:#x} is not in the span")
        return coordinates


@dataclass(frozen=True, slots=True)
class Layout:
    """`vectors[:4]` registers, `vectors[4:tile_bits]` threads, `vectors[tile_bits:]` tile bits."""

    vectors: tuple[int, ...]
    tile_bits: int

    @property
    def registers(self) -> tuple[int, ...]:
        return self.vectors[:REGISTER_BITS]

    @property
    def threads(self) -> tuple[int, ...]:
        return self.vectors[REGISTER_BITS : self.tile_bits]

    @property
    def tiles(self) -> tuple[int, ...]:
        return self.vectors[self.tile_bits :]

    def coordinates(self, mask: int) -> int:
        """Bit i set: coordinate i changes the parity of address & mask. So parity(address & mask) is the parity of
        the address's coordinates in these bits."""
        return sum(parity(vector & mask) << i for i, vector in enumerate(self.vectors))

    def register_of(self, pair_mask: int, parity_mask: int) -> int | None:
        """The register bit that pairs addresses by `pair_mask` and alone decides parity_mask's bit, if there is one."""
        try:
            register = self.registers.index(pair_mask)
        except ValueError:
            return None
        return register if self.coordinates(parity_mask) == 1 << register else None

    def thread_addresses(self) -> IntArray:
        """(threads,) address of register 0 of each thread, tile 0."""
        return spread(self.threads)


def spread(vectors: Sequence[int]) -> IntArray:
    """(2^len,) XOR of the vectors picked by the bits of the index."""
    index = np.arange(1 << len(vectors))
    total = np.zeros(len(index), dtype=np.int64)
    for i, vector in enumerate(vectors):
        total ^= (index >> i & 1) * vector
    return total.astype(np.int32)


def make_layout(
    window: Sequence[int],
    frame: Mapping[int, int],
    fillers: Iterable[int],
    basis: Sequence[int],
    outside: Sequence[int],
    lanes: Sequence[int] = (),
) -> Layout:
    """A layout with the pair masks `window` (at most 4) in registers.

    `frame` maps the pair masks of commuting rotations of this tile to their parity masks; every other vector is moved
    by them until its parities with all those masks are zero, so that the bits of these rotations are coordinates of
    the layout and nothing else. `fillers` are tried first for the registers left; `basis` spans the tile, `outside`
    completes it to the address space. `lanes` become the first threads where they can.
    """

    def neutral(vector: int) -> int:
        if vector in frame:
            return vector
        for mask, parity_mask in frame.items():
            if parity(vector & parity_mask):
                vector ^= mask
        return vector

    span = Reducer(window)
    first = [lane for lane in lanes if neutral(lane) == lane and span.add(lane)]
    registers = list(window)
    descending = sorted((neutral(b) for b in basis), reverse=True)
    for vector in (*(neutral(f) for f in fillers), *descending):
        if len(registers) == REGISTER_BITS:
            break
        if vector and span.add(vector):
            registers.append(vector)
    while len(registers) < REGISTER_BITS:  # a tile without room for lanes
        registers.append(first.pop())
    threads = [v for v in (*frame, *sorted(neutral(b) for b in basis)) if v and span.add(v)]
    tiles = tuple(neutral(v) for v in outside)
    return Layout((*sorted(registers), *first, *sorted(threads), *tiles), len(basis))


@dataclass(frozen=True)
class Exchange:
    """Tables of one exchange. Byte addresses in shared memory; `side` 0 is the layout before, 1 the one after.

    thread_S2: (2, threads, 2) byte address, address of register 0; column_S4: (2, 4) byte addresses of the registers;
    tile_K4: (tile bits, 4) what a tile bit adds to byte address before, after, address before, after.
    """

    thread_S2: IntArray
    column_S4: IntArray
    tile_K4: IntArray
    moves_tile: bool


def make_exchange(before: Layout, after: Layout, amplitude_bytes: int) -> Exchange:
    """Places in shared memory such that neither writing nor reading has bank conflicts.

    An address is a linear map of the coordinates before. Shared memory serves 128 bytes at once, 16 float2 or 8
    double2: the map's lowest 4 (3) bits must tell apart the first 16 (8) threads of both sides.
    """
    tile_bits = before.tile_bits
    span = Reducer(before.vectors[:tile_bits])
    written = [1 << i for i in range(tile_bits)]
    read = [span.coordinates(vector) for vector in after.vectors[:tile_bits]]
    lanes = min(4 if amplitude_bytes == 8 else 3, tile_bits - REGISTER_BITS)
    first = slice(REGISTER_BITS, REGISTER_BITS + lanes)
    rows = _bank_rows(written[first], read[first], tile_bits)

    def place(coordinates: int) -> int:
        return sum(parity(row & coordinates) << i for i, row in enumerate(rows)) * amplitude_bytes

    thread = np.zeros((2, 1 << (tile_bits - REGISTER_BITS), 2), dtype=np.int32)
    column = np.zeros((2, REGISTER_BITS), dtype=np.int32)
    for side, (layout, coordinates) in enumerate(((before, written), (after, read))):
        places = [place(c) for c in coordinates]
        thread[side, :, 0] = spread(places[REGISTER_BITS:])
        thread[side, :, 1] = layout.thread_addresses()
        column[side] = places[:REGISTER_BITS]
    moved = [b ^ a for b, a in zip(before.tiles, after.tiles, strict=True)]
    tile = np.array(
        [[0, place(span.coordinates(move)), b, a] for move, b, a in zip(moved, before.tiles, after.tiles, strict=True)],
        dtype=np.int32,
    ).reshape(-1, 4)
    return Exchange(thread, column, tile, any(moved))


def _bank_rows(written: Sequence[int], read: Sequence[int], tile_bits: int) -> list[int]:
    """Rows of an invertible GF(2) map whose first len(written) rows are one-to-one on both sets of vectors.

    Random rows are so with a probability of about 0.3^2; the seed is fixed.
    """
    rng = np.random.default_rng(0)
    lanes = len(written)
    while True:
        rows = [int(row) for row in rng.integers(1, 1 << tile_bits, lanes)]
        if all(_rank([_image(rows, v) for v in vectors]) == lanes for vectors in (written, read)):
            break
    span = Reducer(rows)
    if span.size < lanes:
        raise AssertionError("rows that are one-to-one on independent vectors are independent")
    return rows + [1 << i for i in range(tile_bits) if span.add(1 << i)]


def _image(rows: Sequence[int], vector: int) -> int:
    return sum(parity(row & vector) << i for i, row in enumerate(rows))


def _rank(vectors: Iterable[int]) -> int:
    return Reducer(vectors).size
