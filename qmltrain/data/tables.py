"""Tables: CSV and Parquet files with one sample per row, its label in the column `dataset.target`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmltrain.data.array_source import ArraySource, array_source
from qmltrain.data.checks import ArrayNames
from qmltrain.data.csv_files import (
    are_truths,
    decimal_commas,
    is_a,
    missing_column_hint,
    no_names,
    numbers,
    read_csv,
)
from qmltrain.data.files import check_digest, find_file
from qmltrain.data.gzip_cache import unpacked
from qmltrain.data.sizes import check_size
from qmltrain.data.splits import parse_parts
from qmltrain.data.table_columns import ChosenColumns, choose_columns
from qmltrain.errors import InputError
from qmltrain.wording import listed, one_line, shown


def csv(
    *,
    path: str,
    target: str,
    features: Sequence[str] | None = None,
    split_column: str | None = None,
    delimiter: str = ",",
    header: bool = True,
    root: str | None = None,
    sha256: str | None = None,
    task: str | None = None,
) -> ArraySource:
    """A text table (UTF-8, plain or gzipped) whose first line names the columns, read into memory.

    `features` are all other columns where they are not given (see `choose_columns`); they hold numbers. A `target` of
    whole numbers is a class, of other numbers a value (regression; `task` says otherwise), and of words a class each,
    numbered in alphabetical order. `split_column` says train, validation or test. Without a `header` the columns are
    named column_0, column_1, ... Raises InputError, with line and column, for cells that are missing or no numbers.
    """
    separator = {"tab": "\t", r"\t": "\t"}.get(delimiter, delimiter)
    if len(separator) != 1 or separator in ' "\r\n':
        raise InputError(f"dataset.delimiter: {delimiter!r} is not one character; choose ',' or ';' or tab")
    file = find_file(path, root, "dataset.path")
    check_digest(sha256, file)
    names, rows = read_csv(file, separator, header)
    asked = [target, *(features or []), *([] if split_column is None else [split_column])]
    hint = "" if set(asked) <= set(names) else missing_column_hint(names, separator, target, header)
    chosen = choose_columns(file, names, target, features, split_column, hint=hint)
    cells = {name: [row[column] for row in rows] for column, name in enumerate(names)}
    truths = [name for name in chosen.features if are_truths(cells[name])]
    columns = [numbers(cells[name], name, file) for name in chosen.features]
    if not chosen.no_target and not any(cell.strip() for cell in cells[target]):
        chosen = _without_labels(chosen, target, file)
    labels = None if chosen.no_target else _labels(cells[target], target, file)
    parts = None if split_column is None else _texts(cells[split_column], split_column, file)
    source = _table("csv", file, chosen, columns, labels, target, parts, split_column, task)
    notes = (
        [f"{'column' if len(truths) == 1 else 'columns'} {listed(truths)}: True and False are read as 1 and 0"]
        if truths
        else []
    )
    if header:
        notes += no_names(chosen.features)
    if labels is not None and labels.dtype.kind == "U":
        notes += decimal_commas(labels, target)
    return source.told(notes=(*source.info.notes, *notes)) if notes else source


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
    damage = (pyarrow.ArrowException, OSError, ValueError, TypeError, AttributeError)  # the last three: pandas' JSON
    try:
        schema = pyarrow.parquet.read_schema(unpacked(file))
        chosen = choose_columns(file, schema.names, target, features, split_column, _index_columns(schema))
        wanted = [*chosen.features, *([] if chosen.no_target else [target])]
        wanted += [] if split_column is None else [split_column]
        _check_parquet_size(pyarrow.parquet.read_metadata(unpacked(file)), set(wanted), file)
        table = pyarrow.parquet.read_table(unpacked(file), columns=list(dict.fromkeys(wanted)))
    except damage as error:
        raise InputError(f"{file}: not a readable Parquet file: {one_line(error)}") from error
    if not chosen.no_target and table.column(target).null_count == table.num_rows:
        chosen = _without_labels(chosen, target, file)
        wanted.remove(target)
    found = {name: _column(table.column(name), name, file) for name in dict.fromkeys(wanted)}
    for name in chosen.features:
        if found[name].dtype.kind not in "buif":
            raise InputError(f"{file}: column {shown(name)} holds {found[name].dtype}; features must be numbers")
    columns = [found[name].astype(np.float64) for name in chosen.features]
    parts = None if split_column is None else found[split_column]
    return _table("parquet", file, chosen, columns, found.get(target), target, parts, split_column, task)


def _index_columns(schema: Any) -> set[str]:
    """The columns that are an index, as pandas says in a Parquet file."""
    told = schema.pandas_metadata or {}
    return {name for name in told.get("index_columns", ()) if isinstance(name, str)}


def _check_parquet_size(metadata: Any, wanted: set[str], file: Path) -> None:
    """The table as it is unpacked, and the same numbers as float64 columns and as one array."""
    unpacked_bytes = sum(
        column.total_uncompressed_size
        for group in range(metadata.num_row_groups)
        for column in map(metadata.row_group(group).column, range(metadata.num_columns))
        if column.path_in_schema.split(".")[0] in wanted
    )
    numbers = 8 * metadata.num_rows * len(wanted)
    check_size(max(unpacked_bytes, numbers) + 2 * numbers, str(file))


def _without_labels(chosen: ChosenColumns, target: str, file: Path) -> ChosenColumns:
    """Rows that are to be predicted for often keep the column of the labels, empty."""
    return chosen._replace(no_target=f"dataset.target: {file}: column {shown(target)} is empty in every row")


def _labels(cells: list[str], name: str, file: Path) -> NDArray[Any]:
    """Integers, else decimals, else words."""
    words = [cell.strip() for cell in cells]
    if "" in words:
        raise InputError(f"{file}: row {words.index('')} of column {shown(name)} is empty; every row needs a label")
    # 1_0 and digits of other scripts are numbers to Python; as labels they are words
    if any("_" in word or not word.isascii() for word in words):
        return _texts(words, name, file)
    if all(is_a(int, word) for word in words):
        for row, word in enumerate(words):
            if abs(int(word)) >= 2**63:
                raise InputError(f"{file}: row {row} of column {shown(name)} holds {shown(int(word))}, too large")
        return np.array([int(word) for word in words], dtype=np.int64)
    if all(is_a(float, word) for word in words):
        return np.array(words, dtype=np.float64)
    return _texts(words, name, file)


def _texts(words: list[str], name: str, file: Path) -> NDArray[np.str_]:
    for row, word in enumerate(words):
        if "\0" in word:  # which NumPy takes for the end of a text
            raise InputError(
                f"{file}: row {row} of column {shown(name)} is {shown(word)}, with a NUL; write another text"
            )
    return np.array(words)


def _column(column: Any, name: str, file: Path) -> NDArray[Any]:
    """A Parquet column as an array: numbers, or text."""
    if column.null_count:
        row = column.is_null().to_pylist().index(True)
        raise InputError(f"{file}: row {row} of column {shown(name)} is null; remove the row, or choose other columns")
    from pyarrow import types

    if types.is_decimal(column.type):
        return np.array(column.to_pylist(), dtype=np.float64)
    values = column.to_numpy()
    if values.dtype.kind != "O":
        return values
    texts = [_decoded(value, name, file) if isinstance(value, bytes) else value for value in column.to_pylist()]
    if not all(isinstance(value, str) for value in texts):
        raise InputError(f"{file}: column {shown(name)} holds {column.type}; numbers or text are needed")
    return _texts(texts, name, file)


def _decoded(value: bytes, name: str, file: Path) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise InputError(f"{file}: column {shown(name)} holds {shown(value)}, which is no UTF-8; write texts") from None


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
    assigned = None if parts is None else parse_parts(parts, f"{file}: column {shown(split_column)}")
    names = ArrayNames(str(file), "features", f"column {shown(target)}")
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
