"""HDF5 files larger than memory: labels are loaded, samples are read by row when they are needed."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmltrain.data.checks import ArrayNames, check_arrays, check_finite, check_rows
from qmltrain.data.column_notes import column_notes
from qmltrain.data.files import check_digest, digest, find_file
from qmltrain.data.gzip_cache import unpacked
from qmltrain.data.protocol import FloatArray, LabelArray
from qmltrain.data.splits import parse_parts
from qmltrain.errors import InputError

MAX_NOTED_BYTES = 16 * 2**20  # of samples that are read at once to look for columns that are no features


class HDF5Source:
    """Samples in a dataset of an open file; a `Source`. Any number of threads may read (h5py takes turns)."""

    def __init__(self, file: Path, x_key: str, y_key: str, task: str | None, split_key: str | None = None) -> None:
        import h5py

        try:
            # "best-effort": data is often on a read-only or network file system without locks.
            self._file = h5py.File(unpacked(file), "r", locking="best-effort")
        except OSError as error:
            raise InputError(f"{file}: not a readable HDF5 file: {error}") from error
        self.path = file
        self._samples = self._dataset(x_key, "x_key")  # not read here
        self._where = f"{file}: {x_key}"
        no_labels = "" if y_key in self._file else self._absent(y_key, "y_key")
        labels = None if no_labels else self._values(y_key, "y_key")
        split_key = split_key or ("split" if "split" in self._file else None)
        parts = None
        if split_key is not None:
            parts = parse_parts(self._values(split_key, "split_key"), f"{file}: {split_key}")
        names = ArrayNames(str(file), x_key, y_key, split_key or "split")
        info, self._labels = check_arrays(
            "hdf5", self._samples, labels, names, task=task, parts=parts, no_labels=no_labels
        )
        self.info = replace(info, in_memory=False)
        self.info = replace(self.info, notes=info.notes + self._column_notes())

    def _values(self, key: str, option: str) -> NDArray[Any]:
        """A whole small dataset."""
        try:
            return np.asarray(self._dataset(key, option)[()])
        except OSError as error:
            raise InputError(f"{self.path}: {key}: cannot be read: {error}") from error

    def _dataset(self, key: str, option: str) -> Any:
        import h5py

        found = self._file.get(key)
        if not isinstance(found, h5py.Dataset):
            raise InputError(self._absent(key, option))
        if found.shape is None:
            raise InputError(f"{self.path}: {key}: is empty; it has no shape")
        return found

    def _absent(self, key: str, option: str) -> str:
        import h5py

        names: list[str] = []
        self._file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        return f"dataset.{option}: {self.path} has no dataset {key!r}; it has {', '.join(names) or 'none'}"

    def _column_notes(self) -> tuple[str, ...]:
        """Of few samples; larger ones would be read twice."""
        shape = (self.info.n_samples, *self.info.sample_shape)
        if len(shape) != 2 or 8 * shape[0] * shape[1] > MAX_NOTED_BYTES:
            return ()
        try:
            return column_notes(self.read(np.arange(shape[0])))
        except InputError:  # NaN, or damage: it is told when the row is read
            return ()

    @cached_property
    def checksum(self) -> str:
        return digest([self.path])  # reads the whole file once: about a second a GiB

    def labels(self) -> LabelArray:
        return self._labels

    def read(self, rows: NDArray[Any]) -> FloatArray:
        rows = check_rows(rows, self.info.n_samples)
        wanted, position = np.unique(rows, return_inverse=True)
        samples = np.empty((len(wanted), *self.info.sample_shape))
        for first, last in _slabs(wanted, self._samples.chunks[0] if self._samples.chunks else 1):
            start, stop = int(wanted[first]), int(wanted[last]) + 1
            try:
                slab = self._samples[start:stop]
            except OSError as error:
                raise InputError(f"{self._where}: rows {start} to {stop - 1} cannot be read: {error}") from error
            samples[first : last + 1] = slab[wanted[first : last + 1] - start]
        check_finite(samples, wanted, self._where)
        return samples if np.array_equal(rows, wanted) else samples[position]


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
    x_key: str = "x",
    y_key: str = "y",
    split_key: str | None = None,
    task: str | None = None,
) -> HDF5Source:
    """An HDF5 file of any size with samples `x_key` (n, ...) and labels `y_key` (n,); names may be paths ("train/x").

    Integer labels are classes 0, 1, ..., texts are names of classes, float labels are targets of a regression; `task`
    says otherwise. A dataset `split_key` (null: "split" where there is one) says train, validation or test. A gzipped
    file is unpacked once (`unpacked`). Samples are read in the order of the file; NaN and infinity are found when their
    row is read.
    """
    file = find_file(path, root, "dataset.path")
    check_digest(sha256, file)
    return HDF5Source(file, x_key, y_key, task, split_key)
