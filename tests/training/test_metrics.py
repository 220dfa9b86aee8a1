"""Metrics against scikit-learn, on random predictions, with missing classes and ties."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from qmltrain.errors import InputError
from qmltrain.training.losses import LOSSES
from qmltrain.training.metrics import (
    classification_metrics,
    confusion_matrix,
    evaluate,
    metric_names,
    monitor_direction,
    regression_metrics,
    roc_auc,
)
from tests.examples import examples


@settings(max_examples=examples(60), deadline=None)
@given(st.data())
def test_classification_as_scikit_learn(data: st.DataObject) -> None:
    n_classes = data.draw(st.integers(2, 6))
    n_samples = data.draw(st.integers(1, 40))
    labels = st.lists(st.integers(0, n_classes - 1), min_size=n_samples, max_size=n_samples)
    targets, predictions = np.array(data.draw(labels)), np.array(data.draw(labels))
    confusion = confusion_matrix(targets, predictions, n_classes)
    expected = sklearn_metrics.confusion_matrix(targets, predictions, labels=range(n_classes))
    assert np.array_equal(confusion, expected)
    found = classification_metrics(confusion)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn on classes without samples
        assert found["accuracy"] == pytest.approx(sklearn_metrics.accuracy_score(targets, predictions), rel=1e-14)
        assert found["balanced_accuracy"] == pytest.approx(
            sklearn_metrics.balanced_accuracy_score(targets, predictions), rel=1e-14
        )
        f1 = sklearn_metrics.f1_score(targets, predictions, average="macro", zero_division=0)
        assert found["f1_macro"] == pytest.approx(f1, rel=1e-14)


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 50), st.sampled_from([2, 5, 10**6]))
def test_roc_auc_as_scikit_learn(seed: int, n_samples: int, n_values: int) -> None:
    generator = np.random.default_rng(seed)
    targets = generator.integers(2, size=n_samples)
    scores = generator.integers(n_values, size=n_samples) / 7.0  # few values: many ties
    if len(set(targets.tolist())) == 1:
        assert math.isnan(roc_auc(targets, scores))
    else:
        assert roc_auc(targets, scores) == pytest.approx(sklearn_metrics.roc_auc_score(targets, scores), abs=1e-13)


@settings(max_examples=examples(50), deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 30))
def test_regression_as_scikit_learn(seed: int, n_samples: int) -> None:
    generator = np.random.default_rng(seed)
    targets, predictions = generator.normal(size=(2, n_samples))
    if seed % 5 == 0:
        targets = np.full(n_samples, 0.5)
    if seed % 10 == 0:
        predictions = targets.copy()
    found = regression_metrics(targets, predictions)
    assert found["mse"] == pytest.approx(sklearn_metrics.mean_squared_error(targets, predictions), rel=1e-12)
    assert found["mae"] == pytest.approx(sklearn_metrics.mean_absolute_error(targets, predictions), rel=1e-12)
    assert found["r2"] == pytest.approx(sklearn_metrics.r2_score(targets, predictions), rel=1e-12)


def test_one_sample_has_no_r2() -> None:
    found = regression_metrics(np.array([1.0]), np.array([0.5]))
    assert math.isnan(found["r2"]) and found["mse"] == 0.25 and found["mae"] == 0.5


@pytest.mark.parametrize("n_classes", [None, 2, 3])
@pytest.mark.parametrize("n_samples", [1, 23])
@pytest.mark.parametrize("name", sorted(LOSSES))
def test_all_metrics_of_a_split_from_any_loss(name: str, n_classes: int | None, n_samples: int) -> None:
    try:
        loss = LOSSES[name](n_classes)
    except InputError:
        pytest.skip("the loss does not take this task")
    generator = np.random.default_rng(0)
    loss = loss.at(loss.initial(generator))
    outputs = generator.normal(size=(n_samples, loss.n_outputs))
    targets = generator.normal(size=n_samples) if n_classes is None else generator.integers(n_classes, size=n_samples)
    if not loss.supervised:
        pytest.skip("the loss has no targets")
    losses = loss.value(outputs, targets)
    found = evaluate("val", n_classes, losses, targets, *loss.predict(outputs))
    assert list(found) == [f"val/{metric}" for metric in metric_names(n_classes)]
    assert all(isinstance(value, float) for value in found.values())
    assert found["val/loss"] == np.mean(losses)
    if n_classes is None and loss.name == "mean_squared_error":
        assert found["val/mse"] == pytest.approx(found["val/loss"], rel=1e-13)


def test_a_perfect_classifier() -> None:
    targets = np.array([0, 1, 1, 0])
    scores = np.array([[0.1], [0.9], [0.8], [0.2]])
    found = evaluate("test", 2, np.zeros(4), targets, targets, scores)
    assert found == {
        "test/loss": 0.0,
        "test/accuracy": 1.0,
        "test/balanced_accuracy": 1.0,
        "test/f1_macro": 1.0,
        "test/roc_auc": 1.0,
    }


@pytest.mark.parametrize("n_classes", [None, 2, 10])
def test_what_may_be_monitored(n_classes: int | None) -> None:
    for name, better in metric_names(n_classes).items():
        assert monitor_direction(f"val/{name}", n_classes) == better
    assert monitor_direction("val/loss", n_classes) == "lower"


@pytest.mark.parametrize(
    ("monitor", "n_classes", "message"),
    [
        ("test/loss", 2, "'test/loss' is not possible for 2 classes; choose one of val/loss, val/accuracy"),
        ("train/loss", 2, "not possible"),
        ("loss", 2, "not possible"),
        ("val/", 2, "not possible"),
        ("val/roc_auc", 3, "not possible for 3 classes"),
        ("val/accuracy", None, "not possible for regression; choose one of val/loss, val/mse, val/mae, val/r2"),
    ],
)
def test_what_may_not_be_monitored(monitor: str, n_classes: int | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        monitor_direction(monitor, n_classes)


def test_without_targets_there_is_the_loss_alone() -> None:
    assert list(metric_names(10, supervised=False)) == ["loss"]
    assert monitor_direction("val/loss", None, supervised=False) == "lower"
    with pytest.raises(InputError, match="not possible for a loss without targets; choose one of val/loss$"):
        monitor_direction("val/mse", None, supervised=False)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="as many losses"):
        evaluate("val", 2, np.zeros(3), np.zeros(3), np.zeros(2), np.zeros((3, 1)))
    with pytest.raises(ValueError, match=r"found \[0\]"):
        evaluate("val", None, np.zeros(0), np.zeros(0), np.zeros(0), np.zeros((0, 1)))
    with pytest.raises(ValueError, match=r"a target is not in 0\.\.1"):
        confusion_matrix(np.array([2]), np.array([0]), 2)
    with pytest.raises(ValueError, match=r"a prediction is not in 0\.\.1"):
        confusion_matrix(np.array([0]), np.array([-1]), 2)
