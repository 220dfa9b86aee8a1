"""Variances of 2-designs against Haar-random unitaries, and the numbers of the literature."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.circuit.gates import pauli_product
from qmltrain.circuit.observables import pauli_string
from qmltrain.studies import two_designs
from tests.studies.haar_states import states, unitaries, within_4_errors

ZZ = {1: "Z", 2: "ZZ", 3: "ZZI"}


REAL = pytest.mark.parametrize("real", [False, True])


def observable(n_qubits):
    """A sum of strings, one of them imaginary, and its matrix."""
    letters = [(0.7, ZZ[n_qubits]), (-1.3, "X" + "I" * (n_qubits - 1)), (0.4, "I" * (n_qubits - 1) + "Y")]
    terms = [(c, pauli_string(dict(enumerate(text)))) for c, text in letters]
    return terms, sum(c * pauli_product(text) for c, text in letters)


def derivative(before_D, P, after):
    """<psi| (i/2) [P, O'] |psi> of each state."""
    return 0.5 * np.einsum("di,...ij,dj->d", before_D.conj(), 1j * (P @ after - after @ P), before_D).real


@pytest.mark.parametrize("n_qubits", [1, 2, 3])
def test_weight_is_a_trace(n_qubits):
    terms, matrix = observable(n_qubits)
    assert two_designs.weight([*terms, (5.0, pauli_string({}))]) == pytest.approx(
        np.trace(matrix @ matrix).real / 2**n_qubits, rel=1e-12
    )


def part(matrix, real):
    """The part of a matrix that real states see: a string of an odd number of Y is 0 in all of them."""
    return (matrix + matrix.T) / 2 if real else matrix


@REAL
@pytest.mark.parametrize("n_qubits", [1, 2, 3])
def test_both_parts(n_qubits, real):
    terms, matrix = observable(n_qubits)
    generator = np.random.default_rng(n_qubits)
    P = pauli_product("Y" + "I" * (n_qubits - 1))
    after_D = unitaries(generator, 8_000, n_qubits, real)
    evolved = after_D.conj().transpose(0, 2, 1) @ matrix @ after_D
    psi = states(generator, 8_000, n_qubits, real)
    commutators = 1j * (P @ evolved - evolved @ P)
    draws = 0.5 * np.einsum("di,dij,dj->d", psi.conj(), commutators, psi).real
    within_4_errors(draws, 0.0)
    weight = two_designs.weight(terms, real)
    within_4_errors(draws**2, two_designs.gradient_variance(n_qubits, weight, real))


@REAL
@pytest.mark.parametrize("n_qubits", [1, 2, 3])
def test_only_before(n_qubits, real):
    terms, matrix = observable(n_qubits)
    P = pauli_product("Y" + "I" * (n_qubits - 1))
    psi = states(np.random.default_rng(n_qubits), 20_000, n_qubits, real)
    size = 2**n_qubits
    seen = part(matrix, real)
    exact = (np.trace(seen @ seen) - np.trace(P @ seen @ P @ seen)).real / (
        size * (size + 2) if real else 2 * size * (size + 1)
    )
    anticommuting = sum(c**2 for c, s in terms if (s.x_mask ^ s.z_mask) & 1)  # of Y on qubit 0: X and Z there
    assert two_designs.gradient_variance_before(n_qubits, anticommuting, real) == pytest.approx(exact, rel=1e-12)
    draws = 0.5 * np.einsum("di,ij,dj->d", psi.conj(), 1j * (P @ matrix - matrix @ P), psi).real
    within_4_errors(draws**2, exact)


@REAL
@pytest.mark.parametrize("n_qubits", [1, 2, 3])
def test_only_after(n_qubits, real):
    terms, matrix = observable(n_qubits)
    generator = np.random.default_rng(n_qubits)
    P = pauli_product(("Y" if real else "Z") + "I" * (n_qubits - 1))
    [psi] = states(generator, 1, n_qubits, real)
    after_D = unitaries(generator, 8_000, n_qubits, real)
    evolved = after_D.conj().transpose(0, 2, 1) @ matrix @ after_D
    draws = 0.5 * np.einsum("i,dij,j->d", psi.conj(), 1j * (P @ evolved - evolved @ P), psi).real
    expectation = np.vdot(psi, P @ psi).real
    weight = two_designs.weight(terms, real)
    if n_qubits == 1 and real:  # one angle: sin^2 of it on average is the same over and over
        assert two_designs.gradient_variance_after(1, weight, 0.0, real) == pytest.approx(weight / 2)
    within_4_errors(draws**2, two_designs.gradient_variance_after(n_qubits, weight, expectation**2, real))


@REAL
@pytest.mark.parametrize("n_qubits", [1, 2, 3])
def test_loss(n_qubits, real):
    terms, matrix = observable(n_qubits)
    psi = states(np.random.default_rng(n_qubits), 20_000, n_qubits, real)
    draws = np.einsum("di,ij,dj->d", psi.conj(), matrix, psi).real
    within_4_errors(draws**2, two_designs.loss_variance(n_qubits, two_designs.weight(terms, real), real))


@pytest.mark.parametrize(("n", "expected"), [(1, 2 / 9), (2, 8 / 75), (4, 0.0295271), (10, 4.87805e-4)])
def test_known_values(n, expected):
    assert two_designs.gradient_variance(n, 1.0) == pytest.approx(expected, rel=2e-6)


@pytest.mark.parametrize("n", [2, 4, 6, 8, 10])
def test_mcclean_s_first_parameter(n):
    """RY(pi/4) on all, P of X, Y, Z: 1 - <P>^2 is 2/3 on average, N / (3 (N^2 - 1))."""
    size = 2.0**n
    found = two_designs.gradient_variance_after(n, 1.0, 1 / 3)
    assert found == pytest.approx(size / (3 * (size**2 - 1)), rel=1e-14)


def test_large_sizes_do_not_overflow():
    assert two_designs.gradient_variance(500, 1.0) == pytest.approx(2.0**-501, rel=1e-12)
    assert two_designs.gradient_variance_after(500, 1.0, 0.0) == pytest.approx(2.0**-501, rel=1e-12)
