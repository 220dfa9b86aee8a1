"""The laid-out run file while rows are written into it: plain writes at known offsets, the counter last of all.

A kill between two writes leaves a row that is not counted. Nothing of HDF5 changes here: not even its library is used.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmltrain.errors import StorageError
from qmltrain.runs.atomic import read_at, write_at
from qmltrain.runs.file_layout import TABLES, VALID_ROWS
from qmltrain.runs.reading import RunHeader

_COPY_BYTES = 1 << 24  # copied at a time


class RowFile:
    """Rows of the tables of a run file that was laid out; `rows` of each table count, `capacity` is there.

    Its methods raise OSError where the disk does not take or give what it should.
    """

    def __init__(self, path: Path, header: RunHeader, rows: Sequence[int]) -> None:
        self.path, self.header = path, header
        self.rows = dict(zip(TABLES, rows, strict=True))
        self.capacity = capacities(header.attributes)
        self._descriptor = -1

    def open(self) -> None:
        """Rows after those that count are cut off."""
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        self._write_counter()

    def check_room(self, tables: Mapping[str, Any]) -> None:
        """Raise ValueError where one of the tables is full."""
        for table in tables:
            if self.rows[table] >= self.capacity[table]:
                raise ValueError(f"{table}: the run was laid out for {self.capacity[table]} rows")

    def append(self, rows: Mapping[str, tuple[Any, ...]]) -> None:
        """Write one row of each table given, then the counter: a row counts only when all of it is in the file."""
        for table, row in rows.items():
            self._write(table, self.rows[table], row)
        for table in rows:
            self.rows[table] += 1
        self._write_counter()

    def replace_last(self, table: str, row: tuple[Any, ...]) -> None:
        """Write the last row of a table again."""
        self._write(table, self.rows[table] - 1, row)

    def read(self, table: str) -> dict[str, NDArray[Any]]:
        """The rows of a table's one-dimensional columns that count, by quantity."""
        count, columns = self.rows[table], {}
        for column in self.header.tables[table].columns:
            if column.width is None:
                offset = self.header.offsets[column.path] if count else 0
                data = read_at(self._descriptor, count * column.row_bytes, offset) if count else b""
                columns[column.quantity] = np.frombuffer(data, column.dtype)
        return columns

    def copy(self, descriptor: int, offsets: Mapping[str, int]) -> None:
        """Write all rows that count into another file, laid out for just as many with its datasets at `offsets`."""
        for table in self.header.tables.values():
            for column in table.columns:
                length = self.rows[table.name] * column.row_bytes
                for begin in range(0, length, _COPY_BYTES):
                    start = self.header.offsets[column.path] + begin
                    data = read_at(self._descriptor, min(_COPY_BYTES, length - begin), start)
                    write_at(descriptor, data, offsets[column.path] + begin)

    def sync(self) -> None:
        os.fsync(self._descriptor)

    def close(self) -> None:
        """At any time, and more than once."""
        if self._descriptor >= 0:
            with suppress(OSError):  # what a close could still report, `sync` has reported
                os.close(self._descriptor)
        self._descriptor = -1

    def _write(self, table: str, index: int, row: tuple[Any, ...]) -> None:
        for column, value in zip(self.header.tables[table].columns, row, strict=True):
            data = np.asarray(value, column.dtype).tobytes()
            if data:
                write_at(self._descriptor, data, self.header.offsets[column.path] + index * column.row_bytes)

    def _write_counter(self) -> None:
        counts = np.array([self.rows[name] for name in TABLES], "<i8")
        write_at(self._descriptor, counts.tobytes(), self.header.offsets[VALID_ROWS])


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
