"""Checks that every reader makes, for arrays in memory and on disk alike.

`where` opens each message: the file or the function that the arrays came from.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from qmltrain.data.labels import absent_labels, read_labels
from qmltrain.data.protocol import LabelArray, PartArray, RowArray, SourceInfo
from qmltrain.errors import InputError
from qmltrain.wording import plural

CHUNK_BYTES = 16 * 2**20  # of float64 samples read at a time; a constant, so that chunked sums have one order


def chunks(rows: RowArray, sample_shape: tuple[int, ...]) -> Iterator[RowArray]:
    """`rows` in consecutive pieces whose samples take at most CHUNK_BYTES as float64 (at least one row a piece)."""
    step = max(1, CHUNK_BYTES // (8 * max(1, int(np.prod(sample_shape)))))
    for start in range(0, len(rows), step):
        yield rows[start : start + step]


def check_rows(rows: NDArray[Any], n_samples: int) -> RowArray:
    """Row numbers as int64; IndexError (a mistake of the caller, not of the user) where one is not in the data."""
    rows = np.asarray(rows)
    if rows.ndim != 1 or (rows.size and rows.dtype.kind not in "iu"):
        raise IndexError(f"rows must be a one-dimensional integer array, found {rows.dtype} {rows.shape}")
    if rows.size and (rows.min() < 0 or rows.max() >= n_samples):
        raise IndexError(f"rows {int(rows.min())}..{int(rows.max())} are not all in 0..{n_samples - 1}")
    return rows.astype(np.int64, copy=False)


def check_sample_layout(shape: tuple[int, ...], dtype: np.dtype[Any], where: str) -> None:
    """Samples are real numbers, at least one, with a row axis in front and at least one number per row."""
    if dtype.kind not in "buif":
        raise InputError(f"{where}: holds {dtype}; samples must be real numbers (integers or floats)")
    if len(shape) < 2:
        raise InputError(f"{where}: has shape {shape}; needs one row per sample, e.g. (n, 1) for one feature")
    if 0 in shape:
        raise InputError(f"{where}: is empty, shape {shape}; at least one sample of one number is needed")


def check_same_length(n_samples: int, n_labels: int, where: str) -> None:
    if n_samples != n_labels:
        found = f"{plural(n_samples, 'sample')} but {plural(n_labels, 'label')}"
        raise InputError(f"{where}: {found}; there must be one label per sample")


def check_finite(x: NDArray[Any], rows: RowArray, where: str) -> None:
    """`rows` names the rows of `x` in the message."""
    if x.dtype.kind != "f":
        return
    for piece in chunks(np.arange(len(x)), x.shape[1:]):
        finite = np.isfinite(x[piece[0] : piece[-1] + 1])
        if not finite.all():
            first = int(np.argmin(finite.reshape(len(piece), -1).all(axis=1)))
            raise InputError(f"{where}: row {rows[piece[first]]} holds NaN or infinity; remove or repair that sample")


class ArrayNames(NamedTuple):
    """What a data set's arrays are called in messages: `where` they came from, and the name of each in there."""

    where: str
    samples: str = "x"
    labels: str = "y"
    split: str = "split"


class Samples(Protocol):
    """An array, or a dataset of a file that is not read here."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...


def check_arrays(
    name: str,
    samples: Samples,
    labels: NDArray[Any] | None,
    names: ArrayNames,
    *,
    task: str | None,
    class_names: tuple[str, ...] | None = None,
    parts: PartArray | None = None,
    no_labels: str = "",
) -> tuple[SourceInfo, LabelArray]:
    """What the data set `name` is, and its labels (see `read_labels`).

    `class_names` are those that the format gives. The values of `samples` are not looked at. Where there are no labels
    (None), `no_labels` says why. Raises InputError for
    samples or labels that cannot be, and for arrays of different lengths.
    """
    shape = samples.shape
    check_sample_layout(shape, samples.dtype, f"{names.where}: {names.samples}")
    if labels is None:
        read = absent_labels(shape[0])
    else:
        read = read_labels(labels, task, names.where, names.labels, class_names)
    check_same_length(shape[0], len(read.values), names.where)
    if parts is not None:
        check_same_length(shape[0], len(parts), f"{names.where}: {names.split}")
    info = SourceInfo(
        name,
        int(shape[0]),
        tuple(int(n) for n in shape[1:]),
        read.task,
        read.class_names,
        parts=parts,
        notes=read.notes,
        no_labels=no_labels,
    )
    return replace(info, description=describe(info, names.where)), read.values


def describe(info: SourceInfo, origin: str) -> str:
    """One line: "npz: 1797 samples of 8 x 8, 10 classes from digits.npz"."""
    shape = " x ".join(str(length) for length in info.sample_shape)
    kind = plural(len(info.class_names), "class") if info.task == "classification" else "regression"
    kind = "no labels" if info.no_labels else kind
    line = f"{info.name}: {plural(info.n_samples, 'sample')} of {shape}, {kind}"
    return line if origin == info.name else f"{line} from {origin}"
