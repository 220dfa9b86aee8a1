"""Data sets that are arrays in memory: the Source of all but HDF5."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmltrain.data.checks import ArrayNames, check_arrays, check_finite, check_rows
from qmltrain.data.column_notes import column_notes
from qmltrain.data.files import digest
from qmltrain.data.protocol import FloatArray, LabelArray, PartArray, SourceInfo


@dataclass(frozen=True, eq=False)
class ArraySource:
    """Samples `x` (n, ...) in their own number type (images stay uint8) and labels `y` (n,); a `Source`."""

    info: SourceInfo
    x: NDArray[Any]
    y: LabelArray
    files: tuple[Path, ...] = ()

    @cached_property
    def checksum(self) -> str:
        return digest(self.files) if self.files else array_digest(self.x, self.y)

    def labels(self) -> LabelArray:
        return self.y

    def read(self, rows: NDArray[Any]) -> FloatArray:
        return self.x[check_rows(rows, len(self.x))].astype(np.float64, copy=False)

    def told(self, **facts: Any) -> ArraySource:
        """The same data set with other `facts` in its info."""
        return replace(self, info=replace(self.info, **facts))


def array_digest(*arrays: NDArray[Any]) -> str:
    """SHA-256 of the arrays' types, shapes and bytes in row-major order."""
    total = hashlib.sha256()
    for array in arrays:
        total.update(f"{array.dtype.str}{array.shape}".encode())
        total.update(np.ascontiguousarray(array).data)
    return total.hexdigest()


def array_source(
    name: str,
    x: NDArray[Any],
    y: NDArray[Any] | None,
    names: ArrayNames,
    *,
    task: str | None = None,
    class_names: tuple[str, ...] | None = None,
    parts: PartArray | None = None,
    files: tuple[Path, ...] = (),
    feature_names: tuple[str, ...] = (),
    no_labels: str = "",
) -> ArraySource:
    """Check both arrays (see `check_arrays`), NaN and infinity included, look for columns that are no features, and
    wrap them. `feature_names` are those of a table's columns."""
    info, labels = check_arrays(name, x, y, names, task=task, class_names=class_names, parts=parts, no_labels=no_labels)
    check_finite(x, np.arange(len(x)), f"{names.where}: {names.samples}")
    notes = info.notes + column_notes(x, labels, feature_names)
    return ArraySource(replace(info, feature_names=feature_names, notes=notes), x, labels, files)
