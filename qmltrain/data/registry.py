"""The registry of data sets: what `dataset.name` may be. A builder's keyword-only parameters are its options."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from qmltrain.data import benchmark_sets, sklearn_sources
from qmltrain.data.cifar10 import cifar10
from qmltrain.data.files import locate
from qmltrain.data.fourier_series import fourier_series
from qmltrain.data.hdf5 import hdf5
from qmltrain.data.idx import idx
from qmltrain.data.no_data import none
from qmltrain.data.npz import npz
from qmltrain.data.protocol import Source
from qmltrain.data.python_source import python
from qmltrain.data.separate_test_file import WithTestFile
from qmltrain.data.tables import csv, parquet
from qmltrain.errors import InputError, UnusedOptionError
from qmltrain.registry import call_builder

Builder = Callable[..., Source]

SOURCES: dict[str, Builder] = {
    builder.__name__: builder
    for builder in (
        sklearn_sources.digits,
        sklearn_sources.iris,
        sklearn_sources.wine,
        sklearn_sources.breast_cancer,
        sklearn_sources.diabetes,
        sklearn_sources.make_moons,
        sklearn_sources.make_circles,
        sklearn_sources.make_blobs,
        sklearn_sources.make_classification,
        sklearn_sources.make_friedman1,
        fourier_series,
        idx,
        cifar10,
        npz,
        hdf5,
        csv,
        parquet,
        python,
        none,
        benchmark_sets.linearly_separable,
        benchmark_sets.hidden_manifold,
        benchmark_sets.hyperplanes,
        benchmark_sets.two_curves,
        benchmark_sets.bars_and_stripes,
    )
}


def build_source(
    name: str,
    options: Mapping[str, Any],
    test_path: str | None = None,
    *,
    test_labels_path: str | None = None,
    labels_needed: bool = True,
) -> Source:
    """Open the data set `name`; options that are None are left to it, others that it does not take are refused.

    The rows of another file `test_path`, read with the same options, become the test split. Data without labels are
    refused where `labels_needed`.
    """
    source = call_builder(SOURCES, "dataset", name, options)
    if labels_needed and source.info.no_labels:
        raise InputError(source.info.no_labels)
    if test_path is None:
        return source
    known = inspect.signature(SOURCES[name]).parameters
    for option, value, needed in (
        ("test_path", test_path, "path"),
        ("test_labels_path", test_labels_path, "labels_path"),
    ):
        if value is not None and needed not in known:
            raise UnusedOptionError(
                f"dataset.{option}", f"not used by {name}; only data sets with dataset.{needed} take it"
            )
    own = {**options, "path": test_path, "labels_path": test_labels_path, "sha256": None}
    try:
        test = build_source(name, own)
    except InputError as error:
        for option in ("path", "labels_path"):
            if str(error).startswith(f"dataset.{option}:"):
                raise InputError(f"dataset.test_{str(error).removeprefix('dataset.')}") from error
        raise
    joined = WithTestFile(source, test)
    first, other = (locate(str(path), options.get("root")) for path in (options["path"], test_path))
    if os.path.samefile(first, other):
        note = f"WARNING: dataset.test_path: {other} is the file of dataset.path; its test rows are those of training"
        joined.info = replace(joined.info, notes=(*joined.info.notes, note))
    return joined
