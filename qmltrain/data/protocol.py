"""What every data set offers: labels in memory, samples read by row. Nothing above knows where the rows come from."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Task = Literal["classification", "regression"]
FloatArray = NDArray[np.float64]
RowArray = NDArray[np.int64]
LabelArray = NDArray[np.int64] | NDArray[np.float64]
PartArray = NDArray[np.int8]


class Source(Protocol):
    """A data set of `n_samples` rows, each an array of `sample_shape`.

    `class_names` has one name a class (empty for regression); `checksum` is the SHA-256 of the file's content, of the
    arrays' bytes where there is no file; `description` is one line for the log; `code` is the text of the user's
    function that made the data (entry `python`) and `code_sha256` its SHA-256, both else empty. `parts` says of each
    row whether the data itself gives it to training, validation or test (`splits.TRAIN`, ...); None: not. `in_memory`:
    the samples are; else they are read from a file that may be larger than memory.
    """

    @property
    def name(self) -> str: ...

    @property
    def n_samples(self) -> int: ...

    @property
    def sample_shape(self) -> tuple[int, ...]: ...

    @property
    def task(self) -> Task: ...

    @property
    def class_names(self) -> tuple[str, ...]: ...

    @property
    def checksum(self) -> str: ...

    @property
    def description(self) -> str: ...

    @property
    def parts(self) -> PartArray | None: ...

    @property
    def code(self) -> str: ...

    @property
    def code_sha256(self) -> str: ...

    @property
    def in_memory(self) -> bool: ...

    def labels(self) -> LabelArray:
        """All labels, (n_samples,): class indices int64, or targets float64. Not to be written to."""
        ...

    def read(self, rows: NDArray[Any]) -> FloatArray:
        """Samples of the given rows (any order, repeats allowed), a new array (len(rows), *sample_shape).

        Raises InputError, with file and row, where a sample cannot be read or holds NaN or infinity.
        """
        ...
