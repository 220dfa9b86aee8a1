"""A small run file, with whatever is to be different in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qmltrain.runs.store import RunStore

NAMES = ["a", "b", "c"]


def create(directory: Path, **changes: Any) -> RunStore:
    settings: dict[str, Any] = {
        "metrics": ["loss"],
        "epoch_metrics": ["val/loss"],
        "n_steps": 5,
        "n_epochs": 2,
        "n_layers": 2,
        "parameter_names": NAMES,
        "gradients": "none",
    }
    attributes = changes.pop("attributes", {})
    return RunStore.create(directory, attributes, **{**settings, **changes})
