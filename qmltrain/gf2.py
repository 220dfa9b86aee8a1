"""Linear algebra over GF(2): vectors are integers, bit i is component i, addition is XOR. And its Fourier transform."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from operator import xor

import numpy as np
from numpy.typing import NDArray


def parity(bits: int) -> int:
    """1 if an odd number of bits is set."""
    return bits.bit_count() & 1


def combine(vectors: Sequence[int], coordinates: int) -> int:
    """The sum of the vectors whose coordinate is set."""
    return reduce(xor, (v for i, v in enumerate(vectors) if coordinates >> i & 1), 0)


def image(rows: Sequence[int], vector: int) -> int:
    """The matrix of these rows times `vector`: bit i is the parity of row i and the vector."""
    return sum(parity(row & vector) << i for i, row in enumerate(rows))


class Span:
    """A growing span. `basis` holds the independent ones of the vectors added, in their order; len() is the rank."""

    def __init__(self, vectors: Iterable[int] = ()) -> None:
        self.basis: list[int] = []
        self._rows: dict[int, tuple[int, int]] = {}  # leading bit -> (vector, its coordinates in `basis`)
        for vector in vectors:
            self.add(vector)

    def _reduce(self, vector: int) -> tuple[int, int]:
        """What is left of `vector` without leading bits of the span, and the coordinates of what was taken off."""
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

    def __len__(self) -> int:
        return len(self.basis)

    def add(self, vector: int) -> bool:
        """Add `vector`; False if it was in the span already."""
        rest, coordinates = self._reduce(vector)
        if not rest:
            return False
        self._rows[rest.bit_length()] = (rest, coordinates ^ 1 << len(self.basis))
        self.basis.append(vector)
        return True

    def coordinates(self, vector: int) -> int:
        """Which vectors of `basis` add up to `vector`. Raises ValueError where none do."""
        rest, coordinates = self._reduce(vector)
        if rest:
            raise ValueError(f"{vector:#x} is not in the span")
        return coordinates


def intersection(a: Sequence[int], b: Sequence[int]) -> list[int]:
    """A basis of what the spans of `a` and `b` have in common; both independent."""
    rows: dict[int, tuple[int, int]] = {}  # leading bit -> (vector, its part made of vectors of b)
    common = []
    for vector, part in (*((v, 0) for v in a), *((v, v) for v in b)):
        while vector:
            row = rows.get(vector.bit_length())
            if row is None:
                rows[vector.bit_length()] = (vector, part)
                break
            vector, part = vector ^ row[0], part ^ row[1]
        else:
            common.append(part)
    return common


def null_space(vectors: Sequence[int], rows: Sequence[int]) -> list[int]:
    """A basis of what in the span of `vectors` has even parity with every row."""
    images = Span()
    found, added = [], []  # `added[i]` is the vector behind basis vector i of `images`
    for vector in vectors:
        of_vector = image(rows, vector)
        if of_vector and images.add(of_vector):
            added.append(vector)
        else:
            found.append(vector ^ combine(added, images.coordinates(of_vector)))
    return found


def walsh_hadamard(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(..., N): out[z] = sum_S (-1)^parity(z & S) in[S]; its own inverse up to 1/N. N is a power of two."""
    shape = values.shape
    for bit in range(shape[-1].bit_length() - 1):
        pairs = values.reshape(*shape[:-1], -1, 2, 1 << bit)
        low, high = pairs[..., 0, :], pairs[..., 1, :]
        values = np.stack([low + high, low - high], axis=-2).reshape(shape)
    return values
