"""A scan as curves: variances, entanglement and expressibility against the number of qubits and against depth.

Error bars are what the draws leave; solid lines join points, dashed lines are exact values, dotted ones Haar values.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from qmltrain.errors import InputError
from qmltrain.plots.canvas import new_figure, save, shades
from qmltrain.scans.point_statistics import PointStatistics
from qmltrain.scans.slopes import AGAINST
from qmltrain.scans.summary import name_of
from qmltrain.scans.views import ScanView

MOST_CURVES = 12  # of one panel
LONGEST_LEGEND = 6  # lines within a panel; longer ones stand beside it
MARKERS = "os^Dv*"


@dataclass(frozen=True)
class Quantity:
    """`name` of the numbers; `low` and `high` end them, or `error` stands beside them."""

    name: str
    label: str
    error: str | None = None
    logarithmic: bool = True


@dataclass(frozen=True)
class Curve:
    """The other swept keys of its points: `word`, names (a marker each); `number`, the rest (a colour each)."""

    word: str
    number: str
    points: list[PointStatistics]


QUANTITIES = (
    Quantity("gradient_variance", "variance of the gradient"),
    Quantity("squared_norm_mean", "mean squared gradient norm", "squared_norm_mean_error"),
    Quantity("loss_variance", "variance of the loss"),
    Quantity("entanglement_mean", "entanglement (Meyer-Wallach Q)", "entanglement_mean_error", logarithmic=False),
    Quantity("expressibility", "KL to Haar (nats)", "expressibility_error"),
)
AXES = {"circuit.n_qubits": "qubits", "ansatz.layers": "layers"}


def plot_curves(scan: ScanView, out: Path) -> Path | None:
    """A panel for each quantity and swept size, into `out`; None where the scan has none of these quantities."""
    points = scan.point_statistics
    quantities = [q for q in QUANTITIES if any(one.numbers.get(q.name) is not None for one in points)]
    if not quantities:
        return None
    sizes = [key for key in AGAINST if len({one.point.values.get(key) for one in points}) > 1]
    against: list[str | None] = [*sizes] or [None]
    sides = (len(quantities), len(against)) if len(against) > 1 else (-(-len(quantities) // 2), min(len(quantities), 2))
    figure = new_figure(6.0 * sides[1], 3.8 * sides[0])
    panels = list(figure.subplots(*sides, squeeze=False).reshape(-1))
    wanted = [(quantity, key) for quantity in quantities for key in against]
    for axes, (quantity, key) in zip(panels, wanted, strict=False):
        _panel(axes, quantity, key, points)
    for axes in panels[len(wanted) :]:
        axes.set_visible(False)
    figure.suptitle(scan.path.name)
    return save(figure, out)


def _panel(axes: Any, quantity: Quantity, key: str | None, points: Sequence[PointStatistics]) -> None:
    curves = _curves(points, key)
    by_word = len({curve.number for curve in curves}) == 1
    of = list(dict.fromkeys(curve.word if by_word else curve.number for curve in curves))
    colours = dict(zip(of, shades(len(of)), strict=True))
    markers = dict(zip(dict.fromkeys(curve.word for curve in curves), itertools.cycle(MARKERS), strict=False))
    known = set()
    for curve in curves:
        colour, label = colours[curve.word if by_word else curve.number], f"{curve.word} {curve.number}".strip()
        group = [one for one in curve.points if one.numbers.get(quantity.name) is not None]
        if not group:
            continue
        x = _places(key, group, points)
        values = _numbers(group, quantity.name)
        bars = {"capsize": 3, "elinewidth": 1, "marker": markers[curve.word], "markersize": 4}
        width = 1.2 if key else 0
        axes.errorbar(
            x, values, _bars(group, quantity, values), color=colour, linewidth=width, label=label or None, **bars
        )
        for kind, style, its_colour in (("exact", "--", "black"), ("haar", ":", colour)):  # exact ones lie on the curve
            reference = _numbers(group, f"{quantity.name}_{kind}")
            if np.isfinite(reference).any():
                marker = "" if key else "_"
                axes.plot(x, reference, style, color=its_colour, marker=marker, markersize=16, linewidth=1.4, zorder=5)
                known.add(kind)
    for kind, style, its_colour, text in (("exact", "--", "black", "exact"), ("haar", ":", "gray", "Haar value")):
        if kind in known:
            axes.plot([], [], style, color=its_colour, label=text)
    if quantity.logarithmic and np.any(_numbers(points, quantity.name) > 0.0):
        axes.set_yscale("log")
    _x_axis(axes, key, points)
    axes.set_ylabel(quantity.label)
    axes.grid(alpha=0.25)
    n_labels = len(axes.get_legend_handles_labels()[1])
    if n_labels > LONGEST_LEGEND:
        axes.legend(fontsize="x-small", loc="upper left", bbox_to_anchor=(1.0, 1.0))
    elif n_labels:
        axes.legend(fontsize="small")


def _curves(points: Sequence[PointStatistics], key: str | None) -> list[Curve]:
    """Points that differ in `key` alone, in its order; all as one curve without a key."""
    if key is None:
        return [Curve("", "", list(points))]
    found: dict[tuple[str, str], list[PointStatistics]] = {}
    for one in sorted(points, key=lambda one: one.point.values[key]):
        others = {name.rpartition(".")[2]: value for name, value in one.point.values.items() if name != key}
        word = " ".join(value for value in others.values() if isinstance(value, str))
        number = " ".join(f"{name}={json.dumps(v)}" for name, v in others.items() if not isinstance(v, str))
        found.setdefault((word, number), []).append(one)
    curves = [Curve(word, number, group) for (word, number), group in found.items()]
    chosen = np.linspace(0, len(curves) - 1, min(len(curves), MOST_CURVES)).round().astype(int)
    return [curves[k] for k in chosen]  # of many those in equal steps


def _places(key: str | None, group: Sequence[PointStatistics], points: Sequence[PointStatistics]) -> list[float]:
    return [float(one.point.values[key] if key else points.index(one)) for one in group]


def _x_axis(axes: Any, key: str | None, points: Sequence[PointStatistics]) -> None:
    if key is None:
        axes.set_xticks(range(len(points)), [name_of(one.point) for one in points], rotation=45, ha="right")
        return
    values = sorted({one.point.values[key] for one in points})
    axes.set_xlabel(AXES[key])
    if key == "ansatz.layers" and values[-1] >= 20 * values[0]:
        axes.set_xscale("log")
    elif len(values) <= 12:
        axes.set_xticks(values)


def _numbers(points: Sequence[PointStatistics], name: str) -> np.ndarray:
    found = [one.numbers.get(name) for one in points]
    return np.array([np.nan if value is None else value for value in found], dtype=np.float64)


def _bars(points: Sequence[PointStatistics], quantity: Quantity, values: np.ndarray) -> np.ndarray:
    """(2, points): lengths of the error bars below and above."""
    if quantity.error is not None:
        error = np.nan_to_num(_numbers(points, quantity.error))
        return np.stack([error, error])
    low, high = (_numbers(points, f"{quantity.name}_{end}") for end in ("low", "high"))
    return np.nan_to_num(np.stack([np.maximum(values - low, 0.0), np.maximum(high - values, 0.0)]))


def refuse_empty(scan: ScanView) -> None:
    """Raise InputError where there is nothing to draw."""
    if not any(point.stored.draws for point in scan.points):
        raise InputError(f"{scan.path}: nothing to draw: no point of this scan has draws yet")
