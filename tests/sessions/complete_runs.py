"""Runs that were trained to their end, and copies of them with something changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qmltrain.sessions.training_run import run_directory
from qmltrain.verbs import train
from tests.small_configs import CONTEXT, moons


def complete(root: Path, **changes: Any) -> Path:
    """The directory of a completed run of `moons` with these changes."""
    config = moons(root, **changes)
    assert train.run(config, CONTEXT) == 0
    return run_directory(config)
