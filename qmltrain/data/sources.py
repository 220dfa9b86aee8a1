"""The registry of data sets: what `dataset.name` may be. A builder's keyword-only parameters are its options."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from qmltrain.data import sklearn_sources
from qmltrain.data.arrays import npz
from qmltrain.data.hdf5 import hdf5
from qmltrain.data.idx import idx
from qmltrain.data.no_data import none
from qmltrain.data.protocol import Source
from qmltrain.data.python_source import python
from qmltrain.data.selection import select
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
        idx,
        npz,
        hdf5,
        python,
        none,
    )
}


def build_source(name: str, options: Mapping[str, Any]) -> Source:
    """Open the data set `name`; options that are None are left to it, others that it does not take are refused."""
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
