"""Haar values against random states and integrals, and the known values of FIELD's table."""

from __future__ import annotations

import math

import numpy as np
import pytest

from qmltrain.circuit.observables import PauliString
from qmltrain.errors import InputError
from qmltrain.studies import haar
from tests.circuit.dense import string_times
from tests.studies.haar_states import states, within_4_errors


@pytest.mark.parametrize("n_qubits", [1, 2, 4])
@pytest.mark.parametrize("n_bins", [1, 7, 75])
def test_bins_are_the_integral_of_the_density(n_qubits, n_bins):
    size = 2**n_qubits
    edges = np.linspace(0, 1, n_bins + 1)
    points, weights = np.polynomial.legendre.leggauss(20)  # exact: a polynomial of degree 14 at most
    for b, (low, high) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
        f = (high + low) / 2 + (high - low) / 2 * points
        integral = (high - low) / 2 * np.sum(weights * (size - 1) * (1 - f) ** (size - 2))
        assert math.exp(haar.log_bin_chances(n_qubits, n_bins)[b]) == pytest.approx(integral, rel=1e-9)


def test_bins_beyond_the_least_double_have_logarithms():
    logs = haar.log_bin_chances(12, 75)
    assert np.isfinite(logs).all()
    assert logs[-1] == pytest.approx(-4095 * math.log(75), rel=1e-12)
    assert np.exp(logs).sum() == pytest.approx(1.0, rel=1e-12)


def test_idle_circuits():
    assert haar.idle_expressibility(1, 75) == pytest.approx(4.3175, abs=5e-5)
    for n in (1, 3, 10):
        found = haar.expressibility(np.ones(100), n, 75)
        assert found.divergence == pytest.approx(haar.idle_expressibility(n, 75), rel=1e-12)
        assert found.error == 0.0 and found.bias == 0.0


def test_rounding_beyond_one_stays_in_the_last_bin():
    assert haar.histogram([-1e-8, 0.0, 0.999, 1.0, 1.0 + 1e-7], 10).tolist() == [2, 0, 0, 0, 0, 0, 0, 0, 0, 3]


@pytest.mark.parametrize("n_qubits", [1, 2, 3])
def test_haar_states_have_no_divergence_but_the_bias(n_qubits):
    """2 pairs KL is chi-squared of n_bins - 1 degrees of freedom: its mean is the bias."""
    generator = np.random.default_rng(n_qubits)
    n_bins, pairs = 8 // n_qubits, 4_000
    found = []
    for _ in range(60):
        a, b = states(generator, pairs, n_qubits), states(generator, pairs, n_qubits)
        found.append(haar.expressibility(np.abs(np.sum(a.conj() * b, axis=1)) ** 2, n_qubits, n_bins))
    within_4_errors(np.array([f.divergence for f in found]), (n_bins - 1) / (2 * pairs))


def test_hadamard_then_rz_has_the_arcsine_law():
    """F = cos^2(delta / 2) of a uniform angle: KL ln(4 / pi) = .2416 of fine bins; bins of the law itself here."""
    edges = np.linspace(0, 1, 1_000_001)
    p = np.diff(2 / np.pi * np.arcsin(np.sqrt(edges)))
    exact = float(np.sum(p * (np.log(p) - haar.log_bin_chances(1, 1_000_000))))
    assert exact == pytest.approx(math.log(4 / math.pi), abs=1e-3)
    coarse = np.diff(2 / np.pi * np.arcsin(np.sqrt(np.linspace(0, 1, 21))))
    expected = float(np.sum(coarse * (np.log(coarse) - haar.log_bin_chances(1, 20))))
    generator = np.random.default_rng(8)
    held = 0
    for _ in range(200):
        found = haar.expressibility(np.cos(generator.uniform(0, 2 * np.pi, 2_000) / 2) ** 2, 1, 20)
        held += abs(found.divergence - found.bias - expected) < 1.96 * found.error
    assert 0.88 <= held / 200 <= 0.995  # the error is what it says


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize("n_qubits", [1, 2, 3])
def test_frame_potentials(n_qubits, real):
    generator = np.random.default_rng(10 + n_qubits)
    a, b = (states(generator, 20_000, n_qubits, real) for _ in range(2))
    fidelity = np.abs(np.sum(a.conj() * b, axis=1)) ** 2
    for order in (1, 2, 3):
        within_4_errors(fidelity**order, haar.frame_potential(n_qubits, order, real))
    size = 2**n_qubits
    for t in (1, 2, 3):
        expected = math.factorial(t) * math.factorial(size - 1) / math.factorial(size + t - 1)
        assert haar.frame_potential(n_qubits, t) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("real", [False, True])
@pytest.mark.parametrize(("n_qubits", "expected"), [(1, 0.0), (2, 0.4), (4, 14 / 17)])
def test_meyer_wallach(n_qubits, expected, real):
    assert haar.meyer_wallach(n_qubits) == pytest.approx(expected, rel=1e-14)
    expected = haar.meyer_wallach(n_qubits, real)
    psi = states(np.random.default_rng(20 + n_qubits), 4_000, n_qubits, real)
    q = 1.0
    for qubit in range(n_qubits):
        for x, z in ((1, 0), (1, 1), (0, 1)):
            turned = string_times(PauliString(x << qubit, z << qubit), psi)
            q = q - np.sum(psi.conj() * turned, axis=1).real ** 2 / n_qubits
    if n_qubits == 1:
        np.testing.assert_allclose(q, 0.0, atol=1e-12)
    else:
        within_4_errors(q, expected)


def test_what_cannot_be_is_refused():
    with pytest.raises(InputError, match="scan.bins"):
        haar.histogram([0.5], 0)
    with pytest.raises(InputError):
        haar.expressibility([], 2, 75)
