"""Initial parameters: the rule for trainable features, every registered initializer, refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest

from qmltrain.circuit.angle import feature, parameter
from qmltrain.circuit.circuit import Circuit, Gate
from qmltrain.errors import InputError, UnusedOptionError
from qmltrain.training.initialization import INITIALIZERS, initial_parameters, parameter_kinds

every_initializer = pytest.mark.parametrize("name", sorted(INITIALIZERS))


def re_uploading(trainable: bool, n_angles: int = 6) -> Circuit:
    """One encoding gate (its weight and bias, where trained, come first) and `n_angles` plain rotations."""
    own = ("encoding.0.ry.0.weight", "encoding.0.ry.0.bias") if trainable else ()
    encoding = feature(0, weight=0, bias=1) if trainable else feature(0)
    gates = [Gate("ry", (0,), (encoding,))]
    gates += [Gate("rx", (0,), (parameter(len(own) + k),)) for k in range(n_angles)]
    return Circuit(1, tuple(gates), (*own, *(f"ansatz.{k}" for k in range(n_angles))), n_features=1)


@every_initializer
@pytest.mark.parametrize("n_angles", [0, 1, 6])
def test_trained_features_start_as_plain_ones(name: str, n_angles: int) -> None:
    parameters = initial_parameters(re_uploading(True, n_angles), name, np.random.default_rng(3))
    assert parameters.shape == (n_angles + 2,) and parameters.dtype == np.float64
    assert np.array_equal(parameters[:2], [1.0, 0.0])
    plain = initial_parameters(re_uploading(False, n_angles), name, np.random.default_rng(3))
    assert np.array_equal(parameters[2:], plain)  # the ansatz starts where it did


def test_kinds_are_read_from_the_angles() -> None:
    gates = (
        Gate("ry", (0,), (feature(0, weight=0, bias=1),)),
        Gate("ry", (0,), (feature(1, weight=2),)),
        Gate("rx", (0,), (parameter(3),)),
        Gate("rx", (0,), (parameter(2),)),  # a weight that is an angle of its own, too
        Gate("rx", (0,), (feature(1, weight=5, bias=5),)),
    )
    circuit = Circuit(1, gates, ("a", "b", "c", "d", "unused", "both"), n_features=2)
    kinds = ("feature_weight", "feature_bias", "angle", "angle", "angle", "angle")
    assert parameter_kinds(circuit) == kinds


def test_distributions() -> None:
    circuit = re_uploading(False, 4000)
    uniform = initial_parameters(circuit, "uniform", np.random.default_rng(0))
    assert np.all(np.abs(uniform) <= math.pi) and np.std(uniform) == pytest.approx(math.pi / math.sqrt(3), rel=0.05)
    narrow = initial_parameters(circuit, "uniform", np.random.default_rng(0), scale=0.5)
    assert np.all(np.abs(narrow) <= 0.5) and np.max(np.abs(narrow)) > 0.49
    normal = initial_parameters(circuit, "normal", np.random.default_rng(0))
    assert np.std(normal) == pytest.approx(0.1, rel=0.05) and abs(np.mean(normal)) < 0.01
    wide = initial_parameters(circuit, "normal", np.random.default_rng(0), scale=2.0)
    np.testing.assert_allclose(wide, 20 * normal, rtol=1e-12)
    assert not np.any(initial_parameters(circuit, "zeros", np.random.default_rng(0)))
    beta = initial_parameters(circuit, "beta", np.random.default_rng(0), scale=2.0, shape=[1.0, 3.0])
    assert np.all(np.abs(beta) <= 2.0) and np.mean(beta) == pytest.approx(2 * (2 * 0.25 - 1), abs=0.05)
    symmetric = initial_parameters(circuit, "beta", np.random.default_rng(0))
    assert np.std(symmetric) == pytest.approx(2 * math.pi * math.sqrt(0.05), rel=0.05)


def test_ranges_have_two_ends_of_their_own() -> None:
    circuit = re_uploading(False, 4000)
    low = initial_parameters(circuit, "uniform", np.random.default_rng(0), range=[0.0, 2.0])
    assert 0.0 <= np.min(low) < 0.01 and 1.99 < np.max(low) <= 2.0
    symmetric = initial_parameters(circuit, "uniform", np.random.default_rng(0), range=[-math.pi, math.pi])
    assert np.array_equal(symmetric, initial_parameters(circuit, "uniform", np.random.default_rng(0)))


@every_initializer
def test_trained_features_are_drawn_behind_the_others(name: str) -> None:
    plain = initial_parameters(re_uploading(True), name, np.random.default_rng(3))
    drawn = initial_parameters(re_uploading(True), name, np.random.default_rng(3), features=[2.0, 3.0])
    assert np.array_equal(drawn[2:], plain[2:]) and np.all((drawn[:2] >= 2.0) & (drawn[:2] <= 3.0))
    assert drawn[0] != drawn[1]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("normal", {"range": [0, 1]}, "train.initial_range: not used by normal"),
        ("uniform", {"range": [1, 1]}, r"train.initial_range: \[low, high\] with low < high is needed, found \[1, 1\]"),
        ("uniform", {"range": [0, 1], "scale": 1.0}, "train.initial_scale: not used beside train.initial_range"),
        ("uniform", {"features": [0]}, r"train.initial_features: \[low, high\] .* found \[0\]"),
    ],
)
def test_bad_ranges(name: str, options: dict, message: str) -> None:
    with pytest.raises((InputError, UnusedOptionError), match=message):
        initial_parameters(re_uploading(True), name, np.random.default_rng(0), **options)
    with pytest.raises(UnusedOptionError, match=r"train.initial_features: not used by this circuit"):
        initial_parameters(re_uploading(False), "uniform", np.random.default_rng(0), features=[0, 1])


@every_initializer
def test_the_seed_decides(name: str) -> None:
    circuit = re_uploading(True)
    first, again = (initial_parameters(circuit, name, np.random.default_rng(1)) for _ in range(2))
    other = initial_parameters(circuit, name, np.random.default_rng(2))
    assert np.array_equal(first, again)
    assert np.array_equal(first, other) == (name == "zeros")


@pytest.mark.parametrize(
    ("name", "scale", "message"),
    [
        ("xavier", None, "train.initial: 'xavier' is not known; choose one of uniform, normal, zeros"),
        ("zeros", 0.1, "train.initial_scale: not used by zeros"),
        ("normal", 0.0, "train.initial_scale: 0.0 is not possible"),
        ("normal", -1.0, "choose a number greater than 0"),
        ("uniform", math.nan, "train.initial_scale: nan"),
        ("uniform", math.inf, "train.initial_scale: inf"),
        ("identity", 0.0, "train.initial_scale: 0.0 is not possible"),
        ("identity", None, "train.initial: identity is not possible"),
    ],
)
def test_bad_input(name: str, scale: float | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        initial_parameters(re_uploading(True), name, np.random.default_rng(0), scale)
