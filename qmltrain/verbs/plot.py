"""`qmltrain plot RUN`: the curves of a run, or the pictures of a scan, beside its file."""

from __future__ import annotations

from pathlib import Path

from qmltrain.config.schema import CommandContext
from qmltrain.plots.training_curves import plot_run
from qmltrain.runs.scan_files import holds_scan, part_that_reads_scans, refuse_kernel


def run(path: Path, context: CommandContext) -> int:
    """Writes curves.png into the run's directory; of a scan variances.png, fidelity.png, landscape.png, what it has of
    them. Older ones are replaced: they are derived from the same file."""
    if holds_scan(path):
        for picture in part_that_reads_scans("qmltrain.plots.scan_pictures").plot_scan(path):
            print(f"picture    {picture}")
        return 0
    refuse_kernel(path, "plot")
    directory = path if path.is_dir() else path.parent
    picture = directory / "curves.png"
    plot_run(path, picture)
    print(f"picture    {picture}")
    return 0
