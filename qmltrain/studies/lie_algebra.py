"""The dimension of a dynamical Lie algebra: the real span of i times generators and all their nested commutators.

It says how large the group is that a circuit can reach; loss variances fall with it (Larocca et al., Quantum 6, 824
(2022), arXiv:2105.14377; Ragone et al., arXiv:2309.09342). Two Pauli strings commute or have their product as
commutator, so of strings alone the algebra is spanned by the strings that products reach: bit masks, no matrices.

Of sums of strings it is a space of vectors over those strings, grown by commutators of random elements: [X, Y] with X
in the span of the generators and Y in the space so far lies in it, but for chance, only where all of them do, since the
commutator is bilinear. Nested commutators in floating point lose a digit at every level, so arithmetic is exact, modulo
a prime: coefficients are taken as fractions, and chance is about one in the prime.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from qmltrain.circuit.clifford import Pauli, multiply
from qmltrain.studies.generators import Generator

LARGEST = 10_000  # dimension of an algebra of strings
LARGEST_OF_SUMS = 2_100  # strings that an algebra of sums is made of: a square matrix of so many numbers
SEED = 2_309_09342
PRIME = 67_108_859  # the greatest below 2^26: halves of 13 bits times a number, 2^13 of them, are exact in a double
AT_ONCE = 64  # random elements of one round

Mask = tuple[int, int]  # x, z
IntArray = NDArray[np.int64]  # numbers modulo PRIME
Adjoint = tuple[IntArray, IntArray]


@dataclass(frozen=True)
class Dimension:
    """`value`, or None with a `reason`: "more than 10000", or what is in the way."""

    value: int | None
    reason: str = ""


def dimension(generators: Iterable[Generator], largest: int = LARGEST) -> Dimension:
    """Of the algebra that the generators make. Without any it is 0. The same set is answered from memory: circuits of
    one ansatz and different depth often have the same."""
    return _dimension(frozenset(generators), largest)


@functools.lru_cache(maxsize=256)
def _dimension(unordered: frozenset[Generator], largest: int) -> Dimension:
    generators = sorted(unordered, key=lambda generator: [term for _, term in generator])
    if all(len(generator) == 1 for generator in generators):
        strings = reached((generator[0][1][:2] for generator in generators), largest)
        return Dimension(None, f"more than {largest}") if strings is None else Dimension(len(strings))
    limit = min(largest, LARGEST_OF_SUMS)
    strings = reached((term[:2] for generator in generators for _, term in generator), limit)
    if strings is None:
        return Dimension(None, f"sums of more than {limit} Pauli strings")
    return _of_sums(generators, strings)


def reached(generators: Iterable[Mask], largest: int) -> list[Mask] | None:
    """The strings (x, z) that nested commutators of strings reach, up to factors; None where they are more."""
    used: list[Mask] = []  # those that are not commutators of the others before
    strings: dict[Mask, None] = {}
    for generator in generators:
        if generator in strings:
            continue
        ahead = [*strings, generator]  # old strings with the new generator, new strings with all
        n_old = len(strings)
        strings[generator] = None
        used.append(generator)
        for place, (x, z) in enumerate(ahead):  # `ahead` grows
            for gx, gz in used if place >= n_old else (generator,):
                if ((x & gz).bit_count() ^ (z & gx).bit_count()) & 1:
                    product = (x ^ gx, z ^ gz)
                    if product not in strings:
                        strings[product] = None
                        ahead.append(product)
            if len(strings) > largest:
                return None
    return list(strings) if len(strings) <= largest else None


def _of_sums(generators: Sequence[Generator], strings: Sequence[Mask]) -> Dimension:
    """Vectors over `strings`; `basis` is in reduced echelon form: column `pivots[k]` has 1 in row k and 0 elsewhere."""
    place = {string: k for k, string in enumerate(strings)}
    random = np.random.default_rng(SEED)
    vectors = np.zeros((len(generators), len(strings)), dtype=np.int64)
    for row, generator in enumerate(generators):
        for coefficient, term in generator:
            vectors[row, place[term[:2]]] = _residue(coefficient)
    adjoint = {place[t[:2]]: _adjoint(t, strings, place) for generator in generators for _, t in generator}
    basis, pivots = np.zeros((0, len(strings)), dtype=np.int64), np.zeros(0, dtype=np.int64)
    for first in range(0, len(vectors), AT_ONCE):
        basis, pivots = _extended(basis, pivots, vectors[first : first + AT_ONCE])
    while True:
        n_before = len(basis)
        x = _product(random.integers(PRIME, size=(1, len(vectors))), vectors)[0]
        ys = _product(random.integers(PRIME, size=(AT_ONCE, n_before)), basis)
        commutators = np.zeros_like(ys)
        for column, (targets, signs) in adjoint.items():
            commutators[:, targets] = (commutators[:, targets] + x[column] * (signs * ys)) % PRIME
        basis, pivots = _extended(basis, pivots, commutators)
        if len(basis) == n_before:
            return Dimension(n_before)


def _residue(coefficient: float) -> int:
    """A coefficient modulo the prime: the simple fraction that it is within rounding, else what its bits are."""
    simple = Fraction(coefficient).limit_denominator(10_000)
    exact = simple if abs(float(simple) - coefficient) < 1e-13 * abs(coefficient) else Fraction(coefficient)
    return exact.numerator * pow(exact.denominator, -1, PRIME) % PRIME


def _adjoint(term: Pauli, strings: Sequence[Mask], place: Mapping[Mask, int]) -> Adjoint:
    """[i P, i Q] / 2 = sign i R for each string Q: where R stands, and the sign; 0, in places left over, where they
    commute."""
    targets, signs = np.full(len(strings), -1), np.zeros(len(strings), dtype=np.int64)
    for k, (x, z) in enumerate(strings):
        if ((x & term[1]).bit_count() ^ (z & term[0]).bit_count()) & 1:
            px, pz, power = multiply(term, (x, z, (x & z).bit_count() % 4))
            targets[k] = place[px, pz]
            signs[k] = -1 if (power - (px & pz).bit_count()) % 4 == 1 else 1  # P Q = i R or -i R
    left_over = np.setdiff1d(np.arange(len(strings)), targets)
    targets[targets < 0] = left_over
    return targets, signs


def _extended(basis: IntArray, pivots: IntArray, rows: IntArray) -> tuple[IntArray, IntArray]:
    """The basis with what is new in the rows."""
    rows = (rows - _product(rows[:, pivots], basis)) % PRIME
    found = []
    for k in range(len(rows)):
        [columns] = np.nonzero(rows[k])
        if not len(columns):
            continue
        column = columns[0]
        rows[k] = rows[k] * pow(int(rows[k, column]), -1, PRIME) % PRIME
        factors = rows[:, column].copy()
        factors[k] = 0
        rows = (rows - factors[:, None] * rows[k]) % PRIME
        found.append((k, column))
    if not found:
        return basis, pivots
    new = rows[[k for k, _ in found]]
    new_pivots = np.array([column for _, column in found])
    basis = (basis - _product(basis[:, new_pivots], new)) % PRIME
    return np.concatenate([basis, new]), np.concatenate([pivots, new_pivots])


def _product(a: IntArray, b: IntArray) -> IntArray:
    """Their product; exact in doubles: whole numbers below 2^53, so in any order of sums."""
    high, low = (part.astype(np.float64) for part in (a >> 13, a & 8_191))
    b_float = b.astype(np.float64)
    upper = (high @ b_float % PRIME).astype(np.int64)
    return (upper * 8_192 + (low @ b_float).astype(np.int64)) % PRIME
