"""Characteristic functions of starts against the initialisers' own draws and against integrals."""

from __future__ import annotations

import math

import numpy as np
import pytest

from qmltrain.studies.starts import Start
from qmltrain.training.initialization import INITIALIZERS
from tests.studies.haar_states import within_4_errors

OPTIONS = [
    ("uniform", {}),
    ("uniform", {"scale": 0.7}),
    ("uniform", {"range": [0.2, 1.5]}),
    ("normal", {}),
    ("normal", {"scale": 1.3}),
    ("beta", {}),
    ("beta", {"scale": 2.0, "shape": [2.0, 5.0]}),
]


@pytest.mark.parametrize(("name", "options"), OPTIONS)
@pytest.mark.parametrize("k", [0.5, 1.0, 3.0])
def test_mean_phase_is_that_of_the_initialiser(name, options, k):
    draws = INITIALIZERS[name](np.random.default_rng(1), 40_000, **options)
    found = Start.of(name, **options).mean_phase(k)
    within_4_errors(np.cos(k * draws), found.real)
    within_4_errors(np.sin(k * draws), found.imag)


@pytest.mark.parametrize("k", [0.0, 0.3, 1.0, 2.0, 6.0])
def test_beta_is_the_integral(k):
    start = Start.of("beta", 2.0, [2.0, 5.0])
    nodes, weights = np.polynomial.legendre.leggauss(60)
    weights = weights * (1 + nodes) * (1 - nodes) ** 4
    expected = np.sum(weights * np.exp(1j * k * 2.0 * nodes)) / weights.sum()
    assert abs(start.mean_phase(k) - expected) < 1e-12


def test_defaults_are_those_of_the_initialisers():
    for name in INITIALIZERS:
        own = INITIALIZERS[name].__kwdefaults__ or {}
        start = Start.of(name)
        assert start.scale == own.get("scale", 0.0)
        assert start.shape == own.get("shape", (2.0, 2.0))


def test_zeros_are_zero_and_pairs_of_layers_are_not_independent():
    assert Start.of("zeros").mean_phase(3.0) == 1.0
    assert Start.of("identity") is None
    assert Start.of("from_run") is None
    assert Start.of("beta", 1e6) is None


def test_whole_periods():
    assert Start.of("uniform").covers(2 * math.pi)
    assert Start.of("uniform").covers(math.pi)
    assert not Start.of("uniform").covers(4 * math.pi)
    assert Start.of("uniform", 2 * math.pi).covers(4 * math.pi)
    assert not Start.of("uniform", 1.0).covers(2 * math.pi)
    assert not Start.of("normal").covers(2 * math.pi)
    assert not Start.of("beta").covers(2 * math.pi)


def test_descriptions():
    assert [Start.of(name).description for name in ("uniform", "normal", "beta", "zeros")] == [
        "uniform in [-3.14159, 3.14159]",
        "normal, deviation 0.1",
        "beta(2, 2) in [-3.14159, 3.14159]",
        "all 0",
    ]
