"""Run files edited by hand for a test, with checksums that fit again: what no accident does."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import h5py

from qmltrain.runs.file_layout import VALID_ROWS
from qmltrain.runs.first_block import FIRST_BLOCK_BYTES, encode_first_block
from qmltrain.runs.reading import read_counts, read_tables
from qmltrain.runs.row_counter import encode_counter, rows_checksum
from qmltrain.runs.sparse_memory import SparseMemory


def edit(path: Path, change: Callable[[h5py.File], None]) -> None:
    """Apply ``change`` to the open file and write all checksums anew."""
    with h5py.File(path, "r+") as file:
        change(file)
        tables, counts = read_tables(file), read_counts(file)
        for name, table in tables.items():
            counts[name].checksum = rows_checksum([file[column.path][: counts[name].rows] for column in table.columns])
        extents = [
            (file[name].id.get_offset(), file[name].nbytes)
            for name in [VALID_ROWS, *(column.path for table in tables.values() for column in table.columns)]
            if file[name].size
        ]
        counter_at = file[VALID_ROWS].id.get_offset()
    data = bytearray(path.read_bytes())
    data[counter_at : counter_at + 16 * len(counts)] = encode_counter(list(counts.values()))
    image = SparseMemory()
    image.write(bytes(data))
    data[:FIRST_BLOCK_BYTES] = encode_first_block(image, extents, "a test")
    path.write_bytes(data)


def edited_copy(run: Path, to: Path, change: Callable[[h5py.File], None]) -> Path:
    """A copy of the run directory with its run file edited."""
    shutil.copytree(run, to)
    edit(to / "run.h5", change)
    return to
