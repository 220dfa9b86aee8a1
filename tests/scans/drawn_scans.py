"""Scans that are drawn here in seconds, from words as they are typed, for what reads scans."""

from __future__ import annotations

from pathlib import Path

from qmltrain.cli.grids import compose_grid
from qmltrain.config.schema import CommandContext
from qmltrain.engines.cpu import unavailable_reason
from qmltrain.scans import session

ENGINE = "engine=cpu" if unavailable_reason() is None else "engine=interpreter"
NO_DATA = ("dataset=none", "encoding=none", "head=raw", "run.progress=none", ENGINE)
PRODUCT = ("ansatz=hea", "ansatz.layers=1", "ansatz.rotations=[rx]", "ansatz.entangler=none", "loss=fidelity")
PAULI = ("loss=expectation", "observable=pauli", "observable.terms=['Z0 Z1']")
EVERY = "scan.quantities=[loss,gradient,gradient_norms,entanglement,fidelity]"


def draw(directory: Path, *words: str) -> Path:
    """Run `qmltrain scan` without data in `directory`, which is returned."""
    command = [*NO_DATA, f"run.dir={directory}", *words]
    assert session.scan(compose_grid(command), CommandContext(["qmltrain", "scan", *command], command)) == 0
    return directory
