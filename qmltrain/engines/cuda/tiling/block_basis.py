"""Bases of a block of threads over GF(2), and exchanges between them through shared memory without bank conflicts.

Which address masks the register, thread and tile coordinates of a block stand for.

A block basis is a basis of the address space: 4 register vectors, T - 4 thread vectors, then one vector per tile bit.
The amplitude with coordinates c has the address XOR_i c_i vector_i. The register and thread vectors of all bases of a
pass span the same tile. Going from one basis to another is one trip through shared memory (an exchange), whatever the
vectors are, so rotations on any independent masks become plain butterflies.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qmltrain.gf2 import Span, image, parity

REGISTER_BITS = 4
IntArray = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class BlockBasis:
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
        return image(self.vectors, mask)

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


def make_basis(
    window: Sequence[int],
    frame: Mapping[int, int],
    fillers: Iterable[int],
    tile: Sequence[int],
    outside: Sequence[int],
    lanes: Sequence[int] = (),
) -> BlockBasis:
    """A block basis with the pair masks `window` (at most 4) in registers.

    `frame` maps the pair masks of commuting rotations of this tile to their parity masks; every other vector is moved
    by them until its parities with all those masks are zero, so that the bits of these rotations are coordinates of
    the block and nothing else. `fillers` are tried first for the registers left; `tile` is a basis of the tile's span,
    `outside` completes it to the address space. `lanes` become the first threads where they can.
    """

    def neutral(vector: int) -> int:
        if vector in frame:
            return vector
        for mask, parity_mask in frame.items():
            if parity(vector & parity_mask):
                vector ^= mask
        return vector

    span = Span(window)
    first = [lane for lane in lanes if neutral(lane) == lane and span.add(lane)]
    registers = list(window)
    descending = sorted((neutral(v) for v in tile), reverse=True)
    for vector in (*(neutral(f) for f in fillers), *descending):
        if len(registers) == REGISTER_BITS:
            break
        if vector and span.add(vector):
            registers.append(vector)
    while len(registers) < REGISTER_BITS:  # a tile without room for lanes
        registers.append(first.pop())
    threads = [v for v in (*frame, *sorted(neutral(v) for v in tile)) if v and span.add(v)]
    tiles = tuple(neutral(v) for v in outside)
    return BlockBasis((*sorted(registers), *first, *sorted(threads), *tiles), len(tile))


@dataclass(frozen=True)
class Exchange:
    """Tables of one exchange. Byte addresses in shared memory; `side` 0 is the basis before, 1 the one after.

    thread_S2: (2, threads, 2) byte address, address of register 0; column_S4: (2, 4) byte addresses of the registers;
    tile_K4: (tile bits, 4) what a tile bit adds to byte address before, after, address before, after.
    """

    thread_S2: IntArray
    column_S4: IntArray
    tile_K4: IntArray
    moves_tile: bool


def make_exchange(before: BlockBasis, after: BlockBasis, access_bytes: int) -> Exchange:
    """Positions in shared memory such that neither writing nor reading has bank conflicts.

    A position is a linear map of the coordinates before. Shared memory serves 128 bytes at once, 16 accesses of 8
    bytes or 8 of 16: the map's lowest 4 (3) bits must tell apart the first 16 (8) threads of both sides.
    """
    tile_bits = before.tile_bits
    span = Span(before.vectors[:tile_bits])
    written = [1 << i for i in range(tile_bits)]
    read = [span.coordinates(vector) for vector in after.vectors[:tile_bits]]
    lanes = min(4 if access_bytes == 8 else 3, tile_bits - REGISTER_BITS)
    first = slice(REGISTER_BITS, REGISTER_BITS + lanes)
    rows = _bank_rows(written[first], read[first], tile_bits)

    def position(coordinates: int) -> int:
        return image(rows, coordinates) * access_bytes

    thread = np.zeros((2, 1 << (tile_bits - REGISTER_BITS), 2), dtype=np.int32)
    column = np.zeros((2, REGISTER_BITS), dtype=np.int32)
    for side, (basis, coordinates) in enumerate(((before, written), (after, read))):
        positions = [position(c) for c in coordinates]
        thread[side, :, 0] = spread(positions[REGISTER_BITS:])
        thread[side, :, 1] = basis.thread_addresses()
        column[side] = positions[:REGISTER_BITS]
    moved = [b ^ a for b, a in zip(before.tiles, after.tiles, strict=True)]
    tile = np.array(
        [
            [0, position(span.coordinates(move)), b, a]
            for move, b, a in zip(moved, before.tiles, after.tiles, strict=True)
        ],
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
        if all(len(Span(image(rows, v) for v in vectors)) == lanes for vectors in (written, read)):
            break
    span = Span(rows)
    if len(span) < lanes:
        raise AssertionError("rows that are one-to-one on independent vectors are independent")
    return rows + [1 << i for i in range(tile_bits) if span.add(1 << i)]
