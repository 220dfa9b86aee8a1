"""Coverings of products of many axes: each pair of values is tested by every commit, the whole product is slow.

    @pytest.mark.parametrize(("precision", "batch", "mode"), covering(["complex64", "complex128"], [1, 3, 17], MODES))

What breaks an engine is nearly always one value, or two that meet: so every value of an axis meets every value of each
other axis in some case without a mark. All other combinations are cases as well, marked `slow`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray


def chosen(sizes: Sequence[int]) -> NDArray[np.intp]:
    """Rows of the product of `range(size)` such that each pair of values of any two axes is in one, in its order.

    Greedy: the next row is the first that has the most pairs that no row before has.
    """
    rows = np.array(list(itertools.product(*map(range, sizes))), dtype=np.intp).reshape(-1, len(sizes))
    if len(sizes) < 3 or not len(rows):  # each row is a pair of its own
        return np.arange(len(rows))
    pairs, count = [], 0
    for a, b in itertools.combinations(range(len(sizes)), 2):
        pairs.append(count + rows[:, a] * sizes[b] + rows[:, b])
        count += sizes[a] * sizes[b]
    pair_of_row = np.stack(pairs, axis=1)
    missing = np.ones(count, dtype=bool)
    found = []
    while missing.any():
        found.append(int(np.argmax(missing[pair_of_row].sum(axis=1))))
        missing[pair_of_row[found[-1]]] = False
    return np.sort(np.array(found, dtype=np.intp))


_PARAMETERS = type(pytest.param())


def _name(value: object, number: int) -> str:
    if value is None or isinstance(value, str | int | float):
        return str(value)
    return getattr(value, "__name__", f"{type(value).__name__}{number}")


def _parameters(axis: Sequence[object]) -> list:
    """Each value as parameters of a test with a name; what is that already keeps its name and marks."""
    return [
        value if isinstance(value, _PARAMETERS) else pytest.param(value, id=_name(value, number))
        for number, value in enumerate(axis)
    ]


def covering(*axes: Sequence[object]) -> list:
    """The product of the axes as parameters of a test; all but a covering of its pairs are marked `slow`.

    A value may be a `pytest.param` with several values and a name of its own.
    """
    unmarked = set(chosen([len(axis) for axis in axes]).tolist())
    found = []
    for number, parts in enumerate(itertools.product(*map(_parameters, axes))):
        marks = [mark for part in parts for mark in part.marks] + [pytest.mark.slow] * (number not in unmarked)
        values = [value for part in parts for value in part.values]
        found.append(pytest.param(*values, marks=marks, id="-".join(part.id or "" for part in parts)))
    return found
