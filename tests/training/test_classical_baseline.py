"""The linear baseline: sensible, deterministic, of the right metrics."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris

from qmltrain.errors import InputError
from qmltrain.training import classical_baseline as module
from qmltrain.training.classical_baseline import baseline, hidden_units, perceptron
from qmltrain.training.metrics import metric_names


def test_iris() -> None:
    features, targets = load_iris(return_X_y=True)
    found = baseline(features[::2], targets[::2], features[1::2], targets[1::2], 3)
    assert list(found) == [name for name in metric_names(3) if name != "loss"]
    assert found["accuracy"] > 0.9
    # Units do not matter: features are standardised.
    scaled = baseline(features[::2] * 1e3 + 7, targets[::2], features[1::2] * 1e3 + 7, targets[1::2], 3)
    assert scaled == pytest.approx(found)


def test_two_classes_and_float32() -> None:
    generator = np.random.default_rng(0)
    targets = generator.integers(2, size=200)
    features = (generator.normal(size=(200, 3)) + targets[:, None]).astype(np.float32)
    found = baseline(features[:100], targets[:100], features[100:], targets[100:], 2)
    assert list(found) == [name for name in metric_names(2) if name != "loss"]
    assert 0.7 < found["accuracy"] < 1.0 and found["accuracy"] < found["roc_auc"] < 1.0


def test_regression() -> None:
    features, targets = load_diabetes(return_X_y=True)
    found = baseline(features[::2], targets[::2], features[1::2], targets[1::2], None)
    assert list(found) == [name for name in metric_names(None) if name != "loss"]
    assert 0.3 < found["r2"] < 0.7


@pytest.mark.parametrize("n_classes", [None, 2, 3])
def test_the_same_input_gives_the_same_bits(n_classes: int | None) -> None:
    generator = np.random.default_rng(1)
    features = generator.normal(size=(90, 6))
    targets = generator.normal(size=90) if n_classes is None else generator.integers(n_classes, size=90)
    arguments = features[:60], targets[:60], features[60:], targets[60:], n_classes
    first = baseline(*arguments)
    np.random.seed(5)  # no global random state has a say
    assert baseline(*arguments) == first


def test_classes_missing_from_either_split() -> None:
    generator = np.random.default_rng(2)
    features, targets = generator.normal(size=(30, 2)), np.arange(30) % 2
    found = baseline(features, targets, features[:5], np.full(5, 2), 3)
    assert found["accuracy"] == 0.0
    found = baseline(features, targets, features[:1], targets[:1], 3)
    assert set(found) == {"accuracy", "balanced_accuracy", "f1_macro"}


def test_constant_features_are_no_trouble() -> None:
    targets = np.arange(10) % 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = baseline(np.ones((10, 2)), targets, np.ones((10, 2)), targets, 2)
    assert found["accuracy"] == 0.5 and found["roc_auc"] == 0.5


def test_one_class_is_refused() -> None:
    with pytest.raises(InputError, match="all 4 training samples are of one class"):
        baseline(np.zeros((4, 2)), np.ones(4, dtype=int), np.zeros((2, 2)), np.array([0, 1]), 2)


def test_an_unfinished_fit_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ITERATIONS", 1)
    features, targets = load_iris(return_X_y=True)
    with pytest.warns(UserWarning, match="had not converged after 1 iterations"):
        baseline(features, targets, features, targets, 3)


@pytest.mark.parametrize(("n_classes", "n_outputs"), [(None, 1), (2, 1), (3, 3)])
def test_a_perceptron_has_at_most_as_many_parameters(n_classes: int | None, n_outputs: int) -> None:
    for most in (30, 57, 200):
        units = hidden_units(6, n_outputs, most)
        assert 6 * units + units + units * n_outputs + n_outputs <= most
        assert 7 * (units + 1) + (units + 1) * n_outputs + n_outputs > most


def test_a_perceptron_learns_what_a_line_cannot() -> None:
    generator = np.random.default_rng(3)
    features = generator.uniform(-1, 1, size=(400, 2))
    targets = (features[:, 0] * features[:, 1] > 0).astype(int)
    arguments = features[:300], targets[:300], features[300:], targets[300:], 2
    found = perceptron(*arguments, 100)
    assert found["accuracy"] > 0.85 > baseline(*arguments)["accuracy"]
    assert found["roc_auc"] > 0.9
    assert perceptron(*arguments, 100) == found
    of_values = perceptron(features[:300], features[:300, 0], features[300:], features[300:, 0], None, 50)
    assert set(of_values) == {"mse", "mae", "r2"}


def test_no_perceptron_is_small_enough() -> None:
    with pytest.raises(InputError, match=r"train.perceptron: .* need 23 parameters"):
        hidden_units(16, 3, 22)
