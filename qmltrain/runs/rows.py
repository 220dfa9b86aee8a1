"""The laid-out run file while rows are written into it: plain writes at known offsets, the counter last of all.

A kill between two writes leaves a row that is not counted. Nothing of HDF5 changes here: not even its library is used.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmltrain.errors import InputError, StorageError
from qmltrain.runs.atomic import read_at, write_at, write_pieces
from qmltrain.runs.file_layout import TABLES, VALID_ROWS, Table
from qmltrain.runs.reading import RunHeader
from qmltrain.runs.row_counter import RowCount, encode_counter, rows_checksum

_COPY_BYTES = 1 << 24  # copied at a time
_TOGETHER = "they do not belong together; restore both from one copy, or choose another run.dir"


class RowFile:
    """Rows of the tables of a run file that was laid out; `rows` of each table count, `capacity` is there.

    Its methods raise OSError where the disk does not take or give what it should.
    """

    def __init__(self, path: Path, header: RunHeader, rows: Mapping[str, int]) -> None:
        self.path, self.header = path, header
        self.counts = {name: RowCount(rows.get(name, 0)) for name in header.counts}
        self.capacity = capacities(header.attributes)
        self._has_checksums = header.has_checksums
        self._places = {  # offset in bytes and bytes a row of every column; one of width 0 has no place and no bytes
            name: [(header.offsets.get(column.path, 0), column.row_bytes) for column in table.columns]
            for name, table in header.tables.items()
        }
        self._descriptor = -1

    @property
    def rows(self) -> dict[str, int]:
        """The rows of each table that count."""
        return {name: count.rows for name, count in self.counts.items()}

    def open(self) -> None:
        """Rows after those that count are cut off; the others are read for their checksum.

        It may then be compared with what a snapshot says; nothing has been written before `cut` is called.
        """
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        for name, table in self.header.tables.items():
            count = self.counts[name]
            for columns in self._blocks(table, 0, max(0, count.rows - 1)):
                count.checksum = rows_checksum(columns, count.checksum or 0)
            count.before_last = count.checksum
            for columns in self._blocks(table, max(0, count.rows - 1), count.rows):
                count.checksum = rows_checksum(columns, count.checksum or 0)

    def check(self, expected: Mapping[str, Sequence[int]]) -> None:
        """Raise StorageError where the rows are not those of a snapshot (name -> [rows, checksum])."""
        for name, count in self.counts.items():
            if name in expected and count.checksum != expected[name][1]:
                raise StorageError(
                    f"{self.path}: {name}: damaged (the checksum of the {count.rows} rows that the snapshot counts is "
                    f"not the one in it); {_TOGETHER}"
                )

    def cut(self) -> None:
        """Rows after those that count are cut off."""
        self._write_counter()

    def check_room(self, tables: Mapping[str, Sequence[NDArray[Any]]], held: Callable[[str], int]) -> None:
        """Raise ValueError where one of the tables has no room for these rows behind those that are `held`."""
        for table, columns in tables.items():
            if self.counts[table].rows + held(table) + len(columns[0]) > self.capacity[table]:
                raise ValueError(f"{table}: the run was laid out for {self.capacity[table]} rows")

    def append(self, tables: Mapping[str, Sequence[NDArray[Any]]]) -> None:
        """Write rows of each table given, then the counter: a row counts only when all of these rows are in the file.

        tables: for each its columns, C-contiguous, of the shapes and types it stores, with one row or more. A column
        is one write.
        """
        for table, columns in tables.items():
            index, places = self.counts[table].rows, zip(self._places[table], columns, strict=True)
            pieces = [(values.data, begin + index * row_bytes) for (begin, row_bytes), values in places if values.size]
            write_pieces(self._descriptor, pieces)
        for table, columns in tables.items():
            self.counts[table].add(columns)
        self._write_counter()

    def replace_last(self, table: str, columns: Sequence[NDArray[Any]]) -> None:
        """Write the last row of a table again; it does not count meanwhile."""
        count = self.counts[table]
        count.rows, count.checksum = count.rows - 1, count.before_last
        self._write_counter()
        self.append({table: columns})

    def read(self, table: str) -> dict[str, NDArray[Any]]:
        """The rows of a table's one-dimensional columns that count, by quantity."""
        count, columns = self.counts[table].rows, {}
        for column in self.header.tables[table].columns:
            if column.width is None:
                offset = self.header.offsets[column.path] if count else 0
                data = read_at(self._descriptor, count * column.row_bytes, offset) if count else b""
                columns[column.quantity] = np.frombuffer(data, column.dtype)
        return columns

    def copy(self, descriptor: int, offsets: Mapping[str, int]) -> None:
        """Write all rows that count, and the counter, into another file, laid out for just as many with its datasets
        at `offsets`. Raises StorageError where the rows are not those that were written."""
        for name, table in self.header.tables.items():
            begin, checksum = 0, 0
            for columns in self._blocks(table, 0, self.counts[name].rows):
                checksum = rows_checksum(columns, checksum)
                for column, values in zip(table.columns, columns, strict=True):
                    if values.size:
                        write_at(descriptor, values.tobytes(), offsets[column.path] + begin * column.row_bytes)
                begin += len(columns[0])
            if checksum != self.counts[name].checksum:
                raise StorageError(
                    f"{self.path}: {name}: damaged (the checksum of its rows is not the one written with them); the "
                    "parameters are whole in the snapshots: qmltrain evaluate reads them"
                )
        write_at(descriptor, encode_counter([self.counts[name] for name in TABLES]), offsets[VALID_ROWS])

    def sync(self) -> None:
        os.fsync(self._descriptor)

    def close(self) -> None:
        """At any time, and more than once."""
        if self._descriptor >= 0:
            with suppress(OSError):  # what a close could still report, `sync` has reported
                os.close(self._descriptor)
        self._descriptor = -1

    def _blocks(self, table: Table, begin: int, end: int) -> Iterator[list[NDArray[Any]]]:
        """The columns of rows ``begin`` to ``end``, some rows at a time."""
        step = max(1, _COPY_BYTES // sum(column.row_bytes for column in table.columns))
        for first in range(begin, end, step):
            n_rows, columns = min(step, end - first), []
            for column in table.columns:
                length = n_rows * column.row_bytes
                offset = self.header.offsets.get(column.path, 0) + first * column.row_bytes  # width 0: no bytes
                data = np.frombuffer(read_at(self._descriptor, length, offset), column.dtype)
                columns.append(data if column.width is None else data.reshape(n_rows, column.width))
            yield columns

    def _write_counter(self) -> None:
        data = encode_counter(list(self.counts.values()), with_checksums=self._has_checksums)
        write_at(self._descriptor, data, self.header.offsets[VALID_ROWS])


def rows_of_snapshot(
    path: Path, header: RunHeader, steps: int, epochs: int, known: Mapping[str, Sequence[int]] | None
) -> dict[str, int]:
    """The rows of each table when a snapshot was taken after ``steps`` steps and ``epochs`` finished epochs.

    ``known`` has them (name -> [rows, checksum]); without, as in schema 1, the steps in the tables tell. Raises
    InputError for a file with tables that this version does not write, StorageError for one without these rows.
    """
    unknown = [name for name in header.counts if name not in TABLES]
    if unknown:
        raise InputError(
            f"{path}: stores {', '.join(unknown)} too, which this version does not know; go on with the version that "
            f"began the run ({header.attributes.get('qmltrain_version')})"
        )
    rows, capacity = {}, capacities(header.attributes)
    for name, index in header.index.items():
        last = epochs if name == "epochs" else steps
        rows[name] = int(np.searchsorted(index, last, side="right")) if known is None else known[name][0]
    if (rows["metrics"], rows["epochs"]) != (steps, epochs) or any(rows[name] > capacity[name] for name in rows):
        raise StorageError(
            f"{path}: holds {rows['metrics']} of {steps} steps and {rows['epochs']} of {epochs} epochs that the "
            f"snapshot counts: {_TOGETHER}"
        )
    return rows


def capacities(attributes: Mapping[str, Any]) -> dict[str, int]:
    """The rows that each table of a run is laid out for."""
    steps, epochs, every = attributes["n_steps"], attributes["n_epochs"], attributes.get("parameters_every")
    return {
        "metrics": steps,
        "epochs": epochs,
        "layer_norms": steps,
        "gradients": math.ceil(steps / attributes["gradients_every"]),
        "parameters": (epochs if every is None else steps // every) + 2,  # and the initial and the final ones
    }


@contextmanager
def space_errors(path: Path, attributes: Mapping[str, Any]) -> Iterator[None]:
    """Says how much space a run needs, and what makes it less, where it is not there."""
    try:
        yield
    except OSError as error:
        rows = capacities(attributes)
        n_rows = rows["parameters"] + (rows["gradients"] if attributes["gradients"] == "full" else 0)
        gigabytes = 8e-9 * attributes["n_parameters"] * n_rows
        raise StorageError(
            f"cannot reserve {path} ({gigabytes:.3g} GB of gradients and parameters): "
            f"{error.strerror or error}; free space, choose another run.root, or store less with run.gradients=norms, "
            "run.gradients_every or run.parameters_every"
        ) from error
