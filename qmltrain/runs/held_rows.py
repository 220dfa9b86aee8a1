"""HeldRows: rows of a run file, and the lines of its log, that wait to be written together.

Where steps and epochs take microseconds, a write of each column of each of them would take most of the time.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from qmltrain.runs.row_columns import Columns

MOST_BYTES = 4 << 20  # of rows and lines that wait


class HeldRows:
    """`n_bytes`: of all that wait."""

    def __init__(self) -> None:
        self._columns: dict[str, Columns] = {}  # with room for more rows than wait
        self._rows: dict[str, int] = {}
        self._lines: list[bytes] = []
        self.n_bytes = 0

    def rows(self, table: str) -> int:
        """Rows of a table that wait."""
        return self._rows.get(table, 0)

    def add(self, tables: Mapping[str, Columns]) -> None:
        """Copies of the rows of each table given."""
        for table, columns in tables.items():
            first = self.rows(table)
            end = first + len(columns[0])
            room = self._columns.get(table)
            if room is None or end > len(room[0]):
                larger = [np.empty((2 * end, *column.shape[1:]), column.dtype) for column in columns]
                for new, old in zip(larger, room or [], strict=False):
                    new[:first] = old[:first]
                self._columns[table] = room = larger
            for place, column in zip(room, columns, strict=True):
                place[first:end] = column
                self.n_bytes += column.nbytes
            self._rows[table] = end

    def add_lines(self, lines: bytes) -> None:
        """Lines of the log."""
        self._lines.append(lines)
        self.n_bytes += len(lines)

    def take(self) -> tuple[dict[str, Columns], bytes]:
        """All that waits: rows by table, which are good until the next `add`, and lines. Nothing waits afterwards."""
        tables = {table: [column[:rows] for column in self._columns[table]] for table, rows in self._rows.items()}
        lines = b"".join(self._lines)
        self._rows.clear()
        self._lines.clear()
        self.n_bytes = 0
        return tables, lines
