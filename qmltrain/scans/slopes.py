"""Slopes of ln variance, and of ln of the mean squared gradient norm, against qubits and depth, over a scan's points.

Points are compared that differ in that one key alone, or in keys that follow from it (``ansatz.layers=${times:10,...}``
is not swept). An exponential decay exp(-a n) has the slope -a: a deep random circuit -ln 2 per qubit.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qmltrain.scans.point_statistics import PointStatistics
from qmltrain.studies import statistics

AGAINST = ("circuit.n_qubits", "ansatz.layers")
OF = ("loss_variance", "gradient_variance", "squared_norm_mean")


@dataclass(frozen=True)
class Slope:
    """Of ln `of` per unit of the key `against`, over `n_points` points with the values `where` of the other swept keys.
    `exact`, `haar`: of the points' exact and Haar variances, where all have one."""

    of: str
    against: str
    where: dict[str, Any]
    n_points: int
    estimate: statistics.Estimate
    exact: float | None
    haar: float | None


def slopes(points: Sequence[PointStatistics]) -> list[Slope]:
    """All that two or more points with different values of a swept key have."""
    found = []
    for of in OF:
        for against in AGAINST:
            groups: dict[str, list[PointStatistics]] = {}
            for one in points:
                values = one.point.values
                if of in one.resamples and isinstance(values.get(against), int):
                    others = {key: value for key, value in values.items() if key != against}
                    groups.setdefault(json.dumps(others, sort_keys=True), []).append(one)
            for where, group in groups.items():
                if len({one.point.values[against] for one in group}) > 1:
                    found.append(_slope(of, against, json.loads(where), group))
    return found


def _slope(of: str, against: str, where: dict[str, Any], group: Sequence[PointStatistics]) -> Slope:
    x = [one.point.values[against] for one in group]
    variances = np.array([one.numbers[of] if one.numbers[of] is not None else np.nan for one in group], dtype=float)
    estimate = statistics.slope(x, variances, np.stack([one.resamples[of] for one in group]))
    known = [_slope_of_known(x, [one.numbers.get(f"{of}_{kind}") for one in group]) for kind in ("exact", "haar")]
    return Slope(of, against, where, len(group), estimate, *known)


def _slope_of_known(x: Sequence[int], values: Sequence[Any]) -> float | None:
    if any(value is None or value <= 0.0 for value in values):
        return None
    found = statistics.slope(x, values, np.array(values, dtype=float)[:, None]).value
    return 0.0 if abs(found) < 1e-12 else found  # equal values
