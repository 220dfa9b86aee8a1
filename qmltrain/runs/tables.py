"""Tables in new files: CSV for spreadsheets and pandas, NPZ for NumPy."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmltrain.runs.atomic import new_file, storage_errors, write_at

Column = NDArray[Any]


def write_table(path: Path, columns: Mapping[str, Column]) -> None:
    """`columns` (equally long in CSV) to `path`, .npz or else CSV: the whole file or none. Raises StorageError."""
    if path.suffix == ".npz":
        buffer = io.BytesIO()
        np.savez(buffer, **columns)  # type: ignore[arg-type]
        data = buffer.getvalue()
    else:
        rows = zip(*(column.tolist() for column in columns.values()), strict=True)
        data = csv_text(list(columns), rows).encode()
    with storage_errors("write", path), new_file(path) as descriptor:
        write_at(descriptor, data, 0)


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """CSV as RFC 4180 but with plain line ends; floats in the fewest digits that come back exactly, None empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        writer.writerow(["" if value is None else repr(value) if isinstance(value, float) else value for value in row])
    return text.getvalue()
