"""Which rows train, which choose the best snapshot (validation) and which are looked at once, at the end (test)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmltrain.data.protocol import LabelArray, PartArray, RowArray, SourceInfo, Task
from qmltrain.errors import InputError
from qmltrain.wording import shown

TRAIN, VALIDATION, TEST = 0, 1, 2
_TO_TARGETS = "where labels are numbers to predict, set dataset.task=regression"
_WORDS = {
    TRAIN: ("train", "training", "0", "0.0"),
    VALIDATION: ("val", "valid", "validation", "dev", "1", "1.0"),
    TEST: ("test", "testing", "2", "2.0"),
}
_PARTS = {word: part for part, words in _WORDS.items() for word in words}


@dataclass(frozen=True)
class Split:
    """Row numbers, increasing, disjoint, together all rows; `validation` and `test` may be empty."""

    train: RowArray
    validation: RowArray
    test: RowArray


def split(labels: LabelArray, task: Task, validation: float, test: float, generator: np.random.Generator) -> Split:
    """Split the rows of `labels` (n,) at random; `validation` and `test` are fractions of the whole, 0 for none.

    The parts have round(n * fraction) rows. For classification each class is spread in its share, by largest
    remainders, and stays present in the training rows. The test rows are drawn first: they do not change with the
    `validation` fraction. Raises InputError where the fractions cannot be had.
    """
    n = len(labels)
    for name, fraction in (("validation", validation), ("test", test)):
        if not 0 <= fraction < 1:
            raise InputError(f"dataset.{name}: {fraction} is not a fraction; choose 0 up to, but not, 1")
    if validation + test >= 1:
        raise InputError(f"dataset.validation + dataset.test: {validation} + {test} leaves no row to train on")
    n_validation, n_test = (_n_rows(n, f, name) for f, name in ((validation, "validation"), (test, "test")))

    groups = [np.arange(n)] if task == "regression" else _rows_of_classes(labels)
    sizes = np.array([len(group) for group in groups])
    spare = sizes - 1  # one row of each class must stay for training
    if n_validation + n_test > spare.sum():
        targets = f"; {_TO_TARGETS}" if 3 * len(groups) > n else ""
        raise InputError(
            f"dataset.validation, dataset.test: {n_validation} + {n_test} of {n} rows leave fewer than one training "
            f"row for each of {len(groups)} classes; use smaller fractions or more samples{targets}"
        )
    tests = apportion(n_test, sizes, spare)
    validations = apportion(n_validation, sizes, spare - tests)

    parts: tuple[list[RowArray], ...] = ([], [], [])
    for group, n_first, n_second in zip(groups, tests, validations, strict=True):
        shuffled = generator.permutation(group)
        for part, rows in zip(parts, np.split(shuffled, [n_first, n_first + n_second]), strict=True):
            part.append(rows)
    test_rows, validation_rows, train_rows = (np.sort(np.concatenate(part)) for part in parts)
    return Split(train_rows, validation_rows, test_rows)


def split_as_given(
    labels: LabelArray, task: Task, parts: PartArray, validation: float, test: float, generator: np.random.Generator
) -> Split:
    """The split that the data gives itself in `parts` (n,) (`TRAIN`, `VALIDATION`, `TEST` of each row).

    Where it has no validation or no test rows, they are drawn from its training rows as by `split`, of which then
    `validation` and `test` are fractions.
    """
    rows = [np.flatnonzero(parts == part) for part in (TRAIN, VALIDATION, TEST)]
    if not len(rows[TRAIN]):
        raise InputError("dataset: the data's own split leaves no row for training")
    wanted = (0.0 if len(rows[VALIDATION]) else validation, 0.0 if len(rows[TEST]) else test)
    own = labels[rows[TRAIN]]
    if task == "classification":  # a class may be in other parts alone; those that are here are drawn from in order
        own = np.unique(own, return_inverse=True)[1]
    drawn = split(own, task, *wanted, generator)
    return Split(
        rows[TRAIN][drawn.train],
        rows[VALIDATION] if len(rows[VALIDATION]) else rows[TRAIN][drawn.validation],
        rows[TEST] if len(rows[TEST]) else rows[TRAIN][drawn.test],
    )


def check_two_classes(labels: LabelArray, info: SourceInfo) -> None:
    """Raise InputError where all `labels` (n,) of a classification are the same: nothing to train on, though one
    class can be evaluated."""
    if info.task == "classification" and (labels == labels[0]).all():
        raise InputError(
            f"dataset: every label is {info.class_names[labels[0]]} ({info.description}); training a classification "
            "needs at least two classes"
        )


def parse_parts(values: NDArray[Any], where: str) -> PartArray:
    """Of each row `TRAIN`, `VALIDATION` or `TEST`, from texts (train, validation or val, test) or 0, 1, 2."""
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise InputError(f"{where}: has shape {values.shape}; the split is one entry per row")
    allowed = "train, validation, test (or 0, 1, 2)"
    if values.dtype.kind == "b":
        raise InputError(f"{where}: holds true and false, which do not say a part; allowed are {allowed}")
    parts = np.full(len(values), -1, dtype=np.int8)
    if values.dtype.kind in "iuf":
        known = np.isin(values, (TRAIN, VALIDATION, TEST))
        parts[known] = values[known].astype(np.int8)
    else:
        texts = [value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in values]
        parts[:] = [_PARTS.get(text.strip().lower(), -1) for text in texts]
    if np.any(parts < 0):
        row = int(np.argmax(parts < 0))
        found = str(values[row]) if values.dtype.kind in "iuf" else shown(texts[row])
        raise InputError(f"{where}: row {row} is {found}; allowed are {allowed}")
    return parts


def apportion(total: int, weights: NDArray[Any], caps: NDArray[Any]) -> NDArray[np.int64]:
    """Integers that sum to `total`, in proportion to `weights` by largest remainders, none above its cap.

    Ties go to the lower index. `total` must not exceed the sum of the caps.
    """
    weights, caps = np.asarray(weights, dtype=np.int64), np.asarray(caps, dtype=np.int64)
    if not 0 <= total <= caps.sum():
        raise ValueError(f"cannot apportion {total} under caps of {caps.sum()}")
    whole = max(1, int(weights.sum()))
    shares: NDArray[np.int64] = np.minimum(total * weights // whole, caps)
    by_remainder = np.argsort(-(total * weights % whole), kind="stable")
    missing = int(total - shares.sum())
    while missing:
        for index in by_remainder:
            if missing and shares[index] < caps[index]:
                shares[index] += 1
                missing -= 1
    return shares


def _n_rows(n: int, fraction: float, name: str) -> int:
    rows = int(np.floor(n * fraction + 0.5))
    if fraction > 0 and rows == 0:
        choices = f"0 or at least {1 / n:.3g}" if n > 2 else "0, or take more rows"  # one is left to train on
        raise InputError(f"dataset.{name}: {fraction} of {n} {'row' if n == 1 else 'rows'} is no row; choose {choices}")
    return rows


def _rows_of_classes(labels: LabelArray) -> list[RowArray]:
    counts = np.bincount(labels)
    if not counts.all():
        present = np.flatnonzero(counts).tolist()
        raise InputError(
            f"dataset: class {int(np.argmin(counts))} has no sample although class {present[-1]} has; classes are "
            f"0, 1, ... without gaps: keep some with dataset.classes={present if len(present) <= 10 else '[...]'}, or, "
            f"{_TO_TARGETS}"
        )
    return [np.flatnonzero(labels == c) for c in range(len(counts))]
