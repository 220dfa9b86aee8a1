"""The pictures of a scan: curves (`scan_curves`), fidelities against Haar's, and losses on lines and planes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from qmltrain.plots.canvas import new_figure, save, shades
from qmltrain.plots.scan_curves import plot_curves, refuse_empty
from qmltrain.scans.point_statistics import BINS
from qmltrain.scans.summary import name_of
from qmltrain.scans.views import PointView, ScanView, open_scan
from qmltrain.studies import haar

MOST_PANELS = 12
MOST_LINES = 20  # draws of one panel
LEVELS = 24  # contours of a plane
COLUMNS = 4  # panels side by side


def plot_scan(path: str | os.PathLike[str]) -> list[Path]:
    """Draw the scan at `path`, finished or not, into its directory: what it has of variances.png, fidelity.png,
    landscape.png, older ones replaced; their paths. Raises InputError where there is no scan, or no draw yet."""
    scan = open_scan(path)
    refuse_empty(scan)
    made = [
        plot_curves(scan, scan.path / "variances.png"),
        plot_fidelities(scan, scan.path / "fidelity.png"),
        plot_landscapes(scan, scan.path / "landscape.png"),
    ]
    return [picture for picture in made if picture is not None]


def plot_fidelities(scan: ScanView, out: Path) -> Path | None:
    """Histograms of the fidelities of pairs of draws beside that of Haar-random states, a panel a point."""
    points = [point for point in scan.points if "fidelity" in point.quantities and point.stored.draws]
    if not points:
        return None
    figure, panels = _grid(min(len(points), MOST_PANELS))
    for axes, point in zip(panels, _spread(points), strict=False):
        n_bins = point.config["scan.bins"] or BINS
        edges = np.linspace(0.0, 1.0, n_bins + 1)
        counts = haar.histogram(point.columns["fidelity"], n_bins)
        chances = np.exp(haar.log_bin_chances(point.config["circuit.n_qubits"], n_bins))
        axes.stairs(counts / counts.sum(), edges, fill=True, color="tab:blue", alpha=0.6, label="draws")
        axes.stairs(chances, edges, color="black", linewidth=1.2, label="Haar")
        found = haar.expressibility(point.columns["fidelity"], point.config["circuit.n_qubits"], n_bins)
        axes.set_title(f"{name_of(point.stored)}: KL {found.divergence:.3g} +- {found.error:.1g}", fontsize="small")
        axes.set_yscale("log")
        axes.set_ylim(0.3 / counts.sum(), 2.0)
        axes.set_xlabel("fidelity of two draws")
        axes.grid(alpha=0.25)
    panels[0].set_ylabel("fraction of pairs in a bin")
    panels[0].legend(fontsize="small")
    figure.suptitle(scan.path.name)
    return save(figure, out)


def plot_landscapes(scan: ScanView, out: Path) -> Path | None:
    """Losses along a line, all draws of a point in one panel; on a plane as contours, the first draw of each point."""
    points = [point for point in scan.points if "value" in point.quantities and point.stored.draws]
    if not points:
        return None
    figure, panels = _grid(min(len(points), MOST_PANELS))
    for axes, point in zip(panels, _spread(points), strict=False):
        values, offsets = point.columns["value"], point.stored.offsets
        assert offsets is not None
        names = [f"along {name} (radians)" for name in point.directions]
        if values.ndim == 2:
            for colour, draw in zip(shades(min(len(values), MOST_LINES)), values, strict=False):
                axes.plot(offsets, draw, color=colour, linewidth=1.2)
            axes.axvline(0.0, color="gray", linewidth=0.6)
            axes.set_ylabel("loss")
            axes.grid(alpha=0.25)
        else:
            contours = axes.contourf(offsets, offsets, values[0].T, LEVELS)
            axes.contour(offsets, offsets, values[0].T, LEVELS // 3, colors="white", linewidths=0.4)
            figure.colorbar(contours, ax=axes, label="loss")
            axes.set_aspect("equal")
            axes.plot(0.0, 0.0, "+", color="white", markersize=9)
            axes.set_ylabel(names[1])
        axes.set_xlabel(names[0])
        axes.set_title(name_of(point.stored), fontsize="small")
    figure.suptitle(scan.path.name)
    return save(figure, out)


def _grid(count: int) -> tuple[Any, list[Any]]:
    """A figure of so many panels, a few side by side."""
    columns = min(count, COLUMNS)
    rows = -(-count // columns)
    figure = new_figure(4.6 * columns, 3.8 * rows)
    panels = figure.subplots(rows, columns, squeeze=False).reshape(-1)
    for axes in panels[count:]:
        axes.set_visible(False)
    return figure, list(panels[:count])


def _spread(points: list[PointView]) -> list[PointView]:
    """Of many points those in equal steps."""
    chosen = np.linspace(0, len(points) - 1, min(len(points), MOST_PANELS)).round().astype(int)
    return [points[k] for k in chosen]
