"""Every registered loss: derivative, extremes, chunks, predictions, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmltrain.errors import InputError
from qmltrain.training.loss_protocol import Loss
from qmltrain.training.losses import LOSSES
from tests.examples import examples
from tests.training.loss_cases import CASES, every_loss, samples


def test_each_loss_takes_some_task() -> None:
    assert {loss.name for loss in CASES} == set(LOSSES)
    assert all(name == build.name for name, build in LOSSES.items())


@every_loss
@settings(max_examples=examples(25), deadline=None)
@given(seed=st.integers(0, 10_000), n_samples=st.integers(1, 5))
def test_cotangent_is_the_derivative(loss: Loss, seed: int, n_samples: int) -> None:
    outputs, targets = samples(loss, n_samples, seed)
    cotangent = loss.cotangent(outputs, targets)
    assert cotangent.shape == outputs.shape
    step = 1e-5
    for column in range(loss.n_outputs):
        moved = np.zeros_like(outputs)
        moved[:, column] = step
        bend = loss.cotangent(outputs + moved, targets) - cotangent
        smooth = np.abs(bend + loss.cotangent(outputs - moved, targets) - cotangent)[:, column] < 1e-8  # no kink near
        numerical = (loss.value(outputs + moved, targets) - loss.value(outputs - moved, targets)) / (2 * step)
        np.testing.assert_allclose(cotangent[smooth, column], numerical[smooth], atol=1e-8)


@every_loss
@pytest.mark.parametrize("n_samples", [1, 2, 37])
def test_shapes_types_and_predictions(loss: Loss, n_samples: int) -> None:
    outputs, targets = samples(loss, n_samples)
    value = loss.value(outputs, targets)
    assert value.shape == (n_samples,) and value.dtype == np.float64
    assert np.all(value >= 0) or not loss.supervised or loss.name == "unhinged"
    assert loss.cotangent(outputs, targets).dtype == np.float64
    predictions, scores = loss.predict(outputs)
    assert predictions.shape == (n_samples,)
    assert scores.ndim == 2 and len(scores) == n_samples
    if loss.n_classes is None:
        assert np.array_equal(predictions, outputs[:, 0])
    else:
        assert predictions.dtype == np.int64
        assert set(predictions.tolist()) <= set(range(loss.n_classes))
    if loss.n_classes == 2:
        order = np.argsort(scores[:, -1], kind="stable")
        assert np.all(np.diff(predictions[order]) >= 0)  # the last score grows towards class 1
    loss.check_targets(targets)


@every_loss
def test_a_linear_loss_has_one_cotangent(loss: Loss) -> None:
    found = {loss.cotangent(*samples(loss, 5, seed)).tobytes() for seed in (0, 1)}
    assert loss.linear == (len(found) == 1)


@every_loss
def test_the_prediction_is_what_costs_least(loss: Loss) -> None:
    if loss.n_classes is None:
        pytest.skip("regression")
    outputs, _ = samples(loss, 50)
    cost = np.stack([loss.value(outputs, np.full(50, c)) for c in range(loss.n_classes)], axis=1)
    assert np.array_equal(loss.predict(outputs)[0], np.argmin(cost, axis=1))


@every_loss
@pytest.mark.parametrize("magnitude", [1e4, -1e4, 1e-300, 0.0])
def test_extreme_outputs_stay_finite(loss: Loss, magnitude: float) -> None:
    outputs, targets = samples(loss, 16)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        for extreme in (np.full_like(outputs, magnitude), np.sign(outputs) * magnitude):
            assert np.all(np.isfinite(loss.value(extreme, targets)))
            assert np.all(np.isfinite(loss.cotangent(extreme, targets)))
            assert np.all(np.isfinite(loss.predict(extreme)[1]))


@every_loss
def test_chunks_and_layouts_do_not_change_a_bit(loss: Loss) -> None:
    outputs, targets = samples(loss, 101)
    for function in (loss.value, loss.cotangent):
        whole = function(outputs, targets)
        for size in (1, 3, 16, 48):
            parts = [function(outputs[i : i + size], targets[i : i + size]) for i in range(0, 101, size)]
            assert np.array_equal(whole, np.concatenate(parts))
        assert np.array_equal(whole, function(np.asfortranarray(outputs), targets))


@every_loss
def test_other_array_libraries(loss: Loss) -> None:
    xp = pytest.importorskip("array_api_strict")
    outputs, targets = samples(loss, 9)
    for function in (loss.value, loss.cotangent):
        other = function(xp.asarray(outputs), xp.asarray(targets))
        assert np.array_equal(np.asarray(other), function(outputs, targets))
    for other, own in zip(loss.predict(xp.asarray(outputs)), loss.predict(outputs), strict=True):
        assert np.array_equal(np.asarray(other), own)


def test_known_values() -> None:
    hinge, huber = LOSSES["hinge"](2), LOSSES["huber"](None, delta=2.0)
    outputs = np.array([[0.5], [0.5], [3.0], [-1.0]])
    np.testing.assert_allclose(hinge.value(outputs, np.array([1, 0, 1, 0])), [0.5, 1.5, 0, 0])
    np.testing.assert_allclose(hinge.cotangent(outputs, np.array([1, 0, 1, 0]))[:, 0], [-1, 1, 0, 0])
    unhinged = LOSSES["unhinged"](2)
    np.testing.assert_allclose(unhinged.value(outputs, np.array([1, 0, 1, 0])), [0.5, 1.5, -2.0, 0])
    np.testing.assert_allclose(unhinged.cotangent(outputs, np.array([1, 0, 1, 0]))[:, 0], [-1, 1, -1, 1])
    np.testing.assert_allclose(huber.value(outputs, np.zeros(4)), [0.125, 0.125, 4.0, 0.5])
    np.testing.assert_allclose(huber.cotangent(outputs, np.zeros(4))[:, 0], [0.5, 0.5, 2.0, -1.0])
    np.testing.assert_allclose(LOSSES["expectation"](None).value(outputs, np.zeros(4)), outputs[:, 0])
    np.testing.assert_allclose(LOSSES["fidelity"](10).value(outputs[:2], np.zeros(2)), [0.5, 0.5])
    uniform = LOSSES["cross_entropy"](4)
    np.testing.assert_allclose(uniform.value(np.zeros((1, 4)), np.array([2])), np.log(4.0))
    np.testing.assert_allclose(uniform.cotangent(np.zeros((1, 4)), np.array([2])), [[0.25, 0.25, -0.75, 0.25]])
    logistic = LOSSES["binary_cross_entropy"](2)
    np.testing.assert_allclose(logistic.value(np.array([[0.0]]), np.array([1])), np.log(2.0))
    np.testing.assert_allclose(logistic.value(np.array([[-1e4]]), np.array([1])), 1e4)
    np.testing.assert_allclose(logistic.value(np.array([[40.0]]), np.array([1])), np.exp(-40.0), rtol=1e-12)
    squared = LOSSES["mean_squared_error"](2)
    np.testing.assert_allclose(squared.value(np.array([[0.5], [0.5]]), np.array([0, 1])), [2.25, 0.25])
    regression = LOSSES["mean_squared_error"](None)
    np.testing.assert_allclose(regression.value(np.array([[0.5]]), np.array([2.0])), [2.25])


def test_two_classes_either_way() -> None:
    """Softmax over (0, z) is the logistic loss of z."""
    logits = np.linspace(-8.0, 8.0, 17)[:, None]
    targets = np.arange(17) % 2
    both = np.concatenate([np.zeros_like(logits), logits], axis=1)
    softmax, logistic = LOSSES["cross_entropy"](2), LOSSES["binary_cross_entropy"](2)
    np.testing.assert_allclose(softmax.value(both, targets), logistic.value(logits, targets), atol=1e-14)
    np.testing.assert_allclose(softmax.predict(both)[1][:, 1:], logistic.predict(logits)[1], atol=1e-14)


@pytest.mark.parametrize(
    ("name", "n_classes", "message"),
    [
        ("cross_entropy", None, "needs classes.*choose mean_squared_error"),
        ("cross_entropy", 1, "1 class.*needs 2 or more"),
        ("binary_cross_entropy", None, "needs classes"),
        ("binary_cross_entropy", 3, "takes 2 classes, the data has 3; choose cross_entropy"),
        ("mean_squared_error", 10, "takes 2 classes, the data has 10; choose cross_entropy"),
        ("mean_squared_error", 0, "needs 2 or more"),
    ],
)
def test_impossible_tasks_are_refused(name: str, n_classes: int | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        LOSSES[name](n_classes)


@pytest.mark.parametrize(
    ("n_classes", "targets", "message"),
    [
        (2, np.array([0, 1, 2]), "sample 2 has 2; allowed are 0 to 1"),
        (2, np.array([0, -1]), "sample 1 has -1"),
        (2, np.array([0.0, 1.0]), "class numbers"),
        (2, np.array([[0], [1]]), r"shape \(2, 1\)"),
        (None, np.array([0.0, np.nan]), "sample 1 has nan; allowed are finite numbers"),
        (None, np.array([np.inf]), "sample 0 has inf"),
        (None, np.array(["a"]), "expected numbers"),
        (None, np.array([1j]), "expected numbers"),
    ],
)
def test_bad_targets_are_refused(n_classes: int | None, targets: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        LOSSES["mean_squared_error"](n_classes).check_targets(targets)


@pytest.mark.parametrize("delta", [0.0, -1.0, np.inf, np.nan])
def test_bad_delta_is_refused(delta: float) -> None:
    with pytest.raises(InputError, match=r"^loss\.delta: "):
        LOSSES["huber"](None, delta=delta)
