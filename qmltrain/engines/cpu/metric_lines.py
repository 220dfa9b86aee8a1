"""Lines of metrics.jsonl, written in C++: the bytes of `qmltrain.runs.metrics_log.format_lines`, many times as fast."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from numpy.typing import NDArray

from qmltrain.engines.cpu import extension
from qmltrain.errors import EngineUnavailableError


def unavailable_reason() -> str | None:
    """None where `format_lines` can run, else one line that says what is missing and how to get it."""
    reason = extension.unavailable_reason()
    if reason is None and not hasattr(extension.load(), "metric_lines"):
        return (
            "the C++ extension was built without metric_lines (its standard library has no std::to_chars for floats); "
            "lines of metrics.jsonl are written by Python, more slowly; build it with GCC 11, LLVM 14 or newer"
        )
    return reason


def format_lines(quantities: Sequence[str], columns: Sequence[NDArray[Any]]) -> bytes:
    """One line of JSON a row: ``quantities`` and their ``columns``, at least one, equally long (rows,) of int64 or
    float64. Numbers as Python writes them, NaN and infinities as null.

    Raises EngineUnavailableError where `unavailable_reason` says why, ValueError or TypeError for other columns.
    """
    try:
        metric_lines = extension.load().metric_lines
    except AttributeError:
        raise EngineUnavailableError(str(unavailable_reason())) from None
    return metric_lines(_before(tuple(quantities)), columns)


@lru_cache(maxsize=64)
def _before(quantities: tuple[str, ...]) -> list[str]:
    """What stands before each value of a line."""
    return [f"{', ' if index else '{'}{json.dumps(name)}: " for index, name in enumerate(quantities)]
