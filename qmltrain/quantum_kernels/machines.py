"""Classical machines on a Gram matrix: a support vector machine, in regression kernel ridge, beside the RBF kernel.

scikit-learn's, with a precomputed kernel. Of several C the one with the best mean score of a cross-validation within
the training rows is taken (of equal ones the smallest), then the machine is fitted on all of them; the test rows are
looked at once. The rival is the same machine with the same choice, on a Gaussian of the standardised features
(gamma="scale"). One BLAS thread and seeded folds: the same matrix gives the same numbers.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmltrain.engines.protocol import FloatArray
from qmltrain.errors import InputError
from qmltrain.training.gradients import StepAbandoned
from qmltrain.training.metrics import classification_metrics, confusion_matrix, regression_metrics, roc_auc

DEFAULT_C = (0.1, 1.0, 10.0, 100.0)
DEFAULT_FOLDS = 5
_MATRICES = 3  # of n x n float64 at once: the matrix, a fold of it, what the machine makes of it


@dataclass(frozen=True)
class Task:
    """Targets of the rows (classes, or numbers in units of the training targets); `n_classes` None: regression.
    `unscale` brings numbers into the units of the data."""

    train_B: NDArray[Any]
    test_B: NDArray[Any]
    n_classes: int | None
    unscale: Callable[[FloatArray], FloatArray]


@dataclass(frozen=True)
class Fitted:
    """`C` that was chosen, its cross-validation score (NaN where there was one C alone), metrics and predictions on the
    test rows (none without)."""

    C: float
    score: float
    metrics: dict[str, float]
    predictions_B: FloatArray


def bytes_needed(n_train: int) -> int:
    """Memory of fitting on so many rows."""
    return _MATRICES * 8 * n_train**2


def check_folds(targets_B: NDArray[Any], n_classes: int | None, folds: int) -> None:
    """Raise InputError where the training rows are too few, or of one class alone."""
    if n_classes is not None and len(np.unique(targets_B)) < 2:
        raise InputError("kernel.fit: all training rows are of one class; use more rows, or kernel.fit=false")
    if folds > len(targets_B):
        raise InputError(f"kernel.folds: {folds} parts of {len(targets_B)} training rows; choose fewer")
    if n_classes is not None:
        least = int(np.bincount(np.asarray(targets_B, dtype=np.int64))[np.unique(targets_B)].min())
        if folds > least:
            raise InputError(
                f"kernel.folds: {folds} parts, but a class has {least} training row{'s' * (least != 1)}; choose fewer, "
                "one kernel.C, or kernel.fit=false"
            )


def fit(
    train_BB: NDArray[Any],
    test_BB: NDArray[Any],
    task: Task,
    candidates: Sequence[float],
    folds: int,
    seed: int,
    stop: Callable[[], bool] = lambda: False,
) -> Fitted:
    """On a Gram matrix (train x train) and (test x train). Raises StepAbandoned where `stop` says so between fits."""
    from threadpoolctl import threadpool_limits

    targets_B = task.train_B
    with threadpool_limits(limits=1), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        train_BB = np.asarray(train_BB, dtype=np.float64)
        best, score = float(candidates[0]), float("nan")
        if len(candidates) > 1:
            scores = dict.fromkeys(sorted(map(float, candidates)), 0.0)
            for inside, outside in _folds(targets_B, task.n_classes, folds, seed):
                part_BB, judged_BB = train_BB[np.ix_(inside, inside)], train_BB[np.ix_(outside, inside)]
                for c in scores:
                    if stop():
                        raise StepAbandoned
                    machine = _machine(c, task.n_classes).fit(part_BB, targets_B[inside])
                    scores[c] += float(machine.score(judged_BB, targets_B[outside])) / folds
                del part_BB, judged_BB
            best = max(scores, key=lambda c: (scores[c], -c))
            score = scores[best]
        if stop():
            raise StepAbandoned
        machine = _machine(best, task.n_classes).fit(train_BB, targets_B)
        if not len(test_BB):
            return Fitted(best, score, {}, np.empty(0))
        test_BB = np.asarray(test_BB, dtype=np.float64)
        predictions_B = machine.predict(test_BB)
        evidence_B = machine.decision_function(test_BB) if task.n_classes == 2 else None
    return Fitted(best, score, *_judged(task, predictions_B, evidence_B))


def rbf_matrices(train_BF: FloatArray, test_BF: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Gaussian kernels of standardised features: exp(-|x - x'|^2 / (F variance))."""
    from sklearn.metrics.pairwise import rbf_kernel
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        scaler = StandardScaler().fit(train_BF)
        train_BF = scaler.transform(train_BF)
        variance = float(train_BF.var())
        gamma = 1.0 / (train_BF.shape[1] * (variance if variance > 0 else 1.0))
        test_BB = (
            rbf_kernel(scaler.transform(test_BF), train_BF, gamma) if len(test_BF) else np.empty((0, len(train_BF)))
        )
        return rbf_kernel(train_BF, gamma=gamma), test_BB


def _machine(c: float, n_classes: int | None) -> Any:
    from sklearn.kernel_ridge import KernelRidge
    from sklearn.svm import SVC

    if n_classes is None:
        return KernelRidge(alpha=1 / (2 * c), kernel="precomputed")
    return SVC(C=c, kernel="precomputed")


def _folds(
    targets_B: NDArray[Any], n_classes: int | None, folds: int, seed: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    from sklearn.model_selection import KFold, StratifiedKFold

    kind = KFold if n_classes is None else StratifiedKFold
    state = int(np.random.SeedSequence(seed).generate_state(1)[0])  # scikit-learn takes 32 bits
    divided = kind(folds, shuffle=True, random_state=state).split(np.zeros(len(targets_B)), targets_B)
    yield from ((np.sort(inside), np.sort(outside)) for inside, outside in divided)


def _judged(
    task: Task, predictions_B: NDArray[Any], evidence_B: FloatArray | None
) -> tuple[dict[str, float], FloatArray]:
    if task.n_classes is None:
        values_B = task.unscale(np.asarray(predictions_B, dtype=np.float64))
        return regression_metrics(task.unscale(task.test_B), values_B), values_B
    metrics = classification_metrics(confusion_matrix(task.test_B, predictions_B, task.n_classes))
    if evidence_B is not None:
        metrics["roc_auc"] = roc_auc(task.test_B, evidence_B)
    return metrics, np.asarray(predictions_B, dtype=np.float64)
