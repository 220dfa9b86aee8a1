"""The classical baseline: how far a linear model gets on the very features that the circuit sees."""

from __future__ import annotations

import warnings

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
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits  # a dependency of scikit-learn

    features_train_BF = np.asarray(features_train_BF, dtype=np.float64)
    features_BF = np.asarray(features_BF, dtype=np.float64)
    if n_classes is not None and len(np.unique(targets_train_B)) < 2:
        raise InputError(
            f"train.baseline: all {len(targets_train_B)} training samples are of one class; use more samples, or "
            "train.baseline=false"
        )
    linear = Ridge() if n_classes is None else LogisticRegression(max_iter=MAX_ITERATIONS)
    model = make_pipeline(StandardScaler(), linear)
    with threadpool_limits(limits=1), warnings.catch_warnings():
        # The one warning there is says that the fit stopped at MAX_ITERATIONS; it is said again below, in a line.
        warnings.simplefilter("ignore")
        model.fit(features_train_BF, targets_train_B)
        predictions_B = model.predict(features_BF)
        evidence = None if n_classes != 2 else model.decision_function(features_BF)
    if n_classes is None:
        return regression_metrics(targets_B, predictions_B)
    if np.max(linear.n_iter_) >= MAX_ITERATIONS:
        warnings.warn(
            f"baseline: logistic regression had not converged after {MAX_ITERATIONS} iterations", stacklevel=2
        )
    metrics = classification_metrics(confusion_matrix(targets_B, predictions_B, n_classes))
    if evidence is not None:
        metrics["roc_auc"] = roc_auc(targets_B, evidence)
    return metrics
