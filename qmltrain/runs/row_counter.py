"""The counter of a run file: how many rows of each table count, and the checksum of these rows.

It is one dataset, ``valid_rows``, of integers of 8 bytes: the number of rows of each table, then the CRC-32 of these
rows of each table, row by row (the bytes of a row's columns, in the order of the table's datasets). One write within a
sector brings both up to date, after the rows. Files of schema 1 have the numbers alone.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmltrain.errors import StorageError

_RESTORE = "restore the file from a copy"
_BLOCK_BYTES = 1 << 22  # of rows put side by side at a time


@dataclass
class RowCount:
    """The rows of a table that count. `checksum` is that of the `rows`, None where a file of schema 1 has none;
    `before_last` that of all but the last."""

    rows: int = 0
    checksum: int | None = 0
    before_last: int | None = None

    def add(self, columns: Sequence[NDArray[Any]]) -> None:
        """Count the rows of ``columns`` as well, at least one; as `rows_checksum` takes them."""
        n_rows = len(columns[0])
        self.before_last = self.checksum
        if n_rows > 1:
            self.before_last = rows_checksum([column[:-1] for column in columns], self.checksum or 0)
            columns = [column[-1:] for column in columns]
        self.checksum = rows_checksum(columns, self.before_last or 0)
        self.rows += n_rows


def encode_counter(counts: Sequence[RowCount], *, with_checksums: bool = True) -> bytes:
    """Its bytes in the file."""
    numbers = [count.rows for count in counts]
    if with_checksums:
        numbers += [count.checksum or 0 for count in counts]
    return struct.pack(f"<{len(numbers)}q", *numbers)


def decode_counter(numbers: NDArray[Any], tables: Sequence[str]) -> dict[str, RowCount]:
    """By the name of the table; the numbers are those of the dataset, of either schema."""
    values = numbers.tolist()
    checksums = values[len(tables) :] or [None] * len(tables)
    return {name: RowCount(rows, checksum) for name, rows, checksum in zip(tables, values, checksums, strict=False)}


def rows_checksum(columns: Sequence[NDArray[Any]], checksum: int = 0) -> int:
    """CRC-32 of the rows of ``columns``, behind rows of ``checksum``. The columns are equally long, (rows,) or (rows,
    width), C-contiguous, and of numbers of 8 bytes."""
    n_rows = len(columns[0])
    if n_rows == 1:  # its columns follow each other as they are
        for column in columns:
            checksum = zlib.crc32(column.data, checksum)
        return checksum
    if not n_rows:
        return checksum
    parts = [column.view(np.uint64).reshape(n_rows, -1) for column in columns if column.size]
    step = max(1, _BLOCK_BYTES // (8 * sum(part.shape[1] for part in parts)))
    for begin in range(0, n_rows, step):
        block = np.concatenate([part[begin : begin + step] for part in parts], axis=1)
        checksum = zlib.crc32(block.data, checksum)
    return checksum


def check_rows(columns: Sequence[NDArray[Any]], count: RowCount, where: str) -> None:
    """Raise StorageError, beginning with ``where``, if the rows in ``columns`` are not those that were counted."""
    if len(columns[0]) != count.rows:
        raise StorageError(f"{where}: damaged (it counts {count.rows} rows and has {len(columns[0])}); {_RESTORE}")
    if count.checksum is not None and rows_checksum(columns) != count.checksum:
        raise StorageError(f"{where}: damaged (the checksum of its rows is not the one written with them); {_RESTORE}")
