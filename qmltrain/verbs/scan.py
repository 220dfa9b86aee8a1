"""`qmltrain scan`: draws of every point of a grid, in one file; then its summary."""

from __future__ import annotations

from qmltrain.config.grid import Grid
from qmltrain.config.schema import CommandContext
from qmltrain.scans.session import scan


def run(grid: Grid, context: CommandContext) -> int:
    """Start the scan or go on with it; exit code 0. Raises InterruptedRun (75) when a signal stopped it."""
    return scan(grid, context)
