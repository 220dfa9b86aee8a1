"""``metrics.jsonl``: the metrics of a run as one line of JSON a step and an epoch, for ``tail -F`` and simple scripts.

It repeats what is in the run file. So it needs no care of its own when a run is resumed: it is written anew from the
rows that stay, and a line torn by a kill cannot survive.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

METRICS_NAME = "metrics.jsonl"


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
