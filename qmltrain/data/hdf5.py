"""HDF5 files larger than memory: labels are loaded, samples are read by row when they are needed."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qmltrain.data.array_keys import array_keys
from qmltrain.data.checks import ArrayNames, check_arrays, check_finite, check_rows
from qmltrain.data.column_notes import column_notes
from qmltrain.data.files import check_digest, digest, find_file
from qmltrain.data.gzip_cache import unpacked
from qmltrain.data.hdf5_files import files_behind, open_hdf5, reading
from qmltrain.data.protocol import FloatArray, LabelArray, Source
from qmltrain.data.separate_test_file import WithTestFile
from qmltrain.data.sizes import check_size
from qmltrain.data.splits import parse_parts
from qmltrain.errors import InputError
from qmltrain.wording import listed, shown

_NETCDF = (
    "scale_factor",
    "add_offset",
    "_FillValue",
    "missing_value",
)  # attributes of what is stored otherwise than meant
MAX_NOTED_BYTES = 16 * 2**20  # of samples that are read at once to look for columns that are no features


class Layout(NamedTuple):
    """Of samples that are not read."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


class HDF5Source:
    """Samples in a dataset of an open file; a `Source`. Any number of threads may read (h5py takes turns)."""

    def __init__(
        self, file: Path, x_key: str, y_key: str, task: str | None, split_key: str | None, of: str = ""
    ) -> None:
        self.path = file
        self._where = f"{file}: {x_key}"
        with reading(f"{file}:", "not a readable HDF5 file"):
            self._file = open_hdf5(unpacked(file))
        try:
            self._look(x_key, y_key, task, split_key, of)
        except InputError:
            self._file.close()
            raise

    def _look(self, x_key: str, y_key: str, task: str | None, split_key: str | None, of: str) -> None:
        """Everything but the samples; `of` is "test_" for the options of a test set."""
        file = self.path
        self._samples = self._dataset(x_key, f"x_{of}key")  # not read here
        self._no_values, unscaled = _netcdf(self._samples, self._where)
        with reading(f"{self._where}:"):
            shape, kind, chunk = self._samples.shape, self._samples.dtype, self._samples.chunks
        check_size(
            8 * max(math.prod(shape[1:]), math.prod(chunk or ())),
            f"{self._where}: one sample, or one chunk",
            "take smaller samples or chunks",
        )
        with reading(f"{file}:"):
            no_labels = "" if y_key in self._file else self._absent(y_key, f"y_{of}key")
        labels = None if no_labels else self._values(y_key, f"y_{of}key")
        parts = None
        if split_key is not None:
            parts = parse_parts(self._values(split_key, "split_key"), f"{file}: {split_key}")
        names = ArrayNames(str(file), x_key, y_key, split_key or "split")
        info, self._labels = check_arrays(
            "hdf5", Layout(shape, kind), labels, names, task=task, parts=parts, no_labels=no_labels
        )
        if labels is not None:
            no_labels_for, also = _netcdf(self._dataset(y_key, f"y_{of}key"), f"{file}: {y_key}")
            _check_values(labels, np.arange(len(labels)), no_labels_for, f"{file}: {y_key}")
            unscaled += also
        used = (x_key, *([] if no_labels else [y_key]), *([] if split_key is None else [split_key]))
        with reading(f"{file}:"):
            others = files_behind(self._file, used)
        self.files = (file, *others)
        self.info = replace(info, in_memory=False)
        self.info = replace(self.info, notes=info.notes + unscaled + self._column_notes())

    def _values(self, key: str, option: str) -> NDArray[Any]:
        """A whole small dataset."""
        dataset = self._dataset(key, option)
        with reading(f"{self.path}: {key}:"):
            check_size(dataset.nbytes, f"{self.path}: {key}", "take fewer samples")
            return np.asarray(dataset[()])

    def _dataset(self, key: str, option: str) -> Any:
        import h5py

        with reading(f"{self.path}: {key}:"):
            found = self._file.get(key)
            if found is None:
                files_behind(self._file, (key,))  # says where a link ends
        if not isinstance(found, h5py.Dataset):
            raise InputError(self._absent(key, option))
        if found.shape is None:
            raise InputError(f"{self.path}: {key}: is empty; it has no shape")
        return found

    def _absent(self, key: str, option: str) -> str:
        import h5py

        names: list[str] = []
        with reading(f"{self.path}:"):
            self._file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        return f"dataset.{option}: {self.path} has no dataset {shown(key)}; it has {listed(names) or 'none'}"

    def _column_notes(self) -> tuple[str, ...]:
        """Of few samples; larger ones would be read twice."""
        shape = (self.info.n_samples, *self.info.sample_shape)
        if len(shape) != 2 or 8 * shape[0] * shape[1] > MAX_NOTED_BYTES:
            return ()
        try:
            return column_notes(self.read(np.arange(shape[0])), self._labels)
        except InputError:  # NaN, or damage: it is told when the row is read
            return ()

    @cached_property
    def checksum(self) -> str:
        return digest(self.files)  # reads them whole once: about a second a GiB

    def labels(self) -> LabelArray:
        return self._labels

    def read(self, rows: NDArray[Any]) -> FloatArray:
        rows = check_rows(rows, self.info.n_samples)
        wanted, position = np.unique(rows, return_inverse=True)
        samples = np.empty((len(wanted), *self.info.sample_shape))
        for first, last in _slabs(wanted, self._samples.chunks[0] if self._samples.chunks else 1):
            start, stop = int(wanted[first]), int(wanted[last]) + 1
            with reading(f"{self._where}: rows {start} to {stop - 1}"):
                slab = self._samples[start:stop]
            samples[first : last + 1] = slab[wanted[first : last + 1] - start]
        check_finite(samples, wanted, self._where)
        _check_values(samples, wanted, self._no_values, self._where)
        return samples if np.array_equal(rows, wanted) else samples[position]


def _netcdf(dataset: Any, where: str) -> tuple[FloatArray, tuple[str, ...]]:
    """By the attributes of netCDF: numbers that stand for a missing value, and a note on a scale (not applied)."""
    with reading(f"{where}: attributes"):
        attributes = {name: np.ravel(dataset.attrs[name]) for name in _NETCDF if name in dataset.attrs}
        scaling = [name for name in ("scale_factor", "add_offset") if name in attributes]
        missing = [attributes[name] for name in ("_FillValue", "missing_value") if name in attributes]
        kept = [np.asarray(v, dataset.dtype if dataset.dtype.kind == "f" else v.dtype) for v in missing]
        numbers = [np.asarray(values, np.float64) for values in kept if values.dtype.kind in "iuf"]
    note = f"WARNING: {where}: its {' and '.join(scaling)} are not applied; numbers are taken as they are stored"
    return np.concatenate([np.empty(0), *numbers]), (note,) if scaling else ()


def _check_values(values: NDArray[Any], rows: NDArray[Any], no_values: FloatArray, where: str) -> None:
    """`rows` are those of `values` in the file."""
    if not len(no_values) or values.dtype.kind not in "iuf":
        return
    missing = np.isin(values, no_values).reshape(len(rows), -1).any(axis=1)
    if missing.any():
        raise InputError(
            f"{where}: row {rows[np.argmax(missing)]} holds a number that stands for a missing value "
            f"({listed([f'{value:g}' for value in no_values])}: _FillValue or missing_value); remove that row, or the "
            "attribute where it is a value"
        )


def _slabs(wanted: NDArray[np.int64], chunk_rows: int) -> list[tuple[int, int]]:
    """First and last position in `wanted` (increasing) of each read: neighbours, or rows of one stored chunk.

    One read a chunk, since a compressed chunk is unpacked whole, whether one row of it is wanted or all.
    """
    if not len(wanted):
        return []
    apart = (np.diff(wanted) > 1) & (np.diff(wanted // chunk_rows) > 0)
    starts = np.concatenate(([0], np.flatnonzero(apart) + 1))
    return list(zip(starts.tolist(), [*(starts[1:] - 1).tolist(), len(wanted) - 1], strict=True))


def hdf5(
    *,
    path: str,
    root: str | None = None,
    sha256: str | None = None,
    x_key: str | None = None,
    y_key: str | None = None,
    x_test_key: str | None = None,
    y_test_key: str | None = None,
    split_key: str | None = None,
    task: str | None = None,
) -> Source:
    """An HDF5 file of any size with samples `x_key` (n, ...; null: x, or x_train) and labels `y_key` (n,; null: y, or
    y_train); names may be paths ("train/x").

    Labels are read by `read_labels`. A dataset `split_key` (null: "split" where there is one) says train, validation or
    test; datasets `x_test_key` and `y_test_key` (null: x_test and y_test beside x_train) are the test split. A gzipped
    file is unpacked once (`unpacked`). Samples are read in the order of the file; NaN and infinity are found when their
    row is read. Where the data is in other files as well (external links, virtual datasets), they are all in the
    checksum, and one that is missing is refused.
    """
    file = find_file(path, root, "dataset.path")
    with reading(f"{file}:", "not a readable HDF5 file"), open_hdf5(unpacked(file)) as names:
        keys = array_keys(names, x_key, y_key, x_test_key, y_test_key)
        split_key = split_key or ("split" if "split" in names else None)
    source = HDF5Source(file, keys.x, keys.y, task, split_key, of="")
    if keys.x_test is None or keys.y_test is None:
        check_digest(sha256, *source.files)
        return source
    test = HDF5Source(file, keys.x_test, keys.y_test, task, None, of="test_")
    if test.info.no_labels:
        raise InputError(test.info.no_labels)
    check_digest(sha256, *dict.fromkeys(source.files + test.files))
    return WithTestFile(source, test, "dataset.x_test_key", "dataset.x_key")
