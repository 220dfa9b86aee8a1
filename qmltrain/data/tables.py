"""Tables: CSV and Parquet files with one sample per row, its label in the column `dataset.target`."""

from __future__ import annotations

import csv as csv_module
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmltrain.data.array_source import ArraySource, array_source
from qmltrain.data.checks import ArrayNames
from qmltrain.data.files import check_digest, find_file
from qmltrain.data.gzip_cache import unpacked
from qmltrain.data.splits import parse_parts
from qmltrain.data.table_columns import ChosenColumns, choose_columns
from qmltrain.errors import InputError


def csv(
    *,
    path: str,
    target: str,
    features: Sequence[str] | None = None,
    split_column: str | None = None,
    delimiter: str = ",",
    root: str | None = None,
    sha256: str | None = None,
    task: str | None = None,
) -> ArraySource:
    """A text table (UTF-8, plain or gzipped) whose first line names the columns, read into memory.

    `features` are all other columns where they are not given; they hold numbers. A `target` of whole numbers is a
    class, of other numbers a value (regression; `task` says otherwise), and of words a class each, numbered in
    alphabetical order. `split_column` says train, validation or test. Raises InputError, with line and column, for
    cells that are missing or no numbers.
    """
    if len(delimiter) != 1:
        raise InputError(f"dataset.delimiter: {delimiter!r} is not one character; choose ',' or ';' or a tab")
    file = find_file(path, root, "dataset.path")
    check_digest(sha256, file)
    names, rows = _read_csv(file, delimiter)
    cells = {name: [row[column] for row in rows] for column, name in enumerate(names)}
    chosen = choose_columns(file, names, target, features, split_column)
    columns = [_numbers(cells[name], name, file) for name in chosen.features]
    labels = None if chosen.no_target else _labels(cells[target], target, file)
    parts = None if split_column is None else np.array(cells[split_column])
    return _table("csv", file, chosen, columns, labels, target, parts, split_column, task)


def parquet(
    *,
    path: str,
    target: str,
    features: Sequence[str] | None = None,
    split_column: str | None = None,
    root: str | None = None,
    sha256: str | None = None,
    task: str | None = None,
) -> ArraySource:
    """An Apache Parquet table, read into memory; columns and labels as those of `csv`. Needs pyarrow."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise InputError(
            "dataset.name: parquet needs pyarrow, which is not installed: pip install 'qmltrain[parquet]'"
        ) from None
    file = find_file(path, root, "dataset.path")
    check_digest(sha256, file)
    try:
        schema = pyarrow.parquet.read_schema(unpacked(file))
        chosen = choose_columns(file, schema.names, target, features, split_column, _index_columns(schema))
        wanted = [
            *chosen.features,
            *([] if chosen.no_target else [target]),
            *([] if split_column is None else [split_column]),
        ]
        table = pyarrow.parquet.read_table(unpacked(file), columns=list(dict.fromkeys(wanted)))
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{file}: not a readable Parquet file: {error}") from error
    found = {name: _column(table.column(name), name, file) for name in dict.fromkeys(wanted)}
    for name in chosen.features:
        if found[name].dtype.kind not in "buif":
            raise InputError(f"{file}: column {name!r} holds {found[name].dtype}; features must be numbers")
    columns = [found[name].astype(np.float64) for name in chosen.features]
    parts = None if split_column is None else found[split_column]
    return _table("parquet", file, chosen, columns, found.get(target), target, parts, split_column, task)


def _index_columns(schema: Any) -> set[str]:
    """The columns that are an index, as pandas says in a Parquet file."""
    told = schema.pandas_metadata or {}
    return {name for name in told.get("index_columns", ()) if isinstance(name, str)}


def _read_csv(file: Path, delimiter: str) -> tuple[list[str], list[list[str]]]:
    """Names of the columns, and the rows, all of that length."""
    try:
        with unpacked(file).open(encoding="utf-8-sig", newline="") as stream:
            reader = csv_module.reader(stream, delimiter=delimiter, strict=True)
            names = [name.strip() for name in next(reader, [])]
            rows = []
            for row in reader:
                if row and len(row) != len(names):
                    raise InputError(
                        f"{file}: line {reader.line_num} has {len(row)} cells, the first line {len(names)}; "
                        "write as many"
                    )
                if row:
                    rows.append(row)
    except (OSError, UnicodeDecodeError, csv_module.Error) as error:
        raise InputError(f"{file}: not a readable CSV file (UTF-8): {error}") from error
    if not rows:
        raise InputError(f"{file}: has no rows; a line of column names and one line per sample are needed")
    return names, rows


def _numbers(cells: list[str], name: str, file: Path) -> NDArray[np.float64]:
    try:
        return np.array(cells, dtype=np.float64)
    except ValueError:
        for row, cell in enumerate(cells):
            if not _is(float, cell):
                raise InputError(
                    f"{file}: row {row} of column {name!r} holds {cell!r}, which is no number; remove the row, or "
                    "choose the columns with dataset.features"
                ) from None
        raise


def _labels(cells: list[str], name: str, file: Path) -> NDArray[Any]:
    """Integers, else decimals, else words."""
    words = [cell.strip() for cell in cells]
    if "" in words:
        raise InputError(f"{file}: row {words.index('')} of column {name!r} is empty; every row needs a label")
    # 1_0 and digits of other scripts are numbers to Python; as labels they are words
    if any("_" in word or not word.isascii() for word in words):
        return np.array(words)
    if all(_is(int, word) for word in words):
        for row, word in enumerate(words):
            if abs(int(word)) >= 2**63:
                raise InputError(f"{file}: row {row} of column {name!r} holds {word}, too large for an integer")
        return np.array([int(word) for word in words], dtype=np.int64)
    if all(_is(float, word) for word in words):
        return np.array(words, dtype=np.float64)
    return np.array(words)


def _is(kind: type, cell: str) -> bool:
    try:
        kind(cell)
    except ValueError:
        return False
    return True


def _column(column: Any, name: str, file: Path) -> NDArray[Any]:
    """A Parquet column as an array: numbers, or text."""
    if column.null_count:
        row = column.is_null().to_pylist().index(True)
        raise InputError(f"{file}: row {row} of column {name!r} is null; remove the row, or choose other columns")
    values = column.to_numpy()
    if values.dtype.kind != "O":
        return values
    texts = column.to_pylist()
    if not all(isinstance(value, str) for value in texts):
        raise InputError(f"{file}: column {name!r} holds {column.type}; numbers or text are needed")
    return np.array(texts)


def _table(
    name: str,
    file: Path,
    chosen: ChosenColumns,
    columns: Sequence[NDArray[np.float64]],
    labels: NDArray[Any] | None,
    target: str,
    parts: NDArray[Any] | None,
    split_column: str | None,
    task: str | None,
) -> ArraySource:
    assigned = None if parts is None else parse_parts(parts, f"{file}: column {split_column!r}")
    names = ArrayNames(str(file), "features", f"column {target!r}")
    x = np.stack(columns, axis=1)
    source = array_source(
        name,
        x,
        labels,
        names,
        task=task,
        parts=assigned,
        files=(file,),
        feature_names=chosen.features,
        no_labels=chosen.no_target,
    )
    return source.told(left_out=chosen.left_out)
