"""Where the stored numbers of two runs first differ, to the bit."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from qmltrain.runs.file_layout import TABLES, WALL_SECONDS
from qmltrain.runs.views import RunView

SURROUNDINGS = ("qmltrain_version", "git_commit", "device", "dataset_checksum", "host")


@dataclass(frozen=True)
class Difference:
    """The first difference between two runs' stored numbers, in words, and the largest one of that table."""

    where: str
    largest: float


def stored_otherwise(first: RunView, second: RunView) -> tuple[str, ...]:
    """Quantities and tables in which two equal trainings differ, since versions store them otherwise.

    Without the attribute `step_rows` drift was 0 where it was not measured, and with L-BFGS the rows of a step were
    those after its update.
    """
    old = [view for view in (first, second) if "step_rows" not in view.attributes]
    if len(old) != 1:
        return ()
    of_lbfgs = old[0].config["optimizer"]["name"] == "lbfgs"
    return ("drift", *(("metrics", "epochs", "layer_norms", "gradients") if of_lbfgs else ()))


def first_difference(first: RunView, second: RunView, passed_over: Collection[str] = ()) -> Difference | None:
    """Where metrics, epochs, gradients, parameters and evaluations of two runs first differ; None: alike to the bit.

    What only one of them stored is passed over: it is the config that differs there. So are the wall time, and tables
    and quantities in `passed_over`.
    """
    for name in TABLES:
        if name in passed_over:
            continue
        a, b = first.table(name), second.table(name)
        shared = [column for column in a if column in b and column not in (WALL_SECONDS, *passed_over)]
        if not shared:
            continue
        index = shared[0]
        lengths = len(a[index]), len(b[index])
        rows = min(lengths)
        for column in shared:
            if a[column].shape[1:] != b[column].shape[1:]:
                return Difference(f"{name}: {column} has {a[column].shape[1:]} and {b[column].shape[1:]}", math.nan)
            found = _differences(a[column][:rows], b[column][:rows])
            if found is not None:
                row, largest = found
                return Difference(f"{name}: {column} at {index} {a[index][row]}", largest)
        if lengths[0] != lengths[1]:
            return Difference(f"{name}: {lengths[0]} and {lengths[1]} rows", math.nan)
    for split in ("val", "test"):
        found_evaluation = _evaluation_difference(first, second, split)
        if found_evaluation is not None:
            return found_evaluation
    return None


def _evaluation_difference(first: RunView, second: RunView, split: str) -> Difference | None:
    if split not in first.evaluated_splits or split not in second.evaluated_splits:
        return None
    a, b = first.evaluation(split), second.evaluation(split)
    for column in a:
        if a[column].shape != b[column].shape:
            return Difference(f"evaluation of {split}: {column} has {a[column].shape} and {b[column].shape}", math.nan)
        found = _differences(a[column], b[column])
        if found is not None:
            return Difference(f"evaluation of {split}: {column} of row {a['rows'][found[0]]}", found[1])
    return None


def _differences(a: np.ndarray, b: np.ndarray) -> tuple[int, float] | None:
    """The first row that differs in a bit (NaN is like NaN), and the largest difference."""
    unlike = (a != b) & ~((a != a) & (b != b))
    if not unlike.any():
        return None
    row = int(np.flatnonzero(unlike.reshape(len(a), -1).any(axis=1))[0])
    with np.errstate(invalid="ignore"):
        return row, float(np.nanmax(np.abs(a.astype(np.float64) - b.astype(np.float64)), initial=0.0))
