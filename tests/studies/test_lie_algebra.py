"""Dimensions of dynamical Lie algebras: against dense matrices, and families whose dimension is known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from qmltrain.circuit.clifford import from_letters
from qmltrain.circuit.gates import pauli_product
from qmltrain.studies import lie_algebra
from qmltrain.studies.lie_algebra import dimension


def generator(*terms):
    return tuple((c, from_letters(letters)) for c, letters in terms)


def on(n, letters, *qubits):
    text = ["I"] * n
    for letter, qubit in zip(letters, qubits, strict=True):
        text[qubit] = letter
    return "".join(text)


PRIME = 268_435_399  # below 2^28, so that sums of 16 products fit in 64 bits


def dense_dimension(generators):
    """The real span of matrices, grown by commutators with the generators until nothing is new. Exact, modulo a prime:
    in floating point the rounding of a commutator of a commutator of ... becomes a direction of its own."""
    matrices = [in_integers(1j * sum(c * dense(term) for c, term in g)) for g in generators]
    rows: list[tuple[int, np.ndarray]] = []  # where each has a 1, and those found later 0
    ahead = list(matrices)
    while ahead:
        matrix = ahead.pop()
        vector = matrix.ravel()
        for pivot, row in rows:
            vector = (vector - vector[pivot] * row) % PRIME
        if not vector.any():
            continue
        pivot = int(np.flatnonzero(vector)[0])
        vector = vector * pow(int(vector[pivot]), -1, PRIME) % PRIME
        rows.append((pivot, vector))
        found = vector.reshape(matrix.shape)
        ahead += [(a @ found - found @ a) % PRIME for a in matrices]
    return len(rows)


def in_integers(matrix):
    """Twice a complex matrix of halves as a real one of twice the size."""
    real, imaginary = (np.rint(2 * part).astype(np.int64) for part in (matrix.real, matrix.imag))
    return np.block([[real, -imaginary], [imaginary, real]]) % PRIME


N_DENSE = 3


def dense(term):
    x, z, _ = term
    return pauli_product("".join("IXZY"[(x >> q & 1) + 2 * (z >> q & 1)] for q in range(N_DENSE)))


def random_generators(seed):
    generator_ = np.random.default_rng(seed)
    strings = ["".join(row) for row in itertools.product("IXYZ", repeat=N_DENSE)][1:]
    found = []
    for _ in range(generator_.integers(1, 5)):
        chosen = generator_.choice(len(strings), size=generator_.integers(1, 4 if seed % 2 else 2), replace=False)
        found.append(generator(*((float(generator_.choice([1.0, -1.0, 0.5])), strings[k]) for k in chosen)))
    return found


@pytest.mark.parametrize("seed", range(30))
def test_against_dense_matrices(seed):
    generators = random_generators(seed)
    assert dimension(generators).value == dense_dimension(generators)


def test_no_generators_and_one():
    assert dimension([]).value == 0
    assert dimension([generator((1.0, "ZZ"))]).value == 1
    assert dimension([generator((1.0, "ZZ"), (1.0, "XI"))]).value == 1


@pytest.mark.parametrize("n", [1, 2, 5, 64, 100])
def test_rx_on_each_qubit_is_abelian(n):
    assert dimension([generator((1.0, on(n, "X", q))) for q in range(n)]).value == n


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6])
def test_all_of_su(n):
    one = [generator((1.0, on(n, letter, q))) for q in range(n) for letter in "XZ"]
    two = [generator((1.0, on(n, "ZZ", q, q + 1))) for q in range(n - 1)]
    assert dimension(one + two).value == 4**n - 1


@pytest.mark.parametrize("n", [2, 3, 4, 10, 70])
def test_free_fermions_are_so_2n(n):
    """XX of neighbours and Z of each, each by itself: so(2n), of dimension n (2n - 1)."""
    fields = [generator((1.0, on(n, "Z", q))) for q in range(n)]
    couplings = [generator((1.0, on(n, "XX", q, q + 1))) for q in range(n - 1)]
    assert dimension(fields + couplings).value == n * (2 * n - 1)


@pytest.mark.parametrize("n", [2, 3, 4, 6, 10])
def test_open_ising_chain_of_two_sums_is_n_squared(n):
    """{sum ZZ, sum X} on an open chain: n^2 (Larocca et al., arXiv:2105.14377)."""
    couplings = generator(*((1.0, on(n, "ZZ", q, q + 1)) for q in range(n - 1)))
    fields = generator(*((1.0, on(n, "X", q)) for q in range(n)))
    assert dimension([couplings, fields]).value == n**2


def test_ring_of_two_sums_is_three_n_minus_one():
    """{sum ZZ, sum X} on a ring of n > 2: n copies of su(2) in all, 3 n - 1 with the parity (dense at n = 3)."""
    n = 3
    couplings = generator(*((1.0, on(n, "ZZ", q, (q + 1) % n)) for q in range(n)))
    fields = generator(*((1.0, on(n, "X", q)) for q in range(n)))
    assert dimension([couplings, fields]).value == dense_dimension([couplings, fields])


def test_what_is_larger_is_said():
    n = 8
    one = [generator((1.0, on(n, letter, q))) for q in range(n) for letter in "XZ"]
    two = [generator((1.0, on(n, "ZZ", q, q + 1))) for q in range(n - 1)]
    found = dimension(one + two)
    assert found.value is None and found.reason == "more than 10000"
    assert dimension(one + two, 20).reason == "more than 20"
    sums = dimension([*one, *two, generator((1.0, on(n, "XX", 0, 1)), (1.0, on(n, "YY", 0, 1)))])
    assert sums.value is None and sums.reason == f"sums of more than {lie_algebra.LARGEST_OF_SUMS} Pauli strings"


def test_nearly_ten_thousand_strings_on_seventy_qubits():
    fields = [generator((1.0, on(70, "Z", q))) for q in range(70)]
    couplings = [generator((1.0, on(70, "XX", q, q + 1))) for q in range(69)]
    assert dimension(fields + couplings).value == 9_730


@pytest.mark.slow
def test_a_sum_of_a_thousand_dimensions():
    """All of su(32), with one sum among the generators."""
    one = [generator((1.0, on(5, letter, q))) for q in range(5) for letter in "XZ"]
    two = [generator(*((1.0, on(5, "ZZ", q, q + 1)) for q in range(4)))]
    assert dimension(one + two).value == 4**5 - 1
