"""The last lines of a training: where the run file is and how well it went, beside the classical baseline."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qmltrain.runs.file_layout import FILE_NAME
from qmltrain.runs.views import open_run

_SHOWN = ("accuracy", "balanced_accuracy", "f1_macro", "roc_auc", "r2", "mae")


def summary_of(attributes: Mapping[str, Any]) -> dict[str, float]:
    """The numbers that a finished run ended with."""
    found = attributes.get("summary", {})
    return json.loads(found) if isinstance(found, str) else dict(found)


def objective(directory: Path, monitor: str) -> float:
    """What a search over configs compares finished runs by: the best value of `monitor` (``train.monitor``), that of
    the training where there are no data; NaN where there is no validation split to take it from."""
    summary = summary_of(open_run(directory).attributes)
    return summary.get(monitor, summary.get(monitor.replace("val/", "train/"), float("nan")))


def print_result(directory: Path) -> None:
    """Results go to stdout."""
    attributes = open_run(directory).attributes
    summary = summary_of(attributes)
    print(f"run file   {directory / FILE_NAME}")
    print(f"device     {attributes.get('device', 'unknown')}")
    if "session_seconds" in attributes:
        steps, seconds = int(attributes["session_steps"]), float(attributes["session_seconds"])
        print(f"training   {steps} steps in {seconds:.1f} s; {attributes.get('finished', '')}")
    for line in result_lines(summary):
        print(line)


def result_lines(summary: Mapping[str, float]) -> list[str]:
    """``test accuracy 0.944, logistic regression on the same features 0.931``, and the other metrics likewise."""
    lines = []
    regression = "test/r2" in summary
    rival = "ridge regression" if regression else "logistic regression"
    for name in _SHOWN:
        if f"test/{name}" not in summary:
            continue
        line = f"test {name:<18} {summary[f'test/{name}']:.4f}"
        if f"baseline/{name}" in summary:
            line += f"   {rival} on the same features {summary[f'baseline/{name}']:.4f}"
        if f"perceptron/{name}" in summary:
            line += f", perceptron {summary[f'perceptron/{name}']:.4f}"
        lines.append(line)
    if "train/loss" in summary:  # without data: the value of the best parameters
        lines.append(f"lowest value {summary['train/loss']:.6f}")
    elif "test/loss" in summary and not lines:
        lines.append(f"test loss {summary['test/loss']:.6f}")
    return lines
