"""NumPy's files: archives (.npz), and single arrays (.npy) of samples and of labels."""

from __future__ import annotations

import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from qmltrain.data.array_keys import array_keys
from qmltrain.data.array_source import array_source
from qmltrain.data.checks import ArrayNames
from qmltrain.data.files import check_digest, find_file
from qmltrain.data.protocol import Source
from qmltrain.data.separate_test_file import WithTestFile
from qmltrain.data.sizes import check_size
from qmltrain.data.splits import parse_parts
from qmltrain.errors import InputError
from qmltrain.wording import listed, one_line, shown

# what zipfile and NumPy raise for damaged content
_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, struct.error, tokenize.TokenError, EOFError, OSError, ValueError, SyntaxError),
    *(TypeError, KeyError, IndexError, AttributeError, OverflowError, NotImplementedError, RuntimeError),
)


def npz(
    *,
    path: str,
    labels_path: str | None = None,
    root: str | None = None,
    sha256: str | None = None,
    x_key: str | None = None,
    y_key: str | None = None,
    x_test_key: str | None = None,
    y_test_key: str | None = None,
    split_key: str | None = None,
    task: str | None = None,
) -> Source:
    """A NumPy archive with samples `x_key` (n, ...; null: x, or x_train) and labels `y_key` (n,; null: y, or y_train).

    Labels may be in a file of their own, `labels_path`; of a file of one array its name does not matter, and both may
    be single arrays (.npy). Labels are read by `read_labels`. An array `split_key` (null: "split" where there is one)
    says train, validation or test; arrays `x_test_key` and `y_test_key` (null: x_test and y_test beside x_train) are
    the test split. Pickled objects are refused: a data file cannot run code. `sha256` is that of the file at `path`;
    the checksum covers both.
    """
    file = find_file(path, root, "dataset.path")
    check_digest(sha256, file)
    labels_file = None if labels_path is None else find_file(labels_path, root, "dataset.labels_path")
    with _Arrays(file) as arrays:
        keys = array_keys(arrays.names, x_key, y_key, x_test_key, y_test_key)
        split_key = split_key or ("split" if "split" in arrays.names else None)
        parts = None if split_key is None else arrays.read(split_key, "split_key")
        test = None
        if keys.x_test is not None and keys.y_test is not None:
            x_test, y_test = arrays.read(keys.x_test, "x_test_key"), arrays.read(keys.y_test, "y_test_key")
            names = ArrayNames(str(file), keys.x_test, keys.y_test)
            test = array_source("npz", x_test, y_test, names, task=task, files=(file,))
        own_labels = labels_file is None and keys.y in arrays.names
        x_name = keys.x if own_labels else arrays.only(x_key, keys.x)
        x, y, no_labels, y_name = arrays.read(x_name, "x_key"), None, "", keys.y
        if labels_file is not None:
            with _Arrays(labels_file) as labels:
                y = labels.read(labels.only(y_key, keys.y), "y_key")
            y_name = f"labels of {labels_file}"
        elif own_labels:
            y = arrays.read(keys.y, "y_key")
        else:
            no_labels = arrays.absent(keys.y, "y_key")
        used = {x_name, keys.x_test, keys.y_test, split_key} | ({keys.y} if own_labels else set())
        unused = [name for name in arrays.names if name not in used]
    assigned = None if parts is None else parse_parts(parts, f"{file}: {split_key}")
    files = (file,) if labels_file is None else (file, labels_file)
    names = ArrayNames(str(file), x_name or "samples", y_name)
    source = array_source("npz", x, y, names, task=task, parts=assigned, files=files, no_labels=no_labels)
    if unused:
        note = f"arrays {listed(unused)}: not used (a test split is named by dataset.x_test_key and dataset.y_test_key)"
        source = source.told(notes=(*source.info.notes, note))
    return source if test is None else WithTestFile(source, test, "dataset.x_test_key", "dataset.x_key")


class _Arrays:
    """The arrays of an open .npz, or the one of a .npy, which is named ""."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __enter__(self) -> _Arrays:
        with self._damage():
            self._stream = self._file.open("rb")
            self._zip = None
            if self._stream.read(len(npy_format.MAGIC_PREFIX)) != npy_format.MAGIC_PREFIX:
                self._zip = zipfile.ZipFile(self._stream)
        self.names = [""] if self._zip is None else [name.removesuffix(".npy") for name in self._zip.namelist()]
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def only(self, given: str | None, usual: str) -> str:
        """The `given` name, else the `usual` one; of a file of one array that one's."""
        return self.names[0] if given is None and usual not in self.names and len(self.names) == 1 else given or usual

    def absent(self, key: str, option: str) -> str:
        """The words for an array that is not there."""
        if self.names == [""]:
            return (
                f"{self._file}: is one bare array; save both with numpy.savez(path, x=..., y=...), or give the file of "
                "the labels with dataset.labels_path"
            )
        return f"dataset.{option}: {self._file} has no array {shown(key)}; it has {listed(self.names) or 'none'}"

    def read(self, key: str, option: str) -> NDArray[Any]:
        if key not in self.names:
            raise InputError(self.absent(key, option))
        where = f"{self._file}: {key}" if key else str(self._file)
        with self._damage():
            if self._zip is None:
                return _read_array(self._stream, self._file.stat().st_size, where)
            member = self._zip.getinfo(key if key in self._zip.namelist() else f"{key}.npy")
            with self._zip.open(member) as stream:
                return _read_array(stream, member.file_size, where)

    @contextmanager
    def _damage(self) -> Iterator[None]:
        try:
            yield
        except _DAMAGE as error:
            reason = one_line(error) or type(error).__name__
            raise InputError(f"{self._file}: not a readable .npz file: {reason}; save it with numpy.savez") from error


def _read_array(stream: BinaryIO | Any, n_bytes: int, where: str) -> NDArray[Any]:
    """The array of an .npy file of `n_bytes`, whose header is looked at before anything is allocated."""
    stream.seek(0)
    version = npy_format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):  # 3 is for names of fields alone
        raise ValueError(f"{where} has a format of version {version[0]}.{version[1]}")
    read_header = npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
    shape, _, dtype = read_header(stream)
    if dtype.hasobject:
        raise InputError(f"{where}: it holds Python objects; save plain numbers")
    _check_length(shape, dtype, n_bytes - stream.tell(), where)
    stream.seek(0)
    return np.asarray(npy_format.read_array(stream, allow_pickle=False))


def _check_length(shape: Sequence[int], dtype: np.dtype[Any], n_bytes: int, where: str) -> None:
    declared = dtype.itemsize * math.prod(shape)
    if declared != n_bytes:
        said = f"{shown(tuple(shape))} of {dtype}, {shown(declared)} bytes"
        raise InputError(f"{where}: its header says {said}, but {n_bytes} follow")
    check_size(declared, where)
