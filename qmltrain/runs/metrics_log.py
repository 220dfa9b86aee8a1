"""``metrics.jsonl``: the metrics of a run as one line of JSON a step and an epoch, for ``tail -F`` and simple scripts.

It repeats what is in the run file. So it needs no care of its own when a run is resumed: it is written anew from the
rows that stay, and a line torn by a kill cannot survive.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmltrain.runs.atomic import new_file, write_at

METRICS_NAME = "metrics.jsonl"


class MetricsLog:
    """The log of a live run at `path`. Its methods raise OSError where the disk does not take what they write."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = -1

    def open(self, metrics: Mapping[str, NDArray[Any]], epochs: Mapping[str, NDArray[Any]]) -> None:
        """Write the log anew from the tables (quantity -> column) and go on at its end."""
        with new_file(self.path) as descriptor:
            write_at(descriptor, log_lines(metrics, epochs), 0)
        self._descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)

    def append(self, quantities: Iterable[str], row: Iterable[Any]) -> None:
        """One line."""
        line = log_line(quantities, row)
        while line:  # one write; more only where the disk took a part of it
            line = line[os.write(self._descriptor, line) :]

    def sync(self) -> None:
        os.fsync(self._descriptor)

    def close(self) -> None:
        """At any time, and more than once."""
        if self._descriptor >= 0:
            with suppress(OSError):  # what a close could still report, `sync` has reported
                os.close(self._descriptor)
        self._descriptor = -1


def log_line(quantities: Iterable[str], row: Iterable[Any]) -> bytes:
    """One line; a value that JSON cannot hold (NaN, infinity) is null."""
    entry = {name: value if math.isfinite(value) else None for name, value in zip(quantities, row, strict=True)}
    return json.dumps(entry).encode() + b"\n"


def log_lines(metrics: Mapping[str, NDArray[Any]], epochs: Mapping[str, NDArray[Any]]) -> bytes:
    """The lines of whole tables (quantity -> column), each epoch after the step that it ended with."""
    steps_of_epochs = epochs["step"].tolist()
    epoch_lines = [log_line(epochs, row) for row in _rows(epochs)]
    lines, next_epoch = [], 0
    for step, row in zip(metrics["step"].tolist(), _rows(metrics), strict=True):
        lines.append(log_line(metrics, row))
        while next_epoch < len(epoch_lines) and steps_of_epochs[next_epoch] == step:
            lines.append(epoch_lines[next_epoch])
            next_epoch += 1
    return b"".join(lines)


def _rows(table: Mapping[str, NDArray[Any]]) -> Iterable[tuple[Any, ...]]:
    return zip(*(np.asarray(column).tolist() for column in table.values()), strict=True)
