"""Checks that every reader makes, for arrays in memory and on disk alike.

`where` opens each message: the file or the function that the arrays came from.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from qmltrain.data.protocol import LabelArray, PartArray, RowArray, SourceInfo, Task
from qmltrain.errors import InputError

MAX_CLASSES = 65_536
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
        raise InputError(f"{where}: {n_samples} samples but {n_labels} labels; there must be one label per sample")


def check_finite(x: NDArray[Any], rows: RowArray, where: str) -> None:
    """`rows` names the rows of `x` in the message."""
    if x.dtype.kind != "f":
        return
    for piece in chunks(np.arange(len(x)), x.shape[1:]):
        finite = np.isfinite(x[piece[0] : piece[-1] + 1])
        if not finite.all():
            first = int(np.argmin(finite.reshape(len(piece), -1).all(axis=1)))
            raise InputError(f"{where}: row {rows[piece[first]]} holds NaN or infinity; remove or repair that sample")


def name_classes(y: NDArray[Any], task: str | None, where: str) -> tuple[NDArray[Any], tuple[str, ...]]:
    """Texts as class numbers, with the names of the classes in alphabetical order; other labels as they are."""
    if y.dtype.kind == "O" and y.ndim == 1 and all(isinstance(label, bytes | str) for label in y):
        y = np.array([label.decode("utf-8", "replace") if isinstance(label, bytes) else label for label in y])
    if y.dtype.kind == "S":
        y = np.char.decode(y, "utf-8", "replace")
    if y.dtype.kind != "U" or y.ndim != 1 or not y.size:
        return y, ()
    if task == "regression":
        raise InputError(f"{where}: row 0 is the text {str(y[0])!r}; dataset.task=regression needs numbers")
    names, numbers = np.unique(y, return_inverse=True)
    if "" in names:
        raise InputError(f"{where}: row {int(np.argmax(y == ''))} is empty; every sample needs a label")
    return numbers.astype(np.int64), tuple(str(name) for name in names)


def check_labels(y: NDArray[Any], task: str | None, where: str) -> tuple[Task, LabelArray]:
    """The task and the labels in its type. Without a `task`, integers are classes and floats are targets."""
    if task not in (None, "classification", "regression"):
        raise InputError(f"dataset.task: {task!r} is not known; choose classification or regression")
    if y.dtype.kind not in "buif":
        raise InputError(f"{where}: holds {y.dtype}; labels must be integers or texts (classes) or floats (targets)")
    if y.ndim != 1:
        raise InputError(f"{where}: has shape {y.shape}; labels must be one number per sample, shape (n,)")
    if y.size == 0:
        raise InputError(f"{where}: is empty; at least one label is needed")
    finite = np.isfinite(y)
    if not finite.all():
        raise InputError(f"{where}: row {int(np.argmin(finite))} is NaN or infinity; every label must be finite")
    if task == "regression" or (task is None and y.dtype.kind == "f"):
        found: tuple[Task, LabelArray] = "regression", y.astype(np.float64)
    else:
        found = "classification", _class_indices(y, where)
    found[1].flags.writeable = False
    return found


def _class_indices(y: NDArray[Any], where: str) -> NDArray[np.int64]:
    allowed = "classes are integers from 0"
    if y.dtype.kind == "f" and (y != np.floor(y)).any():
        row = int(np.argmax(y != np.floor(y)))
        raise InputError(f"{where}: row {row} has label {y[row]}; {allowed} (dataset.task=regression for targets)")
    if y.dtype.kind != "b" and (y < 0).any():
        row = int(np.argmax(y < 0))
        raise InputError(f"{where}: row {row} has label {y[row]}; {allowed}: write -1 and 1 as 0 and 1")
    if y.max() >= MAX_CLASSES:
        row = int(np.argmax(y >= MAX_CLASSES))
        raise InputError(f"{where}: row {row} has label {y[row]}; {allowed} to {MAX_CLASSES - 1}")
    if (y == y[0]).all():
        raise InputError(f"{where}: every label is {int(y[0])}; classification needs at least two classes")
    return y.astype(np.int64)


def numbered_class_names(labels: LabelArray, task: Task) -> tuple[str, ...]:
    """Names 0, 1, ... up to the largest class; none for regression."""
    return tuple(str(c) for c in range(int(labels.max()) + 1)) if task == "classification" else ()


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
    labels: NDArray[Any],
    names: ArrayNames,
    *,
    task: str | None,
    class_names: tuple[str, ...] | None = None,
    parts: PartArray | None = None,
) -> tuple[SourceInfo, LabelArray]:
    """What the data set `name` is, and its labels; texts as labels become classes, named by them.

    `class_names` are those that the format gives. The values of `samples` are not looked at. Raises InputError for
    samples or labels that cannot be, and for arrays of different lengths.
    """
    shape = samples.shape
    check_sample_layout(shape, samples.dtype, f"{names.where}: {names.samples}")
    numbers, named = name_classes(labels, task, f"{names.where}: {names.labels}")
    found_task, checked = check_labels(numbers, task, f"{names.where}: {names.labels}")
    check_same_length(shape[0], len(checked), names.where)
    if parts is not None:
        check_same_length(shape[0], len(parts), f"{names.where}: {names.split}")
    classes = named or (numbered_class_names(checked, found_task) if class_names is None else class_names)
    info = SourceInfo(name, int(shape[0]), tuple(int(n) for n in shape[1:]), found_task, classes, parts=parts)
    return replace(info, description=describe(info, names.where)), checked


def describe(info: SourceInfo, origin: str) -> str:
    """One line: "npz: 1797 samples of 8 x 8, 10 classes from digits.npz"."""
    shape = " x ".join(str(length) for length in info.sample_shape)
    kind = f"{len(info.class_names)} classes" if info.task == "classification" else "regression"
    line = f"{info.name}: {info.n_samples} samples of {shape}, {kind}"
    return line if origin == info.name else f"{line} from {origin}"
