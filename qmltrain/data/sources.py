"""The registry of data sets: what `dataset.name` may be. A builder's keyword-only parameters are its options."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from qmltrain.data import sklearn_sources
from qmltrain.data.arrays import npz
from qmltrain.data.cifar10 import cifar10
from qmltrain.data.fourier_series import fourier_series
from qmltrain.data.hdf5 import hdf5
from qmltrain.data.idx import idx
from qmltrain.data.joined import JoinedSource
from qmltrain.data.no_data import none
from qmltrain.data.protocol import Source
from qmltrain.data.python_source import python
from qmltrain.data.selection import select
from qmltrain.data.tables import csv, parquet
from qmltrain.errors import InputError

__all__ = ["SOURCES", "Source", "build_source", "select"]

Builder = Callable[..., Source]


def _none_is_default(builder: Builder) -> Builder:
    """An option that is None takes the builder's own default."""

    @functools.wraps(builder)
    def build(**options: Any) -> Source:
        return builder(**{name: value for name, value in options.items() if value is not None})

    return build


SOURCES: dict[str, Builder] = {
    builder.__name__: _none_is_default(builder)
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
    )
}


def build_source(name: str, options: Mapping[str, Any], test_path: str | None = None) -> Source:
    """Open the data set `name`; options that are None are left to it, others that it does not take are refused.

    The rows of another file `test_path`, read with the same options, become the test split.
    """
    source = _build(name, options)
    if test_path is None:
        return source
    if "path" not in inspect.signature(SOURCES[name]).parameters:
        raise InputError(f"dataset.test_path: not used by {name}; only data sets of a file (dataset.path) take it")
    try:
        test = _build(name, {**options, "path": test_path, "labels_path": None, "sha256": None})
    except InputError as error:
        message = str(error)
        if not message.startswith("dataset.path:"):
            raise
        raise InputError(f"dataset.test_path:{message.removeprefix('dataset.path:')}") from error
    return JoinedSource(source, test)


def _build(name: str, options: Mapping[str, Any]) -> Source:
    builder = SOURCES.get(name)
    if builder is None:
        raise InputError(f"dataset.name: {name!r} is not known; choose one of {', '.join(SOURCES)}")
    parameters = inspect.signature(builder).parameters
    taken = f"it takes {', '.join(parameters)}" if parameters else "it takes no options"
    for option, value in options.items():
        if value is not None and option not in parameters:
            raise InputError(f"dataset.{option}: not used by {name}; {taken}")
    for option, parameter in parameters.items():
        if parameter.default is inspect.Parameter.empty and options.get(option) is None:
            raise InputError(f"dataset.{option}: needed by {name}; {taken}")
    return builder(**{option: value for option, value in options.items() if option in parameters})
