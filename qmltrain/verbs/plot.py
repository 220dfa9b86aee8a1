"""`qmltrain plot RUN`: the curves of a run as a picture beside its run file."""

from __future__ import annotations

from pathlib import Path

from qmltrain.config.schema import CommandContext
from qmltrain.plots.training_curves import plot_run


def run(path: Path, context: CommandContext) -> int:
    """Writes curves.png into the run's directory (replacing an older one, which is derived from the same file)."""
    directory = path if path.is_dir() else path.parent
    picture = directory / "curves.png"
    plot_run(path, picture)
    print(f"picture    {picture}")
    return 0
