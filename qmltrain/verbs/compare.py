"""`qmltrain compare A B`: what differs between two runs, in their configs and in their results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qmltrain.config.identity import differing_keys
from qmltrain.config.schema import CommandContext
from qmltrain.runs.differences import SURROUNDINGS, first_difference, stored_otherwise
from qmltrain.runs.store import COMPLETED
from qmltrain.runs.views import RunView, open_run
from qmltrain.sessions.results import summary_of

WHERE_IT_LIES = ("run.name", "run.root", "run.dir", "run.resume", "run.progress", "run.log_seconds")


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
    passed_over = stored_otherwise(views[0], views[1])
    found = first_difference(views[0], views[1], passed_over)
    print()
    if passed_over:
        print(f"not compared: {', '.join(passed_over)}, which the two versions store otherwise")
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
