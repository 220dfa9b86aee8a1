"""Text tables as they are written: cells, their numbers, and what a file may be that is not written as expected."""

from __future__ import annotations

import csv as csv_module
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmltrain.data.gzip_cache import unpacked
from qmltrain.data.sizes import check_size
from qmltrain.errors import InputError
from qmltrain.wording import listed, plural, shown

_CSV_BYTES = 4  # of memory for every byte of a file at least, since every cell is a Python object for a while
_DELIMITERS = ",;\t|"
_TRUTHS = {"True": 1, "true": 1, "TRUE": 1, "False": 0, "false": 0, "FALSE": 0}
_LONGEST_LINE = 2**20  # characters of the first line that are looked at
_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d+,\d+\s*")
_WRITE_POINTS = "write decimal points (pandas: read_csv(..., sep=';', decimal=',').to_csv(..., index=False))"


def read_csv(file: Path, delimiter: str, header: bool) -> tuple[list[str], list[list[str]]]:
    """Names of the columns, and the rows, all of that length."""
    plain = unpacked(file)
    check_size(_CSV_BYTES * plain.stat().st_size, str(file))
    if found := re.fullmatch(r'"?sep=(.)"?', _first_line(plain)):
        raise InputError(
            f"{file}: its first line {shown(found[0])} is for Excel alone; remove it; cells are separated by "
            f"{_give(found[1])}"
        )
    rows: list[list[str]] = []
    try:
        with plain.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv_module.reader(stream, delimiter=delimiter, skipinitialspace=True, strict=True)
            names = [name.strip() for name in next(reader, [])] if header else []
            for row in reader:
                if not row:
                    continue
                names = names or [f"column_{number}" for number in range(len(row))]
                if len(row) != len(names):
                    raise InputError(
                        f"{file}: line {reader.line_num} has {plural(len(row), 'cell')}, the first line {len(names)}; "
                        f"write as many{_other_delimiter(plain, delimiter)}"
                    )
                rows.append(row)
    except (OSError, UnicodeDecodeError, csv_module.Error) as error:
        separated = f"UTF-8, cells separated by {delimiter!r}; others with dataset.delimiter"
        hint = "" if isinstance(error, OSError | UnicodeDecodeError) else _other_delimiter(plain, delimiter)
        raise InputError(f"{file}: not a readable CSV file ({separated}): {error}{hint}") from error
    if not rows:
        raise InputError(f"{file}: has no rows; a line of column names and one line per sample are needed")
    return names, rows


def _other_delimiter(plain: Path, delimiter: str) -> str:
    """The delimiter that the first line has more often than the one it was read with."""
    line = _first_line(plain)
    most = max(_DELIMITERS, key=line.count)
    if line.count(most) <= line.count(delimiter):
        return ""
    return f"; its cells seem to be separated by {_give(most)}"


def _first_line(plain: Path) -> str:
    with plain.open(encoding="utf-8-sig", errors="replace") as stream:
        return stream.readline(_LONGEST_LINE).rstrip("\n")


def _give(delimiter: str) -> str:
    word = "tab" if delimiter == "\t" else f"'{delimiter}'"
    return f'{word}: give "dataset.delimiter={word}"'


def missing_column_hint(names: Sequence[str], delimiter: str, target: str, header: bool) -> str:
    """What may help where a column is not found: another delimiter, or no line of names."""
    for other in _DELIMITERS:
        if any(other in name and target in (cell.strip(' "') for cell in name.split(other)) for name in names):
            return f"; its cells are separated by {_give(other)}"
    if header and any(is_a(float, name) for name in names):
        return "; where its first line holds no names, give dataset.header=false"
    return ""


def numbers(cells: list[str], name: str, file: Path) -> NDArray[np.float64]:
    """The numbers of the column `name`; True is 1 and False 0 where it holds nothing else."""
    if are_truths(cells):
        cells = [str(_TRUTHS[cell.strip()]) for cell in cells]
    try:
        return np.array(cells, dtype=np.float64)
    except ValueError:
        bad = [row for row, cell in enumerate(cells) if not is_a(float, cell)]
        row = next((row for row in bad if cells[row].strip() not in _TRUTHS), bad[0])  # of truth values the odd one
        remedy = "remove the row, or choose the columns with dataset.features"
        if _DECIMAL_COMMA.fullmatch(cells[row]):
            remedy = f"it has a decimal comma: {_WRITE_POINTS}"
        raise InputError(
            f"{file}: row {row} of column {shown(name)} holds {shown(cells[row])}, which is no number; {remedy}"
        ) from None


def is_a(kind: type, cell: str) -> bool:
    try:
        kind(cell)
    except ValueError:
        return False
    return True


def are_truths(cells: Sequence[str]) -> bool:
    """Whether all are True or False, as pandas and others write them."""
    return cells[0].strip() in _TRUTHS and all(cell.strip() in _TRUTHS for cell in cells)


def no_names(features: Sequence[str]) -> list[str]:
    """A warning where all names of the features are numbers, but not 0, 1, ... as pandas names columns."""
    if not all(is_a(float, name) for name in features) or list(features) == [str(k) for k in range(len(features))]:
        return []
    return [
        f"WARNING: the first line holds numbers ({listed(features)}) and is read as names of columns; where it is a "
        "sample, give dataset.header=false"
    ]


def decimal_commas(words: NDArray[Any], name: str) -> list[str]:
    """A warning where labels are classes because of their decimal commas."""
    texts = words.tolist()
    first = next(filter(_DECIMAL_COMMA.fullmatch, texts), None)
    if first is None or not all(is_a(float, text.replace(",", ".")) for text in texts):
        return []
    return [
        f"WARNING: column {shown(name)}: labels as {shown(first)} are texts, a class each; where they are numbers with "
        f"decimal commas, {_WRITE_POINTS}"
    ]
