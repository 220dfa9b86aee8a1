"""``metrics.jsonl``: the metrics of a run as one line of JSON a step and an epoch, for ``tail -F`` and simple scripts.

It repeats what is in the run file. So it needs no care of its own when a run is resumed: it is written anew from the
rows that stay, and a line torn by a kill cannot survive.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmltrain.runs.atomic import new_file, write_at

METRICS_NAME = "metrics.jsonl"
# (quantities, their columns, equally long (rows,) of int64 or float64) -> the lines of these rows, byte for byte those
# of `format_lines`, which is one
LineFormatter = Callable[[Sequence[str], Sequence[NDArray[Any]]], bytes]

_BLOCK_ROWS = 1 << 16  # formatted at a time when the log is written anew


class MetricsLog:
    """The log of a live run at `path`. Its methods raise OSError where the disk does not take what they write."""

    def __init__(self, path: Path, formatter: LineFormatter) -> None:
        self.path = path
        self._format = formatter
        self._descriptor = -1

    def open(self, metrics: Mapping[str, NDArray[Any]], epochs: Mapping[str, NDArray[Any]]) -> None:
        """Write the log anew from the tables (quantity -> column) and go on at its end."""
        with new_file(self.path) as descriptor:
            end = 0
            for block in log_blocks(metrics, epochs, self._format):
                write_at(descriptor, block, end)
                end += len(block)
        self._descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)

    def lines(self, quantities: Sequence[str], columns: Sequence[NDArray[Any]]) -> bytes:
        """A line a row of the columns."""
        return self._format(quantities, columns)

    def append(self, lines: bytes) -> None:
        """All in one write; more only where the disk took a part of it."""
        while lines:
            lines = lines[os.write(self._descriptor, lines) :]

    def sync(self) -> None:
        os.fsync(self._descriptor)

    def close(self) -> None:
        """At any time, and more than once."""
        if self._descriptor >= 0:
            with suppress(OSError):  # what a close could still report, `sync` has reported
                os.close(self._descriptor)
        self._descriptor = -1


def format_lines(quantities: Sequence[str], columns: Sequence[NDArray[Any]]) -> bytes:
    """One line a row; a value that JSON cannot hold (NaN, infinity) is null."""
    lines = []
    for row in zip(*(column.tolist() for column in columns), strict=True):
        values = [value if math.isfinite(value) else None for value in row]
        lines.append(json.dumps(dict(zip(quantities, values, strict=True))) + "\n")
    return "".join(lines).encode()


def log_blocks(
    metrics: Mapping[str, NDArray[Any]], epochs: Mapping[str, NDArray[Any]], formatter: LineFormatter
) -> Iterator[bytes]:
    """The lines of whole tables (quantity -> column), in blocks; each epoch after the step that it ended with."""
    begin, n_steps = 0, len(metrics["step"])
    ends = np.searchsorted(metrics["step"], epochs["step"], side="right").tolist()
    for epoch, end in enumerate([*ends, n_steps]):
        for first in range(begin, end, _BLOCK_ROWS):
            rows = slice(first, min(first + _BLOCK_ROWS, end))
            yield formatter(list(metrics), [column[rows] for column in metrics.values()])
        begin = end
        if epoch < len(ends):
            yield formatter(list(epochs), [column[epoch : epoch + 1] for column in epochs.values()])
