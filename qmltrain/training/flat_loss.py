"""When a loss no longer falls: windows of its last steps, compared (arXiv:2403.07059).

After a step the loss is flat where the mean over the last w steps and that over the w steps before them differ by no
more than half the standard error of the first,

    |mean(l[-w:]) - mean(l[-2w:-w])| <= std(l[-w:]) / (2 sqrt(w)),

with the standard deviation of the population, looked at from step 2 w + 1 on. Sums go step by step, so that whether a
step ends a training does not depend on how many steps are looked at together.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from qmltrain.engines.protocol import FloatArray

_FEW = 128  # steps; more are added up side by side


def first_flat(before: FloatArray, losses_T: FloatArray, window: int) -> int | None:
    """The first of the steps with `losses_T` after which the loss is flat (from 0), or None; `before` are the losses of
    the steps that came before them, at least the last 2 `window`, or all where they are fewer."""
    before = before[-2 * window :]
    every = np.concatenate([before, losses_T])
    first = 2 * window - len(before)
    if first >= len(losses_T):
        return None
    windows = sliding_window_view(every, 2 * window)[len(before) + first + 1 - 2 * window :]
    earlier, last = windows[:, :window], windows[:, window:]
    mean = _sums(last) / window
    deviation = np.sqrt(_sums(last, mean) / window)
    flat = np.abs(mean - _sums(earlier) / window) <= deviation / (2 * math.sqrt(window))
    return first + int(np.argmax(flat)) if flat.any() else None


def recent(before: FloatArray, losses_T: FloatArray, window: int) -> FloatArray:
    """What the next steps need as `before`."""
    return np.concatenate([before, losses_T])[-2 * window :]


def _sums(rows: FloatArray, centre: FloatArray | None = None) -> FloatArray:
    """Of each row, from left to right, however many rows there are; of the squared distances from its `centre`."""
    if len(rows) <= _FEW:
        terms = rows if centre is None else np.square(rows - centre[:, None])
        return np.asarray(np.add.accumulate(terms, axis=1)[:, -1])
    total: FloatArray | None = None
    for column in rows.T:
        term = column if centre is None else np.square(column - centre)
        total = term.copy() if total is None else np.add(total, term, out=total)
    assert total is not None
    return total
