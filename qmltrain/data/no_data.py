"""No data: one sample without features, so that a circuit of its own (VQE, QAOA) trains as any other."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmltrain.data.checks import check_rows
from qmltrain.data.protocol import FloatArray, LabelArray, SourceInfo


class NoData:
    """A `Source` of one row of no numbers, whose label is 0 and means nothing."""

    info = SourceInfo("none", 1, (0,), "regression", description="none: no data")

    checksum = hashlib.sha256(b"").hexdigest()

    def labels(self) -> LabelArray:
        zero = np.zeros(1)
        zero.flags.writeable = False
        return zero

    def read(self, rows: NDArray[Any]) -> FloatArray:
        return np.empty((len(check_rows(rows, 1)), 0))


def none() -> NoData:
    """No data, for `loss=expectation` and `loss=fidelity` with `encoding=none`; nothing is split or preprocessed."""
    return NoData()
