"""Opens scan files for reading, finished or not: one, or the shards of a directory together."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qmltrain.config.identity import complete, flatten
from qmltrain.config.storage import from_yaml, to_dict
from qmltrain.errors import InputError, StorageError
from qmltrain.runs.first_block import check_first_block
from qmltrain.runs.reading import damage_named, opened, read_attributes
from qmltrain.runs.row_counter import RowCount, rows_checksum
from qmltrain.scans.file_layout import COUNTER, FILE_NAME, GRID, SCAN_FILE, PointLayout, Shard, group_of, scan_files
from qmltrain.studies.study import Column
from qmltrain.wording import listed

if TYPE_CHECKING:
    import h5py


@dataclass(frozen=True)
class ScanHeader:
    """What a scan file says of itself: offsets in bytes of its counter and of each point's columns."""

    path: Path
    attributes: dict[str, Any]
    grid: tuple[str, ...]
    points: tuple[PointLayout, ...]
    counts: tuple[RowCount, ...]
    counter: int
    offsets: tuple[dict[str, int], ...]


@dataclass(frozen=True)
class StoredPoint:
    """A point of a scan. `values`: of each swept key; `config`: all options by dotted key; `capacity`: draws that it
    was asked for; `draws`: those that it has."""

    path: Path
    number: int  # in the file
    identity: str
    values: dict[str, Any]
    config: dict[str, Any]
    layout: PointLayout
    count: RowCount = field(repr=False)

    @property
    def capacity(self) -> int:
        return self.layout.draws

    @property
    def draws(self) -> int:
        return self.count.rows

    @property
    def complete(self) -> bool:
        return self.draws >= self.capacity

    @property
    def labels(self) -> dict[str, tuple[str, ...]]:
        """Of each column that has them: names of parameters, layers and "all"."""
        return {column.name: column.labels for column in self.layout.columns if column.labels}

    @cached_property
    def columns(self) -> dict[str, NDArray[np.float64]]:
        """Each column (draws, *shape), compared with their checksum. Raises StorageError where they are damaged."""
        with _open(self.path) as file:
            group = file[group_of(self.number)]
            found = {column.name: group[column.name][: self.draws] for column in self.layout.columns}
        rows = [np.ascontiguousarray(array).reshape(len(array), -1) for array in found.values() if len(array)]
        if rows and rows_checksum(rows) != self.count.checksum:
            raise StorageError(
                f"{self.path}: {group_of(self.number)}: damaged (the checksum of its rows is not the one written with "
                "them); run the scan again to draw it anew"
            )
        return found

    @property
    def offsets(self) -> NDArray[np.float64] | None:
        """Of a line or plane: where its values lie along each direction, in radians."""
        if not self.layout.columns or self.layout.columns[0].name != "value":
            return None
        span = float(self.layout.attributes["span"])
        return np.linspace(-span, span, self.layout.columns[0].shape[0])


@dataclass(frozen=True)
class StoredScan:
    """A scan: all points of its grid in order, then others that its files still hold. `attributes` are those of its
    first file."""

    directory: Path
    attributes: dict[str, Any]
    points: tuple[StoredPoint, ...]

    @property
    def swept(self) -> tuple[str, ...]:
        return tuple(self.attributes["swept"])

    @property
    def complete(self) -> bool:
        return all(point.complete for point in self.points)


def is_scan(path: str | os.PathLike[str]) -> bool:
    """Whether `path` is a scan file or a directory that holds one."""
    path = Path(path)
    if path.is_dir():
        return bool(scan_files(path))
    return path.is_file() and path.suffix == ".h5" and check_first_block(path, SCAN_FILE) == SCAN_FILE.version


def read_scan(path: str | os.PathLike[str], *, incomplete: bool = True) -> StoredScan:
    """The scan in a directory, its shards together, or in one scan file.

    Raises InputError: no scan there, a set of shards that is not whole or not of one grid, unless `incomplete` also one
    that has not all of its draws yet; StorageError where a file is damaged.
    """
    path = Path(path)
    if path.is_dir():
        files, directory = scan_files(path), path
        if not files:
            raise InputError(f"{path}: there is no scan here; give a scan's directory, or the {FILE_NAME} in it")
    elif path.is_file():
        files, directory = {Shard(): path}, path.parent
    else:
        raise InputError(f"{path}: there is no scan here; give a scan's directory, or the {FILE_NAME} in it")
    counts = {shard.count for shard in files}  # one file alone is read as a whole, also that of a shard
    if len(counts) > 1:
        raise InputError(f"{directory}: holds scans divided in different ways ({listed([*map(str, files)])}); keep one")
    count = counts.pop()
    if missing := [f"{k}/{count}" for k in range(1, count + 1) if Shard(k, count) not in files]:
        raise InputError(f"{directory}: shards {listed(missing)} are missing; run them with scan.shard={missing[0]}")
    headers = [read_header(file) for file in files.values()]
    if len({header.grid for header in headers}) > 1:
        raise InputError(f"{directory}: its shards are of different grids; run all {count} again with the larger one")
    found: dict[str, StoredPoint] = {}
    for header in headers:
        for point in _points(header):
            if point.identity not in found or found[point.identity].draws < point.draws:
                found[point.identity] = point
    order = dict.fromkeys([identity for identity in headers[0].grid if identity in found] + list(found))
    scan = StoredScan(directory, headers[0].attributes, tuple(found[identity] for identity in order))
    if not incomplete and not scan.complete:
        done, wanted = (sum(getattr(point, name) for point in scan.points) for name in ("draws", "capacity"))
        raise InputError(f"{directory}: the scan has {done} of {wanted} draws; run the same command again to go on")
    return scan


def read_header(path: Path) -> ScanHeader:
    """Raises InputError where there is no scan file, StorageError where it is damaged."""
    with _open(path) as file:
        numbers = file[COUNTER][()]
        layouts, offsets = [], []
        for number in range(len(numbers)):
            layout, places = _layout(file[group_of(number)])
            layouts.append(layout)
            offsets.append(places)
        return ScanHeader(
            path,
            read_attributes(file),
            tuple(file[GRID].asstr()[()].tolist()),
            tuple(layouts),
            tuple(RowCount(int(rows), int(checksum)) for rows, checksum in numbers),
            int(file[COUNTER].id.get_offset() or 0),
            tuple(offsets),
        )


def _layout(group: h5py.Group) -> tuple[PointLayout, dict[str, int]]:
    attributes = {name: _plain(value) for name, value in group.attrs.items()}
    columns, offsets = [], {}
    for name in attributes.pop("columns"):
        dataset = group[name]
        labels = tuple(group[f"{name}_labels"].asstr()[()].tolist()) if f"{name}_labels" in group else ()
        columns.append(Column(name, dataset.shape[1:], labels))
        offsets[name] = int(dataset.id.get_offset() or 0)
    layout = PointLayout(attributes.pop("identity"), attributes.pop("draws"), tuple(columns), attributes)
    return layout, offsets


def _points(header: ScanHeader) -> Iterator[StoredPoint]:
    base = flatten(to_dict(from_yaml(header.attributes["config_yaml"], str(header.path))))
    for number, (layout, count) in enumerate(zip(header.points, header.counts, strict=True)):
        attributes: Mapping[str, Any] = layout.attributes
        config = {**base, **json.loads(attributes["changes"])}
        values = json.loads(attributes["values"])
        yield StoredPoint(header.path, number, layout.identity, values, complete(config), layout, count)


@contextmanager
def _open(path: Path) -> Iterator[h5py.File]:
    if not path.is_file():
        raise InputError(f"{path}: no scan file there; give a scan's directory, or the {FILE_NAME} in it")
    if check_first_block(path, SCAN_FILE) == 0:
        raise InputError(f"{path}: not a scan file, or damaged in its first line; restore it from a copy")
    with damage_named(path), opened(path) as file:
        yield file


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value.item() if isinstance(value, np.generic) else value
