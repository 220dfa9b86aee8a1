"""split: disjoint, complete, in proportion, every class to train on; what the data says itself is kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmltrain.data.registry import build_source
from qmltrain.data.splits import apportion, check_two_classes, split, split_as_given
from qmltrain.errors import InputError


def split_with_seed(labels, validation, test, seed=0, task="classification"):
    return split(np.asarray(labels), task, validation, test, np.random.default_rng(seed))


def assert_partition(parts, n):
    rows = np.concatenate([parts.train, parts.validation, parts.test])
    assert np.array_equal(np.sort(rows), np.arange(n))
    assert all((np.diff(part) > 0).all() for part in (parts.train, parts.validation, parts.test))


@given(
    st.lists(st.integers(1, 40), min_size=2, max_size=6),
    st.floats(0, 0.6),
    st.floats(0, 0.6),
    st.integers(0, 2**32 - 1),
)
def test_every_possible_split_is_a_stratified_partition(class_sizes, validation, test, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(class_sizes)), class_sizes))
    n = len(labels)
    try:
        parts = split_with_seed(labels, validation, test, seed)
    except InputError:
        spare = n - len(class_sizes)
        sizes = [int(n * fraction + 0.5) for fraction in (validation, test)]
        empty = any(fraction > 0 and size == 0 for fraction, size in zip((validation, test), sizes, strict=True))
        assert validation + test >= 1 or sum(sizes) > spare or empty
        return
    assert_partition(parts, n)
    assert len(parts.validation) == int(n * validation + 0.5) and len(parts.test) == int(n * test + 0.5)
    assert set(labels[parts.train]) == set(range(len(class_sizes)))


def test_shares_are_within_one_sample_of_exact():
    labels = np.repeat(np.arange(4), [500, 301, 77, 40])
    parts = split_with_seed(labels, 0.2, 0.15)
    for rows, fraction in ((parts.validation, 0.2), (parts.test, 0.15)):
        exact = np.bincount(labels) * fraction
        assert np.abs(np.bincount(labels[rows], minlength=4) - exact).max() < 1.01


def test_test_rows_do_not_depend_on_validation():
    labels = np.arange(100) % 3
    tests = [split_with_seed(labels, validation, 0.2).test for validation in (0, 0.1, 0.5)]
    assert np.array_equal(tests[0], tests[1]) and np.array_equal(tests[0], tests[2])


def test_a_single_sample_of_a_class_is_trained_on():
    labels = np.array([0] * 50 + [1])
    for seed in range(20):
        assert 50 in split_with_seed(labels, 0.3, 0.3, seed).train


def test_nothing_held_out():
    parts = split_with_seed(np.arange(10) % 2, 0, 0)
    assert len(parts.train) == 10 and len(parts.validation) == 0 and len(parts.test) == 0
    assert parts.validation.dtype == parts.test.dtype == np.int64


def test_regression_is_not_stratified():
    targets = np.linspace(0, 1, 57)
    parts = split_with_seed(targets, 0.2, 0.1, task="regression")
    assert_partition(parts, 57)
    assert len(parts.validation) == 11 and len(parts.test) == 6


def test_split_is_a_function_of_the_generator():
    labels = np.arange(60) % 3
    first, again, other = (split_with_seed(labels, 0.2, 0.2, seed) for seed in (1, 1, 2))
    assert np.array_equal(first.train, again.train) and not np.array_equal(first.train, other.train)


@pytest.mark.parametrize(
    ("labels", "validation", "test", "message"),
    [
        ([0, 1] * 10, -0.1, 0.2, "dataset.validation: -0.1 is not a fraction"),
        ([0, 1] * 10, 0.1, 1.0, "dataset.test: 1.0 is not a fraction"),
        ([0, 1] * 10, float("nan"), 0.1, "dataset.validation: nan is not a fraction"),
        ([0, 1] * 10, 0.5, 0.5, r"0.5 \+ 0.5 leaves no row to train on"),
        ([0, 1] * 10, 0.01, 0.2, "dataset.validation: 0.01 of 20 rows is no row; choose 0 or at least 0.05"),
        ([0], 0.2, 0.0, "dataset.validation: 0.2 of 1 row is no row; choose 0, or take more rows"),
        ([0, 1, 2] * 2, 0.4, 0.4, r"2 \+ 2 of 6 rows leave fewer than one training row for each of 3 classes"),
        (np.arange(60), 0.2, 0.2, r"each of 60 classes; .* where labels are numbers to predict, .*task=regression$"),
        (np.arange(80) % 8, 0.5, 0.45, r"36 of 80 rows .* each of 8 classes; use smaller fractions or more samples$"),
        ([0, 2, 2, 3], 0, 0.25, r"class 1 has no sample although class 3 has.*dataset.classes=\[0, 2, 3\]"),
    ],
)
def test_impossible_splits(labels, validation, test, message):
    with pytest.raises(InputError, match=message):
        split_with_seed(labels, validation, test)


def test_apportion_by_largest_remainders():
    assert apportion(10, np.array([6, 6, 2]), np.array([9, 9, 9])).tolist() == [4, 4, 2]
    assert apportion(2, np.array([1, 1, 1]), np.array([1, 1, 1])).tolist() == [1, 1, 0]
    assert apportion(7, np.array([5, 1, 1]), np.array([4, 2, 1])).tolist() == [4, 2, 1]
    many = np.tile([1, 3, 2], 40)
    ones, threes, twos = apportion(77, many, many).reshape(40, 3).T.tolist()
    assert ones == [0] * 40 and threes == [1] * 40 and twos == [1] * 37 + [0] * 3  # ties to the lower index
    assert apportion(0, np.array([0, 0]), np.array([0, 0])).tolist() == [0, 0]
    with pytest.raises(ValueError, match="cannot apportion 5"):
        apportion(5, np.array([1, 1]), np.array([2, 2]))


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_what_the_data_does_not_say_is_drawn_from_its_training_rows(task):
    labels = np.arange(100) % 2 if task == "classification" else np.arange(100.0)
    for missing in ({1}, {2}, {1, 2}, set()):
        parts = np.array([0, 0, 0, *(0 if p in missing else p for p in (1, 2))] * 20, dtype=np.int8)
        found = split_as_given(labels, task, parts, 0.25, 0.25, np.random.default_rng(0))
        together = np.concatenate([found.train, found.validation, found.test])
        assert np.array_equal(np.sort(together), np.arange(100))
        n_train = int(np.count_nonzero(parts == 0))
        for part, rows in ((1, found.validation), (2, found.test)):
            if part in missing:
                assert len(rows) == round(0.25 * n_train) and np.all(parts[rows] == 0)
            else:
                assert np.array_equal(rows, np.flatnonzero(parts == part))
    with pytest.raises(InputError, match="no row for training"):
        split_as_given(labels, task, np.full(100, 2, dtype=np.int8), 0.2, 0.2, np.random.default_rng(0))


def test_a_single_class_can_be_opened_but_not_trained_on(tmp_path):
    np.savez(tmp_path / "data.npz", x=np.eye(3), y=np.full(3, 7))
    source = build_source("npz", {"path": str(tmp_path / "data.npz")})
    assert source.labels().tolist() == [7, 7, 7] and source.info.class_names[7] == "7"
    with pytest.raises(InputError, match=r"every label is 7 \(npz: 3 samples .*data\.npz\); .* at least two classes"):
        check_two_classes(source.labels(), source.info)
    check_two_classes(np.array([7, 7, 0]), source.info)
    check_two_classes(np.full(3, 0.5), replace(source.info, task="regression"))


def test_a_class_may_be_in_the_test_rows_alone():
    """Which one it is makes no difference: what is drawn goes by the classes that are there."""
    labels = np.repeat([0, 1, 2], 20)
    for absent in range(3):
        parts = np.where(labels == absent, 2, 0).astype(np.int8)
        found = split_as_given(labels, "classification", parts, 0.25, 0.0, np.random.default_rng(0))
        assert set(labels[found.test]) == {absent}
        assert np.bincount(labels[found.validation], minlength=3).tolist() == [5 * (c != absent) for c in range(3)]
