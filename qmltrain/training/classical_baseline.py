"""Classical baselines on the very features that the circuit sees: a linear model, and on request a perceptron."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmltrain.errors import InputError
from qmltrain.training.metrics import classification_metrics, confusion_matrix, regression_metrics, roc_auc

MAX_ITERATIONS = 1000  # of logistic regression; standardised features need a few dozen


def baseline(
    features_train_BF: NDArray[np.floating],
    targets_train_B: NDArray[np.generic],
    features_BF: NDArray[np.floating],
    targets_B: NDArray[np.generic],
    n_classes: int | None,
) -> dict[str, float]:
    """Metrics on (`features_BF`, `targets_B`) of a linear model fitted to the training samples.

    Logistic regression (`n_classes` None: ridge regression) with scikit-learn's default penalties on standardised
    features, in float64, on one thread, without randomness: the same input gives the same numbers. The keys are
    those of `metrics.metric_names` but "loss". Raises InputError where the training samples hold one class alone.
    """
    from sklearn.linear_model import LogisticRegression, Ridge

    linear = Ridge() if n_classes is None else LogisticRegression(max_iter=MAX_ITERATIONS)
    return _fit(linear, features_train_BF, targets_train_B, features_BF, targets_B, n_classes)


def hidden_units(n_features: int, n_outputs: int, most_parameters: int) -> int:
    """The widest hidden layer with which a perceptron has at most `most_parameters` weights and biases.

    Raises InputError where not even one unit fits.
    """
    units = (most_parameters - n_outputs) // (n_features + 1 + n_outputs)
    if units < 1:
        raise InputError(
            f"train.perceptron: {n_features} features and {n_outputs} outputs need "
            f"{n_features + 1 + 2 * n_outputs} parameters, the circuit and its head have {most_parameters}; "
            "leave it out, or use more layers"
        )
    return units


def perceptron(
    features_train_BF: NDArray[np.floating],
    targets_train_B: NDArray[np.generic],
    features_BF: NDArray[np.floating],
    targets_B: NDArray[np.generic],
    n_classes: int | None,
    most_parameters: int,
) -> dict[str, float]:
    """As `baseline`, of a perceptron with one hidden layer of rectifiers and at most `most_parameters` parameters."""
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    n_outputs = 1 if n_classes in (None, 2) else n_classes
    units = hidden_units(np.shape(features_BF)[1], n_outputs, most_parameters)
    kind = MLPRegressor if n_classes is None else MLPClassifier
    model = kind(hidden_layer_sizes=(units,), max_iter=MAX_ITERATIONS, random_state=0)
    return _fit(model, features_train_BF, targets_train_B, features_BF, targets_B, n_classes)


def _fit(
    estimator: Any,
    features_train_BF: NDArray[np.floating],
    targets_train_B: NDArray[np.generic],
    features_BF: NDArray[np.floating],
    targets_B: NDArray[np.generic],
    n_classes: int | None,
) -> dict[str, float]:
    """Metrics of a scikit-learn estimator behind standardised features, fitted in float64 on one thread."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    features_train_BF = np.asarray(features_train_BF, dtype=np.float64)
    features_BF = np.asarray(features_BF, dtype=np.float64)
    if n_classes is not None and len(np.unique(targets_train_B)) < 2:
        raise InputError(
            f"train.baseline: all {len(targets_train_B)} training samples are of one class; use more samples, or "
            "train.baseline=false"
        )
    model = make_pipeline(StandardScaler(), estimator)
    with threadpool_limits(limits=1), warnings.catch_warnings():
        # The one warning there is says that the fit stopped at MAX_ITERATIONS; it is said again below, in a line.
        warnings.simplefilter("ignore")
        model.fit(features_train_BF, targets_train_B)
        predictions_B = model.predict(features_BF)
        evidence = None
        if n_classes == 2 and hasattr(estimator, "decision_function"):
            evidence = model.decision_function(features_BF)
        elif n_classes == 2:
            evidence = model.predict_proba(features_BF)[:, 1]
    if np.max(0 if getattr(estimator, "n_iter_", None) is None else estimator.n_iter_) >= MAX_ITERATIONS:
        warnings.warn(
            f"baseline: {type(estimator).__name__} had not converged after {MAX_ITERATIONS} iterations", stacklevel=3
        )
    if n_classes is None:
        return regression_metrics(targets_B, predictions_B)
    metrics = classification_metrics(confusion_matrix(targets_B, predictions_B, n_classes))
    if evidence is not None:
        metrics["roc_auc"] = roc_auc(targets_B, evidence)
    return metrics
