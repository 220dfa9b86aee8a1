"""No data: one sample without features, so that a circuit of its own (VQE, QAOA) trains as any other."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmltrain.data.checks import check_rows
from qmltrain.data.protocol import FloatArray, LabelArray, PartArray, Task


@dataclass(frozen=True)
class NoData:
    """A `Source` of one row of no numbers, whose label is 0 and means nothing."""

    name: str = "none"
    n_samples: int = 1
    sample_shape: tuple[int, ...] = (0,)
    task: Task = "regression"
    class_names: tuple[str, ...] = ()
    description: str = "none: no data"
    code: str = ""
    code_sha256: str = ""
    parts: PartArray | None = None
    in_memory: bool = True

    @cached_property
    def checksum(self) -> str:
        return hashlib.sha256(b"").hexdigest()

    def labels(self) -> LabelArray:
        zero = np.zeros(1)
        zero.flags.writeable = False
        return zero

    def read(self, rows: NDArray[Any]) -> FloatArray:
        return np.empty((len(check_rows(rows, 1)), 0))


def none() -> NoData:
    """No data, for `loss=expectation` and `loss=fidelity` with `encoding=none`; nothing is split or preprocessed."""
    return NoData()
