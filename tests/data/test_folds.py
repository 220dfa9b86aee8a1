"""Folds: a partition of what is no test split, each class in its share; the same whichever of them is asked for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmltrain.data.folds import split_of_fold
from qmltrain.data.protocol import SourceInfo
from qmltrain.data.splits import TEST, TRAIN, VALIDATION, split
from qmltrain.errors import InputError


def splits_of(labels, n_folds, validation=0.2, test=0.2, seed=0, parts=None):
    """The split of every fold."""
    labels = np.asarray(labels)
    task = "classification" if labels.dtype.kind == "i" else "regression"
    names = tuple(f"class {c}" for c in range(int(labels.max()) + 1)) if task == "classification" else ()
    info = SourceInfo("x", len(labels), (1,), task, names, parts=None if parts is None else np.asarray(parts, np.int8))
    return [
        split_of_fold(labels, info, n_folds, fold, validation, test, np.random.default_rng(seed))
        for fold in range(n_folds)
    ]


@given(
    st.lists(st.integers(7, 40), min_size=2, max_size=5),
    st.integers(2, 6),
    st.sampled_from([0.0, 0.25]),
    st.sampled_from([0.0, 0.1]),
    st.integers(0, 2**32 - 1),
)
def test_folds_are_a_stratified_partition_of_what_is_no_test_split(sizes, n_folds, validation, test, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    kept_apart = split(labels, "classification", 0.3, test, np.random.default_rng(seed)).test
    found = splits_of(labels, n_folds, validation, test, seed)
    rest = np.setdiff1d(np.arange(len(labels)), kept_apart)
    assert np.array_equal(np.sort(np.concatenate([one.test for one in found])), rest)
    lengths = [len(one.test) for one in found]
    assert max(lengths) - min(lengths) <= 1
    for one in found:
        parts = [one.train, one.validation, one.test]
        assert np.array_equal(np.sort(np.concatenate(parts)), rest)
        assert all((np.diff(part) > 0).all() for part in parts)
        assert len(one.validation) == int(validation * (len(rest) - len(one.test)) + 0.5)
        assert set(labels[one.train]) == set(labels[one.test]) == set(range(len(sizes)))
    per_class = np.array([np.bincount(labels[one.test], minlength=len(sizes)) for one in found])
    assert (per_class.max(axis=0) - per_class.min(axis=0) <= 1).all()


def test_folds_do_not_depend_on_validation_but_on_the_seed():
    labels = np.arange(100) % 3
    folds = [[one.test.tolist() for one in splits_of(labels, 4, validation)] for validation in (0.0, 0.1, 0.5)]
    assert folds[0] == folds[1] == folds[2] != [one.test.tolist() for one in splits_of(labels, 4, seed=1)]


def test_targets_are_dealt_at_random():
    found = splits_of(np.linspace(0, 1, 53), 5, test=0.0)
    assert sorted(len(one.test) for one in found) == [10, 10, 11, 11, 11]
    assert np.array_equal(np.sort(np.concatenate([one.test for one in found])), np.arange(53))


def test_the_datas_own_test_rows_are_seen_by_no_fold_and_its_validation_rows_by_all():
    parts = np.repeat([TRAIN, VALIDATION, TEST], [40, 10, 20])
    labels = np.arange(70) % 2
    for one in splits_of(labels, 4, parts=parts):
        assert np.array_equal(one.validation, np.arange(40, 50))
        assert len(one.test) == 10 and one.test.max() < 40 and len(one.train) == 30
    without = np.where(parts == VALIDATION, TRAIN, parts)
    for one in splits_of(labels, 5, validation=0.25, parts=without):
        assert (len(one.test), len(one.validation), len(one.train)) == (10, 10, 30)
        assert max(one.test.max(), one.validation.max(), one.train.max()) < 50


@pytest.mark.parametrize(
    ("labels", "n_folds", "parts", "message"),
    [
        ([0] * 20 + [1] * 3, 4, None, "4 folds, but class 'class 1' has 3 rows outside the test split"),
        ([0] * 20 + [1] * 20, 5, [TRAIN] * 20 + [TEST] * 20, "all rows outside the test split are of class 'class 0'"),
        (np.linspace(0, 1, 6), 7, None, "7 folds of 6 rows; at most as many as rows"),
    ],
)
def test_folds_that_cannot_be(labels, n_folds, parts, message):
    with pytest.raises(InputError, match=rf"^dataset\.folds: {message}") as caught:
        splits_of(np.asarray(labels), n_folds, test=0.0, parts=parts)
    assert "\n" not in str(caught.value)
