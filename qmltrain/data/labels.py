"""From labels as people have them (numbers, texts, -1 and 1, a column, one-hot) to classes 0, 1, ... or targets."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qmltrain.data.protocol import LabelArray, Task
from qmltrain.errors import InputError
from qmltrain.wording import listed, shown

MAX_CLASSES = 65_536
_TO_TARGETS = "where labels are numbers to predict, set dataset.task=regression"
_MANY = 10  # different labels: more may be targets, at most as many may be classes


class Labels(NamedTuple):
    """`values` (n,), not to be written to: class indices int64, or targets float64. `notes` as in `SourceInfo`."""

    task: Task
    values: LabelArray
    class_names: tuple[str, ...]
    notes: tuple[str, ...]


def read_labels(
    labels: NDArray[Any], task: str | None, file: str, name: str, class_names: tuple[str, ...] | None = None
) -> Labels:
    """What `labels` (n,), (n, 1) or one-hot (n, classes) say. Without a `task`, integers and texts are classes, floats
    targets; -1 and 1 are classes 0 and 1, texts are numbered in alphabetical order.

    `file` and `name` (of the labels in there) are for messages; `class_names` are those that the format gives.
    Raises InputError for labels that cannot be.
    """
    if task not in (None, "classification", "regression"):
        raise InputError(f"dataset.task: {task!r} is not known; choose classification or regression")
    where, notes = f"{file}: {name}", []
    y = _decoded(labels, where)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if task != "regression" and is_one_hot(y):
        notes.append(f"{name}: one-hot, shape {y.shape}; the class of a row is the column of its 1, from 0")
        y = y.argmax(axis=1)
    if y.dtype.kind == "U" and y.ndim == 1 and y.size:
        if task == "regression":
            raise InputError(f"{where}: row 0 is the text {shown(str(y[0]))}; dataset.task=regression needs numbers")
        values, names = _numbered_words(y, where)
        return _done("classification", values, names, notes)
    _check_numbers(y, where)
    if task == "regression" or (task is None and y.dtype.kind == "f"):
        if task is None:
            notes += _may_be_classes(y, name)
        return _done("regression", y.astype(np.float64), (), notes)
    values, names = _class_indices(y, where)
    if names:
        notes.append(f"{name}: labels -1 and 1 are read as classes 0 and 1")
    elif task is None:
        notes += _may_be_targets(values, name)
    return _done("classification", values, names or class_names or _numbered(values), notes)


def absent_labels(n_samples: int) -> Labels:
    """Of samples that have none: NaN each."""
    return _done("regression", np.full(n_samples, np.nan), (), [])


def is_one_hot(y: NDArray[Any]) -> bool:
    """Whether every row of `y` holds a single 1 beside zeros (two columns or more)."""
    if y.ndim != 2 or y.shape[1] < 2 or not y.size or y.dtype.kind not in "buif":
        return False
    ones = y == 1
    return bool(((y == 0) | ones).all() and (ones.sum(axis=1) == 1).all())


def _done(task: Task, values: LabelArray, names: tuple[str, ...], notes: list[str]) -> Labels:
    values.flags.writeable = False
    return Labels(task, values, names, tuple(notes))


def _decoded(y: NDArray[Any], where: str) -> NDArray[Any]:
    """Texts of any storage as str, other labels as they are."""
    found = y
    if y.dtype.kind == "O" and all(isinstance(label, bytes | str) for label in y.flat):
        texts = [label.decode("utf-8", "replace") if isinstance(label, bytes) else label for label in y.flat]
        found = np.array(texts, dtype=str).reshape(y.shape)
    elif y.dtype.kind == "S":
        found = np.char.decode(y, "utf-8", "replace")
    if found is not y and len(np.unique(found)) < len(set(y.ravel().tolist())):
        raise InputError(f"{where}: holds different texts that are no UTF-8 and read alike; write them in UTF-8")
    return found


def _numbered_words(y: NDArray[Any], where: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    names, numbers = np.unique(y, return_inverse=True)
    for name in names.tolist():
        row = int(np.argmax(y == name))
        if not name.strip():
            raise InputError(f"{where}: row {row} is empty; every sample needs a label")
        if not is_storable(name):
            raise InputError(
                f"{where}: row {row} is {shown(name)}, with a character that is no text; write another label"
            )
    return numbers.reshape(-1).astype(np.int64), tuple(names.tolist())


def is_storable(text: str) -> bool:
    """Whether `text` can stand in a run file: UTF-8 without NUL."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _check_numbers(y: NDArray[Any], where: str) -> None:
    if y.dtype.kind not in "buif":
        raise InputError(f"{where}: holds {y.dtype}; labels must be integers or texts (classes) or floats (targets)")
    if y.ndim != 1:
        raise InputError(
            f"{where}: has shape {y.shape}; labels must be one number per sample, shape (n,), or classes one-hot, a "
            "single 1 in each row beside zeros"
        )
    if y.size == 0:
        raise InputError(f"{where}: is empty; at least one label is needed")
    finite = np.isfinite(y)
    if not finite.all():
        raise InputError(f"{where}: row {int(np.argmin(finite))} is NaN or infinity; every label must be finite")


def _class_indices(y: NDArray[Any], where: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Class indices, and the names of the classes -1 and 1 where these are the labels."""
    if y.dtype.kind in "if" and (y == -1).any() and (np.abs(y) == 1).all():
        return (y == 1).astype(np.int64), ("-1", "1")
    impossible = np.zeros(len(y), dtype=bool) if y.dtype.kind == "b" else (y < 0) | (y >= MAX_CLASSES)
    if y.dtype.kind == "f":
        impossible |= y != np.floor(y)
    if impossible.any():
        row = int(np.argmax(impossible))
        raise InputError(
            f"{where}: row {row} has label {y[row]}; classes are integers from 0 to {MAX_CLASSES - 1}, or -1 and 1; "
            f"{_TO_TARGETS}"
        )
    return y.astype(np.int64), ()


def _numbered(values: NDArray[Any]) -> tuple[str, ...]:
    """Names 0, 1, ... up to the largest class."""
    return tuple(str(c) for c in range(int(values.max()) + 1))


def _may_be_classes(y: NDArray[np.floating[Any]], name: str) -> list[str]:
    different = np.unique(y)
    if len(different) > _MANY or len(different) == len(y) or (different != np.floor(different)).any():
        return []
    values = listed([f"{value:g}" for value in different])
    return [f"{name}: decimals ({values}) are targets of a regression; as classes with dataset.task=classification"]


def _may_be_targets(values: NDArray[np.int64], name: str) -> list[str]:
    different = len(np.unique(values))
    if different <= max(_MANY, len(values) // 10):
        return []
    return [f"{name}: {different} different integers are classes; as numbers to predict with dataset.task=regression"]
