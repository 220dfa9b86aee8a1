"""NumPy archives (.npz)."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmltrain.data.array_source import ArraySource, array_source
from qmltrain.data.checks import ArrayNames
from qmltrain.data.files import check_digest, find_file
from qmltrain.data.splits import parse_parts
from qmltrain.errors import InputError


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
            x = _member(archive, x_key, "x_key", file)
            no_labels = "" if y_key in archive.files else _absent(archive, y_key, "y_key", file)
            y = None if no_labels else _member(archive, y_key, "y_key", file)
            split_key = split_key or ("split" if "split" in archive.files else None)
            parts = None if split_key is None else _member(archive, split_key, "split_key", file)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
        # NumPy takes whatever it does not know for a pickle, and says how to load one all the same
        reason = "it is no NumPy archive, or holds Python objects" if "allow_pickle" in str(error) else str(error)
        raise InputError(f"{file}: not a readable .npz file: {reason}; save it with numpy.savez") from error
    assigned = None if parts is None else parse_parts(parts, f"{file}: {split_key}")
    names = ArrayNames(str(file), x_key, y_key)
    return array_source("npz", x, y, names, task=task, parts=assigned, files=(file,), no_labels=no_labels)


def _absent(archive: Any, key: str, option: str, file: Path) -> str:
    return f"dataset.{option}: {file} has no array {key!r}; it has {', '.join(archive.files) or 'none'}"


def _member(archive: Any, key: str, option: str, file: Path) -> NDArray[Any]:
    if key not in archive.files:
        raise InputError(_absent(archive, key, option, file))
    try:
        return np.asarray(archive[key])
    except ValueError as error:
        reason = "it holds Python objects" if "allow_pickle" in str(error) else str(error)
        raise InputError(f"{file}: {key}: {reason}; save plain numbers") from error
