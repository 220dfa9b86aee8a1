"""Class weights: against scikit-learn, as a factor of value and derivative, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.errors import InputError
from qmltrain.training.class_weights import ClassWeighted, class_weights
from qmltrain.training.losses import LOSSES
from tests.training.loss_cases import CASES, case_name, samples

of_classes = pytest.mark.parametrize("loss", [loss for loss in CASES if loss.n_classes], ids=case_name)


def test_balanced_weights_are_those_of_sklearn() -> None:
    from sklearn.utils.class_weight import compute_class_weight

    labels = np.array([0] * 5 + [1] * 2 + [2] * 30)
    found = class_weights("balanced", labels, 3)
    np.testing.assert_allclose(found, compute_class_weight("balanced", classes=np.arange(3), y=labels), rtol=1e-15)
    assert np.mean(found[labels]) == pytest.approx(1.0)


@of_classes
@pytest.mark.parametrize("n_samples", [1, 13])
def test_weights_are_factors(loss, n_samples: int) -> None:
    outputs, targets = samples(loss, n_samples)
    weights = np.arange(loss.n_classes) / 2
    weighted = ClassWeighted(loss, weights)
    assert (weighted.name, weighted.n_outputs, weighted.signed) == (loss.name, loss.n_outputs, loss.signed)
    np.testing.assert_array_equal(weighted.value(outputs, targets), loss.value(outputs, targets) * weights[targets])
    expected = loss.cotangent(outputs, targets) * weights[targets][:, None]
    np.testing.assert_array_equal(weighted.cotangent(outputs, targets), expected)
    for found, plain in zip(weighted.predict(outputs), loss.predict(outputs), strict=True):
        np.testing.assert_array_equal(found, plain)


def test_other_array_libraries() -> None:
    xp = pytest.importorskip("array_api_strict")
    loss = ClassWeighted(LOSSES["cross_entropy"](3), np.array([1.0, 0.5, 2.0]))
    outputs, targets = samples(loss.loss, 9)
    for function in (loss.value, loss.cotangent):
        other = function(xp.asarray(outputs), xp.asarray(targets))
        assert np.array_equal(np.asarray(other), function(outputs, targets))


@pytest.mark.parametrize(
    ("given", "n_classes", "message"),
    [
        ([1.0, 2.0], 3, "2 weights for 3 classes; give one per class"),
        ([0.0, 0.0, 0.0], 3, "all are 0"),
        ("balanced", None, "compares with no classes"),
        ("balanced", 4, "no training sample is of class 3"),
    ],
)
def test_impossible_weights_are_refused(given: object, n_classes: int | None, message: str) -> None:
    with pytest.raises(InputError, match=r"^loss\.class_weights: .*" + message):
        class_weights(given, np.array([0, 1, 2, 2]), n_classes)
