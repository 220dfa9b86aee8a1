"""Data sets that are arrays in memory: the common Source of all but HDF5, and the reader of .npz files."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from qmltrain.data.checks import check_finite, check_rows
from qmltrain.data.files import check_digest, digest, find_file
from qmltrain.data.labelled import describe, labelled
from qmltrain.data.protocol import FloatArray, LabelArray, PartArray, Task
from qmltrain.data.splits import parse_parts
from qmltrain.errors import InputError


@dataclass(frozen=True, eq=False)
class ArraySource:
    """Samples `x` (n, ...) in their own number type (images stay uint8) and labels `y` (n,); a `Source`."""

    name: str
    x: NDArray[Any]
    y: LabelArray
    task: Task
    class_names: tuple[str, ...]
    description: str
    files: tuple[Path, ...] = ()
    code: str = ""
    code_sha256: str = ""
    parts: PartArray | None = None
    feature_names: tuple[str, ...] = ()
    in_memory: ClassVar[bool] = True

    @property
    def n_samples(self) -> int:
        return len(self.x)

    @property
    def sample_shape(self) -> tuple[int, ...]:
        return tuple(self.x.shape[1:])

    @cached_property
    def checksum(self) -> str:
        return digest(self.files) if self.files else array_digest(self.x, self.y)

    def labels(self) -> LabelArray:
        return self.y

    def read(self, rows: NDArray[Any]) -> FloatArray:
        return self.x[check_rows(rows, self.n_samples)].astype(np.float64, copy=False)


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
    y: NDArray[Any],
    where: str,
    *,
    task: str | None = None,
    class_names: tuple[str, ...] | None = None,
    description: str | None = None,
    files: tuple[Path, ...] = (),
    code: str = "",
    code_sha256: str = "",
    keys: tuple[str, str] = ("x", "y"),
    parts: PartArray | None = None,
    feature_names: tuple[str, ...] = (),
) -> ArraySource:
    """Check both arrays and wrap them; `where` and `keys` name them in messages. Texts as labels become classes."""
    known = labelled(x.shape, x.dtype, y, where, task=task, keys=keys, class_names=class_names, parts=parts)
    check_finite(x, np.arange(len(x)), f"{where}: {keys[0]}")
    line = description or describe(name, len(x), known.sample_shape, known.task, known.class_names, where)
    return ArraySource(
        name, x, known.labels, known.task, known.class_names, line, files, code, code_sha256, parts, feature_names
    )


def npz(
    *,
    path: str,
    root: str | None = None,
    sha256: str | None = None,
    x_key: str = "x",
    y_key: str = "y",
    split_key: str | None = None,
    task: str | None = None,
) -> ArraySource:
    """A NumPy archive with samples `x_key` (n, ...) and labels `y_key` (n,).

    Integer labels are classes 0, 1, ..., texts are names of classes, float labels are targets of a regression; `task`
    says otherwise. An array `split_key` (null: "split" where there is one) says train, validation or test. Pickled
    objects are refused (`allow_pickle=False`): a data file cannot run code.
    """
    file = find_file(path, root, "dataset.path")
    check_digest(sha256, file)
    try:
        with file.open("rb") as stream:
            archive = np.load(stream, allow_pickle=False)
            if isinstance(archive, np.ndarray):
                raise InputError(f"{file}: is one bare array; save both with numpy.savez(path, x=..., y=...)")
            x, y = (_member(archive, key, option, file) for key, option in ((x_key, "x_key"), (y_key, "y_key")))
            split_key = split_key or ("split" if "split" in archive.files else None)
            parts = None if split_key is None else _member(archive, split_key, "split_key", file)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
        # NumPy takes whatever it does not know for a pickle, and says how to load one all the same
        reason = "it is no NumPy archive, or holds Python objects" if "allow_pickle" in str(error) else str(error)
        raise InputError(f"{file}: not a readable .npz file: {reason}; save it with numpy.savez") from error
    assigned = None if parts is None else parse_parts(parts, f"{file}: {split_key}")
    return array_source("npz", x, y, str(file), task=task, files=(file,), keys=(x_key, y_key), parts=assigned)


def _member(archive: Any, key: str, option: str, file: Path) -> NDArray[Any]:
    if key not in archive.files:
        raise InputError(f"dataset.{option}: {file} has no array {key!r}; it has {', '.join(archive.files) or 'none'}")
    try:
        return np.asarray(archive[key])
    except ValueError as error:
        reason = "it holds Python objects" if "allow_pickle" in str(error) else str(error)
        raise InputError(f"{file}: {key}: {reason}; save plain numbers") from error
