"""Columns that are seldom meant as features: row numbers, the label itself, constants, the same numbers twice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmltrain.data.protocol import LabelArray
from qmltrain.wording import listed, shown

MAX_BYTES = 64 * 2**20  # of samples that are looked at; more would take seconds
_FEWEST_ROWS = 10  # of which a column of different integers is called row numbers
_WHOLE = 2.0**53  # floats from here on are whole, whatever they measure


def column_notes(x: NDArray[Any], labels: LabelArray, names: Sequence[str] = ()) -> tuple[str, ...]:
    """Lines on columns of `x` (n, F), which go by `names` or else by number; none for images and large arrays.

    `labels` (n,) are classes or targets; NaN where there are none.
    """
    if x.ndim != 2 or x.nbytes > MAX_BYTES or len(x) < 2:
        return ()
    row_numbers, telling, constant, repeated = [], [], [], []
    _, first_rows, classes = np.unique(labels, return_index=True, return_inverse=True)
    first_of: dict[bytes, int] = {}
    for column in range(x.shape[1]):
        values = np.ascontiguousarray(x[:, column])
        first = first_of.setdefault(values.tobytes(), column)
        if (values == values[0]).all():
            constant.append(_name(column, names))
        elif first != column:
            repeated.append(f"{_name(column, names)} = {_name(first, names)}")
        elif len(x) >= _FEWEST_ROWS and _tells(values, labels, first_rows, classes):
            telling.append(_name(column, names))
        elif _are_row_numbers(values):
            row_numbers.append(_name(column, names))
    notes = []
    if row_numbers:
        notes.append(
            f"WARNING: {_columns(row_numbers)}: integers, all different, as an index or an id; if they are no "
            "measurement, leave them out, since the order of the rows may tell the label"
        )
    if telling:
        notes.append(
            f"WARNING: {_columns(telling)}: one value for each label, so that nothing else is needed to predict it; is "
            "it the label under another name?"
        )
    if constant:
        notes.append(f"{_columns(constant)}: constant, tells nothing")
    if repeated:
        notes.append(f"the same column twice: {_columns(repeated)}")
    return tuple(notes)


def _tells(values: NDArray[Any], labels: LabelArray, first_rows: NDArray[Any], numbered: NDArray[Any]) -> bool:
    """Whether every label has one value and every value one label; where labels hardly repeat, whether they are equal.

    `numbered` are the labels from 0, `first_rows` is where each is first.
    """
    if len(first_rows) > len(labels) // 2:
        return bool((values == labels).all())
    value_of = values[first_rows]
    return bool((values == value_of[numbered]).all()) and len(np.unique(value_of)) == len(value_of)


def _are_row_numbers(values: NDArray[Any]) -> bool:
    if len(values) < _FEWEST_ROWS or values.dtype.kind == "b":
        return False
    if values.dtype.kind == "f" and (values[:_FEWEST_ROWS] % 1 != 0).any():  # most columns end here
        return False
    if values.dtype.kind == "f" and ((values % 1 != 0) | (np.abs(values.astype(np.float64)) >= _WHOLE)).any():
        return False
    return len(np.unique(values)) == len(values)


def _name(column: int, names: Sequence[str]) -> str:
    return shown(names[column]) if names else str(column)


def _columns(found: Sequence[str]) -> str:
    return f"{'column' if len(found) == 1 else 'columns'} {listed(found)}"
