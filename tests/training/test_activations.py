"""Activations: values against formulas, derivatives against finite differences."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.config.groups.input import InputConfig
from qmltrain.config.rules import Rule
from qmltrain.training.activations import ACTIVATIONS

FORMULAS = {
    "none": lambda a: a,
    "tanh": np.tanh,
    "relu": lambda a: np.maximum(a, 0),
    "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_values_and_derivatives(name):
    a = np.random.default_rng(1).normal(size=(7, 5)) * 3
    one, step = ACTIVATIONS[name], 1e-6
    np.testing.assert_allclose(one.value(a), FORMULAS[name](a), rtol=1e-14)
    differences = (one.value(a + step) - one.value(a - step)) / (2 * step)
    np.testing.assert_allclose(one.derivative(a, one.value(a)), differences, atol=1e-9)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_large_numbers_are_no_trouble(name):
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        one, a = ACTIVATIONS[name], np.array([-800.0, 800.0, 0.0, -0.0])
        assert np.isfinite(one.value(a)).all() and np.isfinite(one.derivative(a, one.value(a))).all()


def test_the_config_knows_those_that_there_are():
    rule: Rule = InputConfig.__dataclass_fields__["activation"].metadata["rule"]
    assert all(rule.accepts(name) for name in ACTIVATIONS) and not rule.accepts("softmax")
