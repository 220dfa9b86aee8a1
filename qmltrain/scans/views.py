"""Scans as tables: ``open_scan("runs/plateau-1a2b3c4d").statistics`` is an xarray Dataset over the grid.

Works on finished scans, on interrupted ones, and on those that are being drawn; the shards of a directory are one scan.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qmltrain.errors import InputError
from qmltrain.runs.views import analysis_package
from qmltrain.scans.point_statistics import PointStatistics
from qmltrain.scans.reading import StoredPoint, StoredScan, read_scan
from qmltrain.scans.slopes import Slope, slopes
from qmltrain.scans.summary import name_of, statistics_of
from qmltrain.scans.tables import cell, table

if TYPE_CHECKING:
    import pandas
    import xarray


def open_scan(path: str | os.PathLike[str]) -> ScanView:
    """A view of the scan in the directory `path`, all its shards together, or of one scan file.

    Raises InputError where there is none, or where shards are missing; StorageError where it cannot be read.
    """
    return ScanView(read_scan(path))


class ScanView:
    """Reads one scan: the draws that it had when it was opened. ``scan[4]`` is its fifth point."""

    def __init__(self, stored: StoredScan) -> None:
        self.stored = stored

    def __repr__(self) -> str:
        done, wanted = (sum(getattr(point, name) for point in self.stored.points) for name in ("draws", "capacity"))
        return f"<ScanView of {self.path}: {len(self)} points, {done} of {wanted} draws>"

    def __len__(self) -> int:
        return len(self.stored.points)

    def __getitem__(self, number: int) -> PointView:
        return self.points[number]

    @property
    def path(self) -> Path:
        return self.stored.directory

    @property
    def attributes(self) -> dict[str, Any]:
        """Of the scan: versions, host, command line, config of its first point as YAML (docs/scan-file.md)."""
        return self.stored.attributes

    @property
    def complete(self) -> bool:
        """Whether every point has all the draws that it was asked for."""
        return self.stored.complete

    @property
    def swept(self) -> tuple[str, ...]:
        """The keys in which points differ."""
        return self.stored.swept

    @cached_property
    def points(self) -> list[PointView]:
        """In the order of the grid."""
        return [PointView(point) for point in self.stored.points]

    @cached_property
    def point_statistics(self) -> list[PointStatistics]:
        """Of each point that has draws: numbers, those of its parameters and layers, exact values."""
        return statistics_of(self.stored)

    def table(self, each: str = "point") -> pandas.DataFrame:
        """What `qmltrain collect` writes: a row for each "point", "parameter", "layer" or "slope"."""
        header, rows = table(self.point_statistics, each)
        return analysis_package("pandas").DataFrame(rows, columns=header)

    @property
    def slopes(self) -> list[Slope]:
        """Of ln variance against the number of qubits and against depth."""
        return slopes(self.point_statistics)

    @property
    def statistics(self) -> xarray.Dataset:
        """Every number of `table()` as a variable over the grid."""
        xarray = analysis_package("xarray")
        found = self.point_statistics
        names = dict.fromkeys(name for one in found for name in one.numbers)
        texts = {name for one in found for name, value in one.numbers.items() if isinstance(value, str)}
        points = [one.point for one in found]
        variables = {}
        for name in [name for name in names if name not in texts]:
            values = [one.numbers.get(name) for one in found]
            numbers = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
            variables[name] = self._over_grid(points, numbers)
        return xarray.Dataset(variables)

    def draws(self, name: str) -> xarray.DataArray:
        """A column of every point: over the grid, then `draw`, then parameters, layers or places of a plane.

        Where points have fewer draws than others, NaN. Raises InputError where points have other parameters than
        others; these have arrays of their own (`scan[0].xarray()`).
        """
        points = [point for point in self.points if point.stored.draws]
        if not points or any(name not in point.columns for point in points):
            there = dict.fromkeys(column for point in points for column in point.columns)
            raise InputError(f"{self.path}: no column {name!r}; there are {', '.join(there) or 'none yet'}")
        arrays = [point.columns[name] for point in points]
        same = len({array.shape[1:] for array in arrays}) == 1 and len({p.labels.get(name) for p in points}) == 1
        if not same:
            raise InputError(f"{self.path}: {name} is not the same in all points; take one, as scan[0].xarray()")
        longest = max(len(array) for array in arrays)
        filled = np.full((len(arrays), longest, *arrays[0].shape[1:]), np.nan)
        for row, array in zip(filled, arrays, strict=True):
            row[: len(array)] = array
        one = points[0].xarray()[name]
        coordinates = {key: value.values for key, value in one.coords.items() if key != "draw"}
        return self._over_grid([p.stored for p in points], filled, one.dims, coordinates).rename(name)

    def _over_grid(
        self,
        points: Sequence[StoredPoint],
        values: NDArray[np.float64],
        dimensions: Sequence[Any] = (),
        coordinates: dict[Any, Any] | None = None,
    ) -> xarray.DataArray:
        """`values` with a dimension for each swept key where points are the product of all values, else `point`."""
        xarray = analysis_package("xarray")
        places = [[cell(point.values.get(key)) for key in self.swept] for point in points]
        axes = [list(dict.fromkeys(place[k] for place in places)) for k in range(len(self.swept))]
        full = len({tuple(place) for place in places}) == len(places) == int(np.prod([len(axis) for axis in axes]))
        coordinates = dict(coordinates or {})
        if not full:
            names = [name_of(point) for point in points]
            return xarray.DataArray(values, {"point": names, **coordinates}, ("point", *dimensions))
        ordered = np.empty((*map(len, axes), *values.shape[1:]))
        for place, value in zip(places, values, strict=True):
            ordered[tuple(axis.index(word) for axis, word in zip(axes, place, strict=True))] = value
        return xarray.DataArray(
            ordered, {**dict(zip(self.swept, axes, strict=True)), **coordinates}, (*self.swept, *dimensions)
        )


class PointView:
    """One point of a scan."""

    def __init__(self, stored: StoredPoint) -> None:
        self.stored = stored

    def __repr__(self) -> str:
        return f"<point {name_of(self.stored)}: {self.stored.draws} of {self.stored.capacity} draws>"

    @property
    def values(self) -> dict[str, Any]:
        """Of each swept key."""
        return self.stored.values

    @property
    def config(self) -> dict[str, Any]:
        """All options, by dotted key."""
        return self.stored.config

    @property
    def columns(self) -> dict[str, NDArray[np.float64]]:
        """Each quantity as an array (draws, ...): `loss`, `gradient`, `gradient_norms` (squared, of each layer and of
        all), `entanglement`, `fidelity`; of a line or plane `value`. Needs no further package."""
        return self.stored.columns

    @property
    def labels(self) -> dict[str, tuple[str, ...]]:
        """Names of the parameters of `gradient`, and of the layers of `gradient_norms`."""
        return self.stored.labels

    @property
    def quantities(self) -> tuple[str, ...]:
        """Names of its columns."""
        return tuple(column.name for column in self.stored.layout.columns)

    @property
    def directions(self) -> tuple[str, ...]:
        """Of a line or plane; () of other points."""
        return tuple(self.stored.layout.attributes.get("directions", ()))

    def xarray(self) -> xarray.Dataset:
        """All columns: over `draw`, and `parameter`, `layer`, or `a` and `b` (radians) of a line or plane."""
        package = analysis_package("xarray")
        variables, offsets = {}, self.stored.offsets
        for name, array in self.columns.items():
            dimensions: dict[str, Any] = {"draw": np.arange(len(array))}
            if name in self.labels:
                dimensions[_SECOND[name]] = list(self.labels[name])
            elif offsets is not None:
                dimensions |= dict.fromkeys("ab"[: array.ndim - 1], offsets)
            variables[name] = package.DataArray(array, dimensions, tuple(dimensions), name)
        return package.Dataset(variables)


_SECOND = {"gradient": "parameter", "gradient_norms": "layer"}
