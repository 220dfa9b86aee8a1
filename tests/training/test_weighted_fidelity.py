"""WeightedFidelity: its definition written out sample by sample, derivatives by its weights, what it is refused."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from qmltrain.errors import InputError
from qmltrain.training.class_weights import ClassWeighted
from qmltrain.training.losses import build_loss
from qmltrain.training.weighted_fidelity import WeightedFidelity


def samples(n_outputs: int, n_samples: int = 9) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights, outputs, targets."""
    generator = np.random.default_rng(4)
    outputs = generator.uniform(-1, 1, (n_samples, n_outputs))
    return generator.normal(1, 0.5, 2 * n_outputs), outputs, generator.integers(0, 2, n_samples)


@pytest.mark.parametrize("n_outputs", [1, 2, 5])
def test_the_definition(n_outputs: int) -> None:
    """arXiv:2403.07059: fidelities of a qubit with |1>, for the label -1, and with |0>, for the label 1."""
    weights, outputs, targets = samples(n_outputs)
    loss = WeightedFidelity(2, n_outputs)
    named = dict(zip(loss.parameter_names, weights, strict=True))
    expected = np.zeros(len(outputs))
    for sample, target in enumerate(targets):
        y = 2 * target - 1
        for k, z in enumerate(outputs[sample]):
            expected[sample] += 0.5 * (named[f"loss.0.{k}"] * (1 - z) / 2 - (1 - y) / 2) ** 2
            expected[sample] += 0.5 * (named[f"loss.1.{k}"] * (1 + z) / 2 - (1 + y) / 2) ** 2
    np.testing.assert_allclose(loss.at(weights).value(outputs, targets), expected, rtol=1e-13)
    assert list(named) == [f"loss.{c}.{k}" for c in range(2) for k in range(n_outputs)]


@pytest.mark.parametrize("class_weights", [None, [0.5, 3.0]])
@pytest.mark.parametrize("n_outputs", [1, 3])
def test_derivatives_by_the_weights(n_outputs: int, class_weights: list[float] | None) -> None:
    weights, outputs, targets = samples(n_outputs)
    loss = build_loss("weighted_fidelity", {}, 2, n_outputs)
    if class_weights is not None:
        loss = ClassWeighted(loss, np.array(class_weights))
    found = loss.at(weights).sample_gradients(outputs, targets)
    assert found.shape == (len(outputs), loss.n_parameters)
    for k in range(loss.n_parameters):
        move = 1e-5 * np.eye(loss.n_parameters)[k]
        up, down = (loss.at(weights + s * move).value(outputs, targets) for s in (1, -1))
        np.testing.assert_allclose(found[:, k], (up - down) / 2e-5, atol=1e-9)


def test_weights_start_at_one_and_have_no_values_before() -> None:
    loss = WeightedFidelity(2, 3)
    assert np.array_equal(loss.initial(np.random.default_rng(0)), np.ones(6))
    _, outputs, targets = samples(3)
    with pytest.raises(ValueError, match="give them with `at`"):
        loss.value(outputs, targets)
    bound = loss.at(np.ones(6))
    assert loss._weights_P is None and copy.copy(bound)._weights_P is not None


def test_the_prediction_is_the_sign_of_the_mean() -> None:
    loss = WeightedFidelity(2, 2)
    classes, scores = loss.predict(np.array([[0.5, -0.4], [0.5, -0.6], [0.0, 0.0]]))
    assert classes.tolist() == [1, 0, 0]
    np.testing.assert_allclose(scores[:, 0], [0.05, -0.05, 0], atol=1e-15)


def test_other_array_libraries() -> None:
    xp = pytest.importorskip("array_api_strict")
    weights, outputs, targets = samples(3)
    for given in (weights, xp.asarray(weights)):
        loss = WeightedFidelity(2, 3).at(given)
        found = loss.sample_gradients(xp.asarray(outputs), xp.asarray(targets))
        expected = WeightedFidelity(2, 3).at(weights).sample_gradients(outputs, targets)
        assert np.array_equal(np.asarray(found), expected)


@pytest.mark.parametrize("n_classes", [None, 3])
def test_other_tasks_are_refused(n_classes: int | None) -> None:
    with pytest.raises(InputError, match=r"^loss\.name: weighted_fidelity"):
        WeightedFidelity(n_classes, 2)
