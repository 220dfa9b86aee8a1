"""Rows of a scan file that was laid out: plain writes at known offsets, then the point's record in the counter.

A kill between two writes leaves rows that are not counted; they are drawn again, to the same bits. Nothing of HDF5
changes here: not even its library is used.
"""

from __future__ import annotations

import os
import struct
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmltrain.errors import StorageError
from qmltrain.runs.atomic import new_file, read_at, storage_error, write_at, write_pieces
from qmltrain.runs.row_counter import RowCount, rows_checksum
from qmltrain.scans.file_layout import RECORD_BYTES, PointLayout, group_of, lay_out
from qmltrain.scans.reading import ScanHeader, read_header
from qmltrain.units import gib

_COPY_BYTES = 1 << 24  # copied at a time


class ScanRows:
    """The rows of the scan file at `path`; one process at a time, which holds its lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.header = read_header(path)
        self._counts = [RowCount(count.rows, count.checksum) for count in self.header.counts]
        self._descriptor = -1
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            for number in range(len(self._counts)):
                self._check(number)
        except OSError as error:
            self.close()
            raise storage_error("open", path, error) from error

    @property
    def points(self) -> tuple[PointLayout, ...]:
        return self.header.points

    def rows(self, number: int) -> int:
        """The rows of a point that count."""
        return self._counts[number].rows

    def append(self, number: int, columns: Mapping[str, NDArray[np.float64]]) -> None:
        """Write the next rows (D, *shape) of a point, of every column; they count when all of them are in the file.

        Raises ValueError for columns that do not fit, StorageError where the disk does not take them.
        """
        point, count, offsets = self.points[number], self._counts[number], self.header.offsets[number]
        n_rows = len(next(iter(columns.values())))
        if count.rows + n_rows > point.draws:
            raise ValueError(f"{group_of(number)}: laid out for {point.draws} draws")
        arrays, pieces = [], []
        for column in point.columns:
            values = np.ascontiguousarray(columns[column.name], "<f8")
            if values.shape != (n_rows, *column.shape):
                raise ValueError(f"{column.name}: found shape {values.shape}, laid out for {column.shape} a draw")
            flat = values.reshape(n_rows, -1)
            arrays.append(flat)
            if values.size:
                pieces.append((flat.data, offsets[column.name] + count.rows * flat[0].nbytes))
        try:
            write_pieces(self._descriptor, pieces)
            count.add(arrays)
            write_at(self._descriptor, _record(count), self.header.counter + RECORD_BYTES * number)
        except OSError as error:
            raise storage_error("write", self.path, error) from error

    def blocks(self, number: int) -> Iterator[list[NDArray[np.float64]]]:
        """The columns (rows, width) of a point's rows that count, some rows at a time. Raises OSError."""
        return _blocks(self._descriptor, self.header, number, self.rows(number))

    def sync(self) -> None:
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            raise storage_error("write", self.path, error) from error

    def close(self) -> None:
        """At any time, and more than once."""
        if self._descriptor >= 0:
            with suppress(OSError):  # what a close could still report, `sync` has reported
                os.close(self._descriptor)
        self._descriptor = -1

    def _check(self, number: int) -> None:
        """Rows that are not those that were counted (a power cut, a damaged disk) count no longer."""
        if _is_sound(self._descriptor, self.header, number):
            return
        warnings.warn(
            f"{self.path}: {group_of(number)}: damaged (the checksum of its rows is not the one written with them); it "
            "is drawn again",
            stacklevel=2,
        )
        self._counts[number] = RowCount()
        # in the file, too: a grid without this point leaves it without draws, not damaged
        write_at(self._descriptor, _record(self._counts[number]), self.header.counter + RECORD_BYTES * number)


def are_sound(header: ScanHeader) -> bool:
    """Whether the rows that a scan file counts are those that were written. Raises StorageError."""
    try:
        with header.path.open("rb") as file:
            return all(_is_sound(file.fileno(), header, number) for number in range(len(header.points)))
    except OSError as error:
        raise storage_error("read", header.path, error) from error


def _is_sound(descriptor: int, header: ScanHeader, number: int) -> bool:
    count, checksum = header.counts[number], 0
    if not 0 <= count.rows <= header.points[number].draws:
        return False
    for columns in _blocks(descriptor, header, number, count.rows):
        checksum = rows_checksum(columns, checksum)
    return checksum == count.checksum


def _blocks(descriptor: int, header: ScanHeader, number: int, rows: int) -> Iterator[list[NDArray[np.float64]]]:
    point, offsets = header.points[number], header.offsets[number]
    step = max(1, _COPY_BYTES // max(1, point.row_bytes))
    for begin in range(0, rows, step):
        n_rows, columns = min(step, rows - begin), []
        for column in point.columns:
            width = int(np.prod(column.shape, dtype=np.int64))
            data = read_at(descriptor, 8 * n_rows * width, offsets[column.name] + 8 * begin * width)
            columns.append(np.frombuffer(data, "<f8").reshape(n_rows, width))
        yield columns


def create(path: Path, points: Sequence[PointLayout], grid: Sequence[str], attributes: Mapping[str, Any]) -> None:
    """A scan file without rows. Raises StorageError where there is no space."""
    _write(path, points, grid, attributes, None)


def grow(rows: ScanRows, points: Sequence[PointLayout], grid: Sequence[str], attributes: Mapping[str, Any]) -> None:
    """Put in the place of a scan file one that is laid out anew and has its rows, by the points' identities.

    Every point that has rows must be among `points`. Raises StorageError where there is no space, or the rows cannot
    be read; the file is as it was then.
    """
    _write(rows.path, points, grid, attributes, rows)


def _write(
    path: Path,
    points: Sequence[PointLayout],
    grid: Sequence[str],
    attributes: Mapping[str, Any],
    rows: ScanRows | None,
) -> None:
    size = sum(point.draws * point.row_bytes for point in points)
    try:
        with new_file(path) as descriptor:
            counter, offsets = lay_out(descriptor, points, grid, attributes)
            before = {} if rows is None else {point.identity: k for k, point in enumerate(rows.points)}
            for number, point in enumerate(points):
                count = RowCount()
                if rows is not None and point.identity in before:
                    for columns in rows.blocks(before[point.identity]):
                        for column, values in zip(point.columns, columns, strict=True):
                            place = offsets[number][column.name] + count.rows * 8 * values.shape[1]
                            if values.size:
                                write_at(descriptor, values.data, place)
                        count.add(columns)
                write_at(descriptor, _record(count), counter + RECORD_BYTES * number)
    except OSError as error:
        raise StorageError(
            f"cannot reserve {path} ({gib(size)} of draws): {error.strerror or error}; free space, choose another "
            "run.root, or store less with scan.draws, scan.quantities or scan.gradients"
        ) from error


def _record(count: RowCount) -> bytes:
    return struct.pack("<2q", count.rows, count.checksum or 0)
