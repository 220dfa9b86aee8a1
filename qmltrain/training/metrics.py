"""Metrics of a whole split, from its predictions: NumPy alone, with the definitions of scikit-learn.

Names are ``{split}/{metric}`` ("val/loss"). Where scikit-learn leaves a value undefined (no sample of the other class
for an ROC curve, one sample for r2) it is NaN. Shape letters: B samples, C classes.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from qmltrain.errors import InputError

Array = NDArray[Any]
Better = Literal["lower", "higher"]

CLASSIFICATION: dict[str, Better] = {
    "loss": "lower",
    "accuracy": "higher",
    "balanced_accuracy": "higher",
    "f1_macro": "higher",
}
BINARY: dict[str, Better] = CLASSIFICATION | {"roc_auc": "higher"}
UNSUPERVISED: dict[str, Better] = {"loss": "lower"}
REGRESSION: dict[str, Better] = {"loss": "lower", "mse": "lower", "mae": "lower", "r2": "higher"}


def metric_names(n_classes: int | None, supervised: bool = True) -> dict[str, Better]:
    """The metrics of a task (`n_classes` None: regression), each with which way is better; the loss alone where no
    targets are compared with (`supervised` false)."""
    if not supervised:
        return UNSUPERVISED
    if n_classes is None:
        return REGRESSION
    return BINARY if n_classes == 2 else CLASSIFICATION


def monitor_direction(monitor: str, n_classes: int | None, supervised: bool = True) -> Better:
    """Which way ``val/...`` is better; InputError for a metric that the task does not have, or of another split."""
    split, _, metric = monitor.partition("/")
    known = metric_names(n_classes, supervised)
    if split != "val" or metric not in known:
        task = "regression" if n_classes is None else f"{n_classes} classes"
        task = task if supervised else "a loss without targets"
        raise InputError(
            f"train.monitor: {monitor!r} is not possible for {task}; choose one of "
            + ", ".join(f"val/{name}" for name in known)
        )
    return known[metric]


def evaluate(
    split: str, n_classes: int | None, losses_B: Array, targets_B: Array, predictions_B: Array, scores_BC: Array
) -> dict[str, float]:
    """All metrics of `metric_names` as ``{split}/{metric}``.

    `losses_B`, `predictions_B` and `scores_BC` as a `Loss` gives them, for the samples of the split in order. Raises
    ValueError for an empty split or lengths that differ.
    """
    n_samples = len(targets_B)
    lengths = {len(losses_B), len(targets_B), len(predictions_B), len(scores_BC)}
    if n_samples == 0 or len(lengths) != 1:
        raise ValueError(f"{split}: expected as many losses, targets, predictions and scores, found {sorted(lengths)}")
    values = {"loss": float(np.add.reduce(losses_B)) / n_samples}
    if n_classes is None:
        values |= regression_metrics(targets_B, predictions_B)
    else:
        values |= classification_metrics(confusion_matrix(targets_B, predictions_B, n_classes))
        if n_classes == 2:
            values["roc_auc"] = roc_auc(targets_B, scores_BC[:, -1])
    return {f"{split}/{metric}": values[metric] for metric in metric_names(n_classes)}


def confusion_matrix(targets_B: Array, predictions_B: Array, n_classes: int) -> NDArray[np.int64]:
    """``matrix_CC[t, p]`` counts the samples of class t predicted as p. Raises ValueError for other class numbers."""
    targets_B, predictions_B = np.asarray(targets_B, dtype=np.int64), np.asarray(predictions_B, dtype=np.int64)
    for what, values in (("target", targets_B), ("prediction", predictions_B)):
        if len(values) and (values.min() < 0 or values.max() >= n_classes):
            raise ValueError(f"confusion_matrix: a {what} is not in 0..{n_classes - 1}")
    counts = np.bincount(targets_B * n_classes + predictions_B, minlength=n_classes * n_classes)
    return counts.reshape(n_classes, n_classes)


def classification_metrics(confusion_CC: Array) -> dict[str, float]:
    """accuracy; balanced_accuracy: mean recall of the classes that have samples; f1_macro: mean F1 of the classes
    that have samples or predictions, 0 where nothing of a class was hit."""
    # lists: an epoch of a small data set notices every operation of NumPy
    hits_C = confusion_CC.diagonal().tolist()
    samples_C, predicted_C = confusion_CC.sum(axis=1).tolist(), confusion_CC.sum(axis=0).tolist()
    counts = list(zip(hits_C, samples_C, predicted_C, strict=True))
    return {
        "accuracy": sum(hits_C) / sum(samples_C),
        "balanced_accuracy": _mean([hits / samples for hits, samples, _ in counts if samples]),
        "f1_macro": _mean([2.0 * hits / (samples + found) for hits, samples, found in counts if samples or found]),
    }


def _mean(values: list[float]) -> float:
    return float(np.add.reduce(np.array(values))) / len(values)


def roc_auc(targets_B: Array, scores_B: Array) -> float:
    """The chance that a sample of class 1 scores higher than one of class 0, a tie counting half (Mann-Whitney U)."""
    positive_B = np.asarray(targets_B) == 1
    n_positive = int(np.count_nonzero(positive_B))
    n_pairs = n_positive * (len(positive_B) - n_positive)
    if n_pairs == 0:
        return float("nan")
    order_B = np.argsort(scores_B)
    sorted_B = np.asarray(scores_B)[order_B]
    positive_B = positive_B[order_B]
    if (sorted_B[1:] > sorted_B[:-1]).all():
        rank_sum = float(np.flatnonzero(positive_B).sum() + n_positive)  # ranks begin at 1
    else:  # equal scores share their mean rank
        _, counts = np.unique(sorted_B, return_counts=True)
        rank_sum = float(np.sum(np.repeat(np.cumsum(counts) - 0.5 * (counts - 1), counts)[positive_B]))
    return (rank_sum - 0.5 * n_positive * (n_positive + 1)) / n_pairs


def regression_metrics(targets_B: Array, predictions_B: Array) -> dict[str, float]:
    """mse, mae, and r2 = 1 - residual / total sum of squares (constant targets: 1 where they are met, else 0)."""
    difference_B = np.asarray(targets_B, dtype=np.float64) - predictions_B
    residual = float(np.sum(np.square(difference_B)))
    total = float(np.sum(np.square(targets_B - np.mean(targets_B))))
    if len(difference_B) < 2:
        r2 = float("nan")
    elif total == 0.0:
        r2 = 1.0 if residual == 0.0 else 0.0
    else:
        r2 = 1.0 - residual / total
    return {"mse": residual / len(difference_B), "mae": float(np.mean(np.abs(difference_B))), "r2": r2}
