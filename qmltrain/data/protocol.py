"""What every data set offers: labels in memory, samples read by row. Nothing above knows where the rows come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Task = Literal["classification", "regression"]
FloatArray = NDArray[np.float64]
RowArray = NDArray[np.int64]
LabelArray = NDArray[np.int64] | NDArray[np.float64]
PartArray = NDArray[np.int8]


@dataclass(frozen=True, eq=False)
class SourceInfo:
    """What is known of a data set before a sample is read: `n_samples` rows, each an array of `sample_shape`.

    `class_names` has one name per class (empty for regression). `description` is one line for the log. `parts` says of
    each row whether the data itself gives it to training, validation or test (`splits.TRAIN`, ...); None: not.
    `feature_names` are the columns of a table that are used, in order; `left_out` the columns that are not, each with
    the reason. `notes` are lines that the user should read before training (what was read in a way that is not the only
    one). `in_memory`: the samples are; else they are read from a file that may be larger than memory. `no_labels` says
    why there are none, where there are none: labels are NaN then, and all that can be had is predictions.
    """

    name: str
    n_samples: int
    sample_shape: tuple[int, ...]
    task: Task
    class_names: tuple[str, ...] = ()
    description: str = ""
    parts: PartArray | None = None
    feature_names: tuple[str, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    in_memory: bool = True
    no_labels: str = ""


class Source(Protocol):
    """A data set."""

    @property
    def info(self) -> SourceInfo: ...

    @property
    def checksum(self) -> str:
        """SHA-256 (hex) of the content of the data set's files, of the arrays' bytes where there are none."""
        ...

    def labels(self) -> LabelArray:
        """All labels, (n_samples,): class indices int64, or targets float64. Not to be written to."""
        ...

    def read(self, rows: NDArray[Any]) -> FloatArray:
        """Samples of the given rows (any order, repeats allowed), a new array (len(rows), *sample_shape).

        Raises InputError, with file and row, where a sample cannot be read or holds NaN or infinity.
        """
        ...
