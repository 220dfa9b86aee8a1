"""Cross-validation: the rows outside the test split in folds; a run has one of them as its test split."""

from __future__ import annotations

import numpy as np

from qmltrain.data.protocol import LabelArray, PartArray, RowArray, SourceInfo
from qmltrain.data.splits import TEST, TRAIN, VALIDATION, Split, split, split_as_given
from qmltrain.errors import InputError
from qmltrain.wording import plural, shown

APART = -1  # rows that no fold's run sees: the test split of the run without folds


def split_of_fold(
    labels: LabelArray,
    info: SourceInfo,
    n_folds: int,
    fold: int,
    validation: float,
    test: float,
    generator: np.random.Generator,
) -> Split:
    """The split of the run of `fold` (from 0): its rows are the test split, and those that are the test split without
    folds (the data's own, else the fraction `test`) are in none.

    All other rows are dealt into `n_folds` folds, each class in its share, whose sizes differ by one at most; the folds
    are a function of the generator's seed and all arguments but `fold` and `validation`. Of the rows outside the fold
    `validation` is the fraction that validates; rows that the data gives to validation do so in every run. Raises
    InputError where a fold would lack a class.
    """
    if info.parts is None:
        whole = split(labels, info.task, 0.0, test, generator)
    else:
        whole = split_as_given(labels, info.task, info.parts, 0.0, test, generator)
    parts: PartArray = np.full(len(labels), APART, dtype=np.int8)
    parts[whole.validation] = VALIDATION
    dealt = whole.train
    fold_of = _deal(labels[dealt], info, n_folds, generator)
    parts[dealt] = np.where(fold_of == fold, TEST, TRAIN)
    return split_as_given(labels, info.task, parts, validation, 0.0, generator)


def _deal(labels: LabelArray, info: SourceInfo, n_folds: int, generator: np.random.Generator) -> RowArray:
    """The fold of each of these rows."""
    n = len(labels)
    if n < n_folds:
        raise InputError(f"dataset.folds: {n_folds} folds of {plural(n, 'row')}; at most as many as rows")
    groups = [np.arange(n)]
    if info.task == "classification":
        present = np.unique(labels)
        groups = [np.flatnonzero(labels == c) for c in present]
        fewest = min(range(len(groups)), key=lambda k: len(groups[k]))
        if len(groups[fewest]) < n_folds:
            name, found = shown(info.class_names[present[fewest]]), plural(len(groups[fewest]), "row")
            raise InputError(
                f"dataset.folds: {n_folds} folds, but class {name} has {found} outside the test split, and every fold "
                "needs one; choose fewer folds, or leave the class out with dataset.classes"
            )
        if len(groups) == 1:
            raise InputError(
                f"dataset.folds: all rows outside the test split are of class {shown(info.class_names[present[0]])}; "
                "cross-validation of a classification needs two classes"
            )
    fold_of = np.empty(n, dtype=np.int64)
    fold_of[np.concatenate([generator.permutation(group) for group in groups])] = np.arange(n) % n_folds
    return fold_of
