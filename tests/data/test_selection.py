"""select: classes in the order given, subsamples in proportion."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.cli.composing import compose_config
from qmltrain.data.array_source import array_source
from qmltrain.data.checks import ArrayNames
from qmltrain.data.registry import build_source
from qmltrain.data.selection import select
from qmltrain.data.splits import split
from qmltrain.errors import InputError


def test_nothing_selected_is_the_source_itself():
    source = build_source("iris", {})
    assert select(source) is source


def test_classes_are_relabelled_in_the_given_order():
    digits = build_source("digits", {})
    chosen = select(digits, classes=[6, 3])
    original = digits.labels()
    rows = np.flatnonzero((original == 6) | (original == 3))
    assert chosen.info.n_samples == len(rows) and chosen.info.class_names == ("6", "3")
    assert np.array_equal(chosen.labels(), np.where(original[rows] == 6, 0, 1))
    some = np.array([5, 0, 5, len(rows) - 1])
    assert np.array_equal(chosen.read(some), digits.read(rows[some]))
    assert not chosen.labels().flags.writeable
    assert chosen.checksum == digits.checksum and chosen.info.sample_shape == (8, 8)
    for outside in (len(rows), -1):
        with pytest.raises(IndexError):
            chosen.read(np.array([outside]))


def test_classes_by_name():
    iris = build_source("iris", {})
    by_name, by_index = select(iris, classes=["virginica", "setosa"]), select(iris, classes=[2, 0])
    assert by_name.info.class_names == by_index.info.class_names == ("virginica", "setosa")
    assert np.array_equal(by_name.labels(), by_index.labels())


def test_classes_of_signs():
    source = array_source("npz", np.ones((4, 1)), np.array([-1, 1, 1, -1]), ArrayNames("file"))
    for classes, labels in (([-1, 1], [0, 1, 1, 0]), ([1, -1], [1, 0, 0, 1]), (["-1", "1"], [0, 1, 1, 0])):
        config = compose_config(["dataset=npz", "dataset.path=a.npz", f"dataset.classes={classes}"])
        chosen = select(source, classes=config.dataset.classes)
        assert chosen.labels().tolist() == labels and chosen.info.class_names == tuple(str(c) for c in classes)
    with pytest.raises(InputError, match=r"^dataset\.classes: iris has no class -1; it has 0, 1, 2"):
        select(build_source("iris", {}), classes=[-1, 1])


def test_numbers_that_are_names_of_other_classes_are_refused():
    """['1','2','3'] has the classes 0, 1, 2: 1 would be the class '2'."""

    def of(texts, classes):
        config = compose_config(["dataset=npz", "dataset.path=a.npz", f"dataset.classes={classes}"])
        source = array_source("npz", np.ones((len(texts), 1)), np.array(texts), ArrayNames("file"))
        return select(source, classes=config.dataset.classes).info.class_names

    digits = ["1", "2", "3", "3"]
    with pytest.raises(InputError) as caught:
        of(digits, "[1,2]")
    assert str(caught.value) == (
        "dataset.classes: 1 is the number of class '2' and the name of another of npz; give names, each in quotes: "
        "where names are meant \"dataset.classes=['1','2']\", where numbers are \"dataset.classes=['2','3']\""
    )
    assert of(digits, "['1','2']") == ("1", "2") and of(digits, "['2','3']") == ("2", "3")
    with pytest.raises(InputError, match=r"3 is no number of a class .*meant \"dataset\.classes=\['3','2'\]\"$"):
        of(digits, "[3,'2']")
    # one reading: names that are their own numbers, or no numbers
    assert of(["0", "1", "2"], "[2,1]") == ("2", "1") and of(["a", "b", "7"], "[1,2]") == ("a", "b")
    assert of(["x", "0"], "['0','x']") == ("0", "x")


def test_gaps_can_be_closed():
    source = array_source("npz", np.ones((6, 1)), np.array([1, 1, 4, 4, 9, 9]), ArrayNames("file"))
    chosen = select(source, classes=[1, 4, 9])
    assert chosen.labels().tolist() == [0, 0, 1, 1, 2, 2] and chosen.info.class_names == ("1", "4", "9")


@pytest.mark.parametrize("samples", [10, 11, 100, 1796, 1797])
def test_subsample_keeps_the_shares(samples):
    digits = build_source("digits", {})
    chosen = select(digits, samples=samples, seed=3)
    counts = np.bincount(chosen.labels(), minlength=10)
    assert counts.sum() == samples and counts.min() >= 1
    assert np.abs(counts - samples * np.bincount(digits.labels()) / 1797).max() < 1.01
    assert np.array_equal(chosen.read(np.arange(samples)), digits.read(chosen.rows))
    assert (np.diff(chosen.rows) > 0).all()


def test_rare_classes_survive():
    labels = np.array([0] * 1000 + [1] * 2)
    chosen = select(array_source("npz", np.ones((1002, 1)), labels, ArrayNames("file")), samples=10)
    assert np.bincount(chosen.labels()).tolist() == [9, 1]


def test_selection_is_a_function_of_the_seed():
    digits = build_source("digits", {})
    rows = [select(digits, classes=[1, 2], samples=50, seed=seed).rows for seed in (1, 1, 2)]
    assert np.array_equal(rows[0], rows[1]) and not np.array_equal(rows[0], rows[2])


def test_selection_and_split_with_one_seed_are_independent():
    """With one stream for both, the split would repeat the subsample's choice."""
    source = array_source("npz", np.ones((2000, 1)), np.arange(2000) % 2, ArrayNames("file"))
    chosen = select(source, samples=1000, seed=4)
    again = split(source.labels(), "classification", 0.0, 0.5, np.random.default_rng(4)).test
    assert abs(len(np.intersect1d(chosen.rows, again)) - 500) < 80  # 5 standard deviations of independent choices


def test_regression_subsample():
    diabetes = build_source("diabetes", {})
    chosen = select(diabetes, samples=40, seed=1)
    assert chosen.info.task == "regression" and len(np.unique(chosen.rows)) == 40
    assert np.array_equal(chosen.labels(), diabetes.labels()[chosen.rows])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("iris", {"classes": [0, 3]}, "iris has no class 3; it has 0, 1, 2 or setosa, versicolor, virginica"),
        ("digits", {"classes": [0, -1]}, "digits has no class -1; it has 0, 1, 2, 3, 4, 5, 6, 7, 8, 9$"),
        ("iris", {"classes": [0, 10**150]}, "iris has no class 10{76}\\.\\.\\.; it has"),
        ("iris", {"classes": [0, "rose"]}, "iris has no class rose"),
        ("iris", {"classes": [0, 1, 0]}, r"\[0, 1, 0\] names a class twice"),
        ("iris", {"classes": [0, "setosa"]}, "names a class twice"),
        ("iris", {"classes": [1]}, r"\[1\] is fewer than two"),
        ("iris", {"classes": []}, r"\[\] is fewer than two"),
        ("diabetes", {"classes": [0, 1]}, "diabetes is a regression and has no classes"),
        ("iris", {"samples": 151}, "151 of the 150 samples of iris; choose 1 to 150"),
        ("iris", {"samples": 0}, "0 of the 150"),
        ("iris", {"samples": 2}, "2 is fewer than the 3 classes"),
        ("diabetes", {"samples": 443}, "443 of the 442"),
    ],
)
def test_impossible_selections(name, options, message):
    option = next(iter(options))
    with pytest.raises(InputError, match=f"^dataset.{option}: .*{message}"):
        select(build_source(name, {}), **options)
