"""Figures without a display: an own canvas and no pyplot, so no global state of the caller is touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from qmltrain.errors import InputError
from qmltrain.runs.atomic import storage_errors

FORMATS = (".png", ".svg", ".pdf")


def check_format(out: Path) -> None:
    """Raises InputError for another ending than `FORMATS`."""
    if out.suffix.lower() not in FORMATS:
        raise InputError(f"plot: found {out.name!r}; the ending must be one of {', '.join(FORMATS)}")


def new_figure(width: float, height: float) -> Any:
    """A figure of so many inches. Raises InputError where matplotlib is missing."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError("matplotlib is not installed, and plots need it: pip install 'qmltrain[plot]'") from None
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def shades(count: int) -> list[Any]:
    """Colours of a sequence, dark to light."""
    import matplotlib

    return list(matplotlib.colormaps["viridis"](np.linspace(0, 0.9, count)))


def save(figure: Any, out: Path) -> Path:
    """Raises StorageError where it cannot be written."""
    with storage_errors("write", out):
        out.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(out, dpi=150)
    return out
