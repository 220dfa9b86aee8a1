"""`qmltrain compare A B`: what differs between two runs, in their configs and in their results."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from qmltrain.config import CommandContext
from qmltrain.runs.directory import differing_keys
from qmltrain.runs.layout import TABLES
from qmltrain.runs.store import COMPLETED
from qmltrain.runs.views import RunView, open_run
from qmltrain.studies.report import summary_of

WHERE_IT_LIES = ("run.name", "run.root", "run.dir", "run.resume", "run.progress", "run.log_seconds")
SURROUNDINGS = ("qmltrain_version", "git_commit", "device", "dataset_checksum", "host")


@dataclass(frozen=True)
class Difference:
    """The first difference between two runs' stored numbers, in words, and the largest one of that table."""

    where: str
    largest: float


def run(first: Path, second: Path, context: CommandContext) -> int:
    """Print config keys, surroundings and final metrics that differ, and where the stored numbers first do."""
    views = [open_run(path) for path in (first, second)]
    attributes = [view.attributes for view in views]
    print(f"A          {first} ({views[0].status})")
    print(f"B          {second} ({views[1].status})")
    rows = [
        (key, _word(was), _word(now))
        for key, (was, now) in differing_keys(views[0].config, views[1].config, WHERE_IT_LIES).items()
    ]
    rows += [
        (name, _word(attributes[0].get(name)), _word(attributes[1].get(name)))
        for name in SURROUNDINGS
        if attributes[0].get(name) != attributes[1].get(name)
    ]
    _print_table("differs", ("A", "B"), rows)
    metrics = [final_metrics(view, found) for view, found in zip(views, attributes, strict=True)]
    names = [*metrics[0], *(name for name in metrics[1] if name not in metrics[0])]
    _print_table(
        "metric",
        ("A", "B", "B - A"),
        [
            (name, _number(a), _number(b), "" if a is None or b is None else f"{b - a:+.6g}")
            for name in names
            for a, b in [(metrics[0].get(name), metrics[1].get(name))]
        ],
    )
    found = first_difference(*views)
    print()
    if found is None:
        print("all stored numbers are equal to the bit")
    else:
        print(f"the stored numbers differ: first {found.where} (largest difference there {found.largest:.3g})")
    return 0


def final_metrics(view: RunView, attributes: dict[str, Any]) -> dict[str, float]:
    """What a completed run ended with; of another one its last epoch."""
    if view.status == COMPLETED:
        return summary_of(attributes)
    return {
        name: float(values[-1])
        for name, values in view.table("epochs").items()
        if name not in ("epoch", "step") and len(values)
    }


def first_difference(first: RunView, second: RunView) -> Difference | None:
    """Where metrics, epochs, gradients, parameters and evaluations of two runs first differ; None: alike to the bit.

    What only one of them stored is passed over: it is the config that differs there.
    """
    for name in TABLES:
        a, b = first.table(name), second.table(name)
        shared = [column for column in a if column in b]
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


def _print_table(title: str, names: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    print()
    if not rows:
        print(f"{title:<32} nothing")
        return
    width = max(32, *(len(row[0]) for row in rows))
    columns = [max(len(text) for text in column) for column in zip(names, *(row[1:] for row in rows), strict=True)]
    for row in ((title, *names), *rows):
        cells = " ".join(f"{text:<{size}}" for text, size in zip(row[1:], columns, strict=True))
        print(f"{row[0]:<{width}} {cells}".rstrip())


def _word(value: Any) -> str:
    return "null" if value is None else str(value)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
