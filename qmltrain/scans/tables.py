"""A scan as a table: a row for each point, parameter, layer or slope; swept keys, then numbers, as columns."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from qmltrain.errors import InputError
from qmltrain.scans.point_statistics import Number, PointStatistics
from qmltrain.scans.slopes import Slope, slopes

Table = tuple[list[str], list[list[Number]]]


def table(points: Sequence[PointStatistics], each: str = "point") -> Table:
    """Header and rows. Raises InputError for another `each` than point, parameter, layer, slope."""
    if each not in TABLES:
        raise InputError(f"--each: found {each!r}; allowed: {', '.join(TABLES)}")
    return TABLES[each](points)


def of_points(points: Sequence[PointStatistics]) -> Table:
    return _table([(one.point.values, one.numbers) for one in points])


def of_parameters(points: Sequence[PointStatistics]) -> Table:
    """Gradients of every parameter."""
    return _named("parameter", [(one.point.values, one.parameters) for one in points], "gradient")


def of_layers(points: Sequence[PointStatistics]) -> Table:
    """Squared gradient norms of every layer, and of all parameters."""
    return _named("layer", [(one.point.values, one.layers) for one in points], "gradient_norms")


def of_slopes(points: Sequence[PointStatistics]) -> Table:
    """Of ln variance, per unit of the key `against`."""
    return _table([(one.where, _slope_numbers(one)) for one in slopes(points)])


TABLES: dict[str, Callable[[Sequence[PointStatistics]], Table]] = {
    "point": of_points,
    "parameter": of_parameters,
    "layer": of_layers,
    "slope": of_slopes,
}


def _slope_numbers(slope: Slope) -> dict[str, Number]:
    low, high = slope.estimate.low, slope.estimate.high
    return {
        "of": slope.of,
        "against": slope.against,
        "points": slope.n_points,
        "slope": slope.estimate.value,
        "slope_low": low,
        "slope_high": high,
        "slope_exact": slope.exact,
        "slope_haar": slope.haar,
    }


def _named(what: str, points: Sequence[tuple[dict[str, Any], dict[str, dict[str, Number]]]], quantity: str) -> Table:
    rows = [(values, {what: name, **numbers}) for values, named in points for name, numbers in named.items()]
    if not rows:
        raise InputError(f"--each {what}: {quantity} is not among the quantities of this scan (scan.quantities)")
    return _table(rows)


def _table(rows: Sequence[tuple[dict[str, Any], dict[str, Number]]]) -> Table:
    """Columns in the order in which they first occur; what a row does not have is None."""
    keys = dict.fromkeys(key for values, _ in rows for key in values)
    names = dict.fromkeys(name for _, numbers in rows for name in numbers)
    cells = [
        [*(cell(values.get(key)) for key in keys), *(numbers.get(name) for name in names)] for values, numbers in rows
    ]
    return [*keys, *names], cells


def cell(value: Any) -> Number:
    """A config's value as it can stand in a cell: lists as JSON."""
    return json.dumps(value) if isinstance(value, list | dict) else value
