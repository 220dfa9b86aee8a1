"""What is known of a data set before a sample is read, checked in one place for arrays in memory and on disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmltrain.data.checks import (
    check_labels,
    check_same_length,
    check_sample_layout,
    name_classes,
    numbered_class_names,
)
from qmltrain.data.protocol import LabelArray, PartArray, Task


@dataclass(frozen=True, eq=False)
class Labelled:
    """Number and shape of the samples, their labels and classes, and the split where the data has one."""

    n_samples: int
    sample_shape: tuple[int, ...]
    task: Task
    labels: LabelArray
    class_names: tuple[str, ...]
    parts: PartArray | None


def labelled(
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    labels: NDArray[Any],
    where: str,
    *,
    task: str | None,
    keys: tuple[str, str] = ("x", "y"),
    class_names: tuple[str, ...] | None = None,
    parts: PartArray | None = None,
    split_key: str = "split",
) -> Labelled:
    """Check samples of `shape` and `dtype` with their `labels`; texts as labels become classes, named by them.

    `where`, `keys` and `split_key` name the arrays in messages; `class_names` are those that the format gives. Raises
    InputError for samples or labels that cannot be, and for arrays of different lengths.
    """
    check_sample_layout(shape, dtype, f"{where}: {keys[0]}")
    numbers, named = name_classes(labels, task, f"{where}: {keys[1]}")
    found_task, checked = check_labels(numbers, task, f"{where}: {keys[1]}")
    check_same_length(shape[0], len(checked), where)
    if parts is not None:
        check_same_length(shape[0], len(parts), f"{where}: {split_key}")
    names = named or (numbered_class_names(checked, found_task) if class_names is None else class_names)
    return Labelled(int(shape[0]), tuple(int(n) for n in shape[1:]), found_task, checked, names, parts)


def describe(
    name: str, n_samples: int, sample_shape: tuple[int, ...], task: Task, class_names: tuple[str, ...], where: str = ""
) -> str:
    """One line: "digits: 1797 samples of 8 x 8, 10 classes"."""
    shape = " x ".join(str(length) for length in sample_shape)
    kind = f"{len(class_names)} classes" if task == "classification" else "regression"
    origin = f" from {where}" if where and where != name else ""
    return f"{name}: {n_samples} samples of {shape}, {kind}{origin}"
