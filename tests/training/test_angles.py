"""The chain rule from slots to parameters and features, against finite differences of the values themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from qmltrain.circuit.angle import Angle, Feature, feature, parameter
from qmltrain.circuit.circuit import Circuit, Gate
from qmltrain.errors import InputError, NonFiniteError
from qmltrain.training.angles import AngleMap
from tests.circuit.strategies import circuits, random_inputs
from tests.examples import examples


@settings(max_examples=examples(60), deadline=None)
@given(circuits(min_qubits=2, max_qubits=3, max_gates=10))
def test_gradients_are_finite_differences(circuit):
    theta, x = random_inputs(circuit, 3)
    angles = AngleMap(circuit)
    generator = np.random.default_rng(0)
    shared_S = generator.normal(size=angles.shared(theta).shape)
    per_sample_BS = generator.normal(size=angles.per_sample(theta, x).shape)

    def total(theta, x):
        return np.sum(shared_S * angles.shared(theta)) + np.sum(per_sample_BS * angles.per_sample(theta, x))

    gradient = angles.shared_gradient(shared_S)
    if angles.has_trainable_encoding:
        gradient = gradient + angles.encoding_gradient(angles.encoding_sums(per_sample_BS, x).sum(axis=0))
    step = 1e-6
    for k in range(len(theta)):
        move = step * (np.arange(len(theta)) == k)
        expected = (total(theta + move, x) - total(theta - move, x)) / (2 * step)
        assert abs(gradient[k] - expected) < 1e-6 * max(1, abs(expected))
    inputs = angles.input_gradient(per_sample_BS, theta, x)
    for index in np.ndindex(x.shape):
        move = np.zeros_like(x)
        move[index] = step
        expected = (total(theta, x + move) - total(theta, x - move)) / (2 * step)
        assert abs(inputs[index] - expected) < 1e-5 * max(1, abs(expected))


def test_values_follow_the_formula():
    """scale f(x) weight + bias + offset, term by term."""
    product = Feature("product", (0, 1), centre=np.pi)
    gates = (
        Gate("rx", (0,), (Angle(scale=2.0, weight=0),)),
        Gate("rx", (0,), (Angle(scale=3.0, weight=0, bias=1, offset=0.25),)),
        Gate("rx", (0,), (Angle(scale=9.0, bias=1),)),  # no feature and no weight: the product is absent
        Gate("rx", (0,), (Angle(scale=0.5, feature=product, weight=1, bias=0, offset=-1.0),)),
        Gate("rx", (0,), (Angle(scale=2.0, feature=Feature("arccos", (1,))),)),
    )
    circuit = Circuit(1, gates, ("a", "b"), n_features=2)
    theta, x = np.array([0.7, -0.2]), np.array([[0.1, 0.3], [-0.5, 1.0]])
    shared_S, per_sample_BS = AngleMap(circuit).shared(theta), AngleMap(circuit).per_sample(theta, x)
    np.testing.assert_allclose(shared_S, [1.4, 2.1 - 0.2 + 0.25, -0.2], atol=1e-15)
    expected = 0.5 * (np.pi - x[:, 0]) * (np.pi - x[:, 1]) * -0.2 + 0.7 - 1.0
    np.testing.assert_allclose(per_sample_BS[:, 0], expected, atol=1e-15)
    np.testing.assert_allclose(per_sample_BS[:, 1], 2 * np.arccos(x[:, 1]), atol=1e-15)


def test_equal_angles_share_a_slot():
    angle = Angle(weight=0)
    circuit = Circuit(1, (Gate("rx", (0,), (angle,)), Gate("ry", (0,), (Angle(weight=0),))), ("a",))
    assert circuit.slots.shared == (angle,)


def test_arccos_outside_its_range_is_refused_with_the_sample():
    circuit = Circuit(1, (Gate("rx", (0,), (Angle(feature=Feature("arccos", (0,))),)),), n_features=1)
    with pytest.raises(InputError, match=r"feature 0 of sample 1 is 1\.5: arccos needs"):
        AngleMap(circuit).per_sample(np.zeros(0), np.array([[0.0], [1.5]]))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_angles_that_are_not_finite_are_found(bad):
    gates = (Gate("rz", (0,), (parameter(0),)), Gate("ry", (0,), (feature(0),)))
    angles = AngleMap(Circuit(1, gates, ("a",), n_features=1))
    with pytest.raises(NonFiniteError, match="shared slot 0 is"):
        angles.shared(np.array([bad]))
    with pytest.raises(NonFiniteError, match="per-sample slot 0 is"):
        angles.per_sample(np.zeros(1), np.array([[0.0], [bad]]))
