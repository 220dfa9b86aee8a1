"""Machines on matrices: scikit-learn's own, on the same folds; too few rows; the same numbers again."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import make_circles, make_friedman1
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold
from sklearn.svm import SVC

from qmltrain.errors import InputError
from qmltrain.quantum_kernels.machines import Task, bytes_needed, check_folds, fit, rbf_matrices
from qmltrain.training.gradients import StepAbandoned

SEED = 5
STATE = int(np.random.SeedSequence(SEED).generate_state(1)[0])


def circles(n=120):
    x, y = make_circles(n, noise=0.1, factor=0.5, random_state=0)
    return x[:80], x[80:], y[:80], y[80:]


def test_classification_is_that_of_a_grid_search():
    train, test, y_train, y_test = circles()
    candidates = (100.0, 0.1, 1.0)
    found = fit(
        rbf_kernel(train, gamma=1), rbf_kernel(test, train, gamma=1), Task(y_train, y_test, 2, lambda y: y),
        candidates, 4, SEED,
    )  # fmt: skip
    folds = StratifiedKFold(4, shuffle=True, random_state=STATE)
    search = GridSearchCV(SVC(gamma=1), {"C": sorted(candidates)}, cv=folds).fit(train, y_train)
    assert search.best_params_["C"] == found.C
    assert found.score == pytest.approx(search.best_score_)
    np.testing.assert_array_equal(found.predictions_B, search.predict(test))
    assert found.metrics["accuracy"] == search.score(test, y_test)
    assert found.metrics["roc_auc"] > 0.9


def test_regression_is_kernel_ridge_in_the_units_of_the_data():
    x, y = make_friedman1(110, noise=0.5, random_state=0)
    mean, scale = y[:70].mean(), y[:70].std()
    z = (y - mean) / scale
    task = Task(z[:70], z[70:], None, lambda values: values * scale + mean)
    candidates = (1.0, 50.0)
    found = fit(rbf_kernel(x[:70], gamma=0.5), rbf_kernel(x[70:], x[:70], gamma=0.5), task, candidates, 3, SEED)
    folds = KFold(3, shuffle=True, random_state=STATE)
    alphas = {"alpha": [1 / (2 * c) for c in candidates]}
    search = GridSearchCV(KernelRidge(kernel="rbf", gamma=0.5), alphas, cv=folds).fit(x[:70], z[:70])
    assert search.best_params_["alpha"] == 1 / (2 * found.C)
    np.testing.assert_allclose(found.predictions_B, search.predict(x[70:]) * scale + mean)
    residual = np.sum((found.predictions_B - y[70:]) ** 2) / np.sum((y[70:] - y[70:].mean()) ** 2)
    assert found.metrics["r2"] == pytest.approx(1 - residual)


def test_one_candidate_is_not_validated_and_rows_to_test_may_be_missing():
    train, _, y_train, _ = circles()
    found = fit(rbf_kernel(train), np.empty((0, 80)), Task(y_train, y_train[:0], 2, lambda y: y), (3.0,), 5, SEED)
    assert found.C == 3 and np.isnan(found.score) and found.metrics == {} and len(found.predictions_B) == 0


def test_of_equal_scores_the_smallest_c_is_taken():
    targets = np.arange(20) % 2
    perfect = np.equal.outer(targets, targets).astype(float)
    task = Task(targets, targets[:0], 2, lambda y: y)
    assert fit(perfect, np.empty((0, 20)), task, (10.0, 1.0, 100.0), 5, SEED).C == 1


def test_the_rival_is_the_rbf_kernel_of_standardised_features():
    train, test, *_ = circles()
    found = rbf_matrices(train * [1, 100], test * [1, 100])
    mean, scale = train.mean(axis=0), train.std(axis=0)
    a, b = (train - mean) / scale, (test - mean) / scale
    np.testing.assert_allclose(found[0], rbf_kernel(a, gamma=0.5))
    np.testing.assert_allclose(found[1], rbf_kernel(b, a, gamma=0.5))
    assert rbf_matrices(train, test[:0])[1].shape == (0, 80)
    constant = rbf_matrices(np.ones((3, 2)), np.ones((1, 2)))
    np.testing.assert_array_equal(constant[0], 1)


@pytest.mark.parametrize(
    ("targets", "n_classes", "folds", "message"),
    [
        ([0, 0, 0], 2, 2, "kernel.fit: all training rows are of one class"),
        ([0, 1, 0, 1], 2, 5, "kernel.folds: 5 parts of 4 training rows"),
        ([0, 1, 0, 0], 2, 2, "kernel.folds: 2 parts, but a class has 1 training row;"),
        ([0.1, 0.2], None, 3, "kernel.folds: 3 parts of 2 training rows"),
    ],
)
def test_too_few_rows_are_refused(targets, n_classes, folds, message):
    with pytest.raises(InputError, match=message):
        check_folds(np.array(targets), n_classes, folds)


def test_it_stops_between_two_fits():
    train, test, y_train, y_test = circles()
    matrices = rbf_kernel(train), rbf_kernel(test, train)
    task = Task(y_train, y_test, 2, lambda y: y)
    asked = []
    with pytest.raises(StepAbandoned):
        fit(*matrices, task, (1.0, 2.0), 5, SEED, lambda: bool(asked.append(0)) or len(asked) > 3)
    assert len(asked) == 4
    assert bytes_needed(1000) == 24_000_000
