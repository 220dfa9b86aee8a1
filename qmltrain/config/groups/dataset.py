"""Config group `dataset`: where the samples come from, which are kept, how they are split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qmltrain.config.option import ConfigGroup, option
from qmltrain.config.rules import (
    COUNT,
    COUNT_OR_ZERO,
    FINITE,
    LABEL,
    LARGEST_COUNT,
    NOT_NEGATIVE,
    TEXT,
    Rule,
    between,
    each,
    is_integer,
    is_number,
    one_of,
)
from qmltrain.errors import InputError, UnusedOptionError

SEPARATOR = Rule(
    lambda value: isinstance(value, str) and (value in ("tab", r"\t") or (len(value) == 1 and value not in ' "\r\n')),
    "tab, or one character that is not a space, in quotes where it is not a letter: \"dataset.delimiter=';'\"",
)
CLASS = Rule(
    lambda value: LABEL.accepts(value) or (is_integer(value) and value == -1),
    f"{LABEL.allowed}, also -1 where -1 and 1 are the labels",
)
SHA256 = Rule(
    lambda value: isinstance(value, str) and len(value) == 64 and not set(value.lower()) - set("0123456789abcdef"),
    "64 hexadecimal digits",
)
SPLIT = Rule(lambda value: is_number(value) and 0 <= value < 1, "0 (none) or more and below 1")


@dataclass
class DatasetConfig(ConfigGroup):
    name: str = option(
        "digits",
        "digits | iris | wine | breast_cancer | diabetes | make_moons | make_circles | make_blobs | "
        "make_classification | make_friedman1 | fourier_series | idx | cifar10 | npz | hdf5 | csv | parquet | python | "
        "none (VQE, QAOA) | linearly_separable | hidden_manifold | hyperplanes | two_curves | bars_and_stripes",
        TEXT,
    )
    path: str | None = option(
        None, "idx: file of the images; cifar10: a batch or the folder of them; npz, hdf5, csv, parquet: the file"
    )
    test_path: str | None = option(
        None, "another such file, whose rows are the test split (null: dataset.test of the rows at path)", TEXT
    )
    labels_path: str | None = option(
        None, "idx, npz: file of the labels (null: idx, as the name of path says; npz, in path)"
    )
    test_labels_path: str | None = option(None, "idx, npz: file of the labels of test_path", TEXT)
    root: str | None = option(None, "folder where relative paths start (null: $QMLTRAIN_DATA, else where you are)")
    sha256: str | None = option(None, "checksum of the file at path; another file is refused", SHA256)
    target: str | None = option(None, "csv, parquet: column of the labels", TEXT)
    features: list[str] | None = option(None, "csv, parquet: columns of the features (null: all others)", each(TEXT))
    split_column: str | None = option(
        None, "csv, parquet: column that says train, validation or test (null: none)", TEXT
    )
    delimiter: str | None = option(
        None, "csv: what separates the cells: one character, or tab (null: a comma)", SEPARATOR
    )
    header: bool | None = option(
        None, "csv: whether the first line names the columns (null: true); else they are column_0, column_1, ..."
    )
    n_samples: int | None = option(None, "generators (make_* and the like): samples", COUNT)
    noise: float | None = option(
        None,
        "make_moons, make_circles, make_friedman1, fourier_series, two_curves, bars_and_stripes: standard deviation of "
        "the noise",
        NOT_NEGATIVE,
    )
    n_features: int | None = option(
        None,
        "make_blobs, make_classification, make_friedman1, linearly_separable, hidden_manifold, hyperplanes, "
        "two_curves: features",
        COUNT,
    )
    n_frequencies: int | None = option(None, "fourier_series: frequencies (null: 3)", between(1, 10_000))
    n_classes: int | None = option(None, "make_blobs, make_classification: classes", between(2, LARGEST_COUNT))
    margin: float | None = option(
        None, "linearly_separable: least distance |sum x| from the plane (null: 0.02 n_features)", NOT_NEGATIVE
    )
    manifold_dimension: int | None = option(
        None, "hidden_manifold (null: 6), hyperplanes (null: 3): features that decide", between(1, 1000)
    )
    n_hyperplanes: int | None = option(None, "hyperplanes: how many (null: 2)", between(1, 1000))
    degree: int | None = option(None, "two_curves: of the Fourier series (null: 5)", between(1, 1000))
    offset: float | None = option(None, "two_curves: between the curves (null: 0.1)", FINITE)
    height: int | None = option(None, "bars_and_stripes: rows of an image (null: 4)", between(1, 10_000))
    width: int | None = option(None, "bars_and_stripes: columns of an image (null: 4)", between(1, 10_000))
    published: str | None = option(
        None,
        "rows and test split as published with arXiv:2403.07059: linearly_separable | hidden_manifold | "
        "hidden_manifold_diff | hyperplanes_diff | two_curves | two_curves_diff (null: those of the seed)",
        one_of(
            "linearly_separable",
            "hidden_manifold",
            "hidden_manifold_diff",
            "hyperplanes_diff",
            "two_curves",
            "two_curves_diff",
        ),
    )
    generator_seed: int | None = option(None, "generators: seed (null: 0)", between(0, 2**32 - 1))
    x_key: str | None = option(None, "npz, hdf5: name of the samples (null: x, or x_train)")
    y_key: str | None = option(None, "npz, hdf5: name of the labels (null: y, or y_train)")
    x_test_key: str | None = option(
        None, "npz, hdf5: samples of the test split (null: x_test beside x_train, else none)", TEXT
    )
    y_test_key: str | None = option(None, "npz, hdf5: labels of the test split (null: y_test beside y_train)", TEXT)
    split_key: str | None = option(
        None, "npz, hdf5: name of the array that says train, validation or test (null: split, where there is one)", TEXT
    )
    task: str | None = option(
        None,
        "npz, hdf5, csv, parquet, python: classification | regression (null: by the kind of labels)",
        one_of("classification", "regression"),
    )
    function: str | None = option(None, "python: package.module:name; this runs your code")
    classes: list[Any] | None = option(
        None,
        "keep these labels or class names, relabelled 0, 1, ... in this order (null: all)",
        each(CLASS, distinct=True),
    )
    samples: int | None = option(None, "keep a stratified subsample of this many (null: all)", COUNT)
    validation: float = option(0.2, "fraction of the samples for validation, where the data does not say", SPLIT)
    test: float = option(0.2, "fraction of the samples for the test at the end, where the data does not say", SPLIT)
    folds: int | None = option(
        None, "cross-validation: the rows outside the test split in so many folds (null: none)", between(2, 100_000)
    )
    fold: int | None = option(
        None, "the fold, from 0, that is this run's test split; the one without folds is kept apart", COUNT_OR_ZERO
    )

    def check(self) -> None:
        self._check_fold()
        if self.test_labels_path is not None and self.test_path is None:
            raise UnusedOptionError(
                "dataset.test_labels_path", "found without dataset.test_path; give both, or set it to null"
            )
        if self.validation + self.test >= 1:
            raise InputError(
                f"dataset.validation, dataset.test: found {self.validation:g} and {self.test:g}; "
                "allowed: a sum below 1, so that samples are left to train on"
            )

    def _check_fold(self) -> None:
        if self.folds is None:
            if self.fold is not None:
                raise InputError(f"dataset.fold: found {self.fold} without dataset.folds; give both, or leave it null")
        elif self.fold is None or self.fold >= self.folds:
            found = "null" if self.fold is None else self.fold
            raise InputError(
                f"dataset.fold: found {found}; allowed with dataset.folds={self.folds}: 0 to {self.folds - 1}; for all "
                f"of them a sweep, -m 'dataset.fold=range(0,{self.folds})'"
            )
