"""The kernel file: a Gram matrix in HDF5 that survives its writer.

As a run file (`qmltrain.runs.file_layout`), it is laid out once at its full size, in memory, and written whole; then
tiles are plain writes at known offsets, each followed by its record, which says that it is there and has its CRC-32. A
kill leaves tiles without a record; they are computed again, to the same bits. The layout for users is in
docs/quantum-kernels.md.
"""

from __future__ import annotations

import os
import warnings
import zlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmltrain.errors import InputError, StorageError
from qmltrain.quantum_kernels.tiles import SplitName, Tile
from qmltrain.runs.atomic import new_file, read_at, storage_error, storage_errors, write_at, write_pieces
from qmltrain.runs.file_layout import allocated, attribute_value, write_image
from qmltrain.runs.first_block import FIRST_BLOCK_BYTES, FileKind, check_first_block
from qmltrain.runs.reading import damage_named, opened
from qmltrain.runs.scan_files import KERNEL_NAME
from qmltrain.runs.sparse_memory import SparseMemory

FILE_NAME = KERNEL_NAME
SCHEMA_VERSION = 1
KERNEL_FILE = FileKind(b"qmltrain-kernel", SCHEMA_VERSION, str(SCHEMA_VERSION))
RECORDS, PREDICTIONS = "tiles", "test_predictions"
RECORD_BYTES = 8  # of a tile: 1, and the CRC-32 of its values


@dataclass(frozen=True)
class Layout:
    """Sizes of a matrix: training rows, test rows, tiles; `dtype` of its values."""

    n_train: int
    n_test: int
    n_tiles: int
    dtype: np.dtype[Any]

    def rooms(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """What is written later: shape and type of each dataset."""
        values = self.dtype.newbyteorder("<").str
        return {
            RECORDS: ((self.n_tiles, 2), "<u4"),
            "train": ((self.n_train, self.n_train), values),
            "test": ((self.n_test, self.n_train), values),
            PREDICTIONS: ((self.n_test,), "<f8"),
        }


def create(path: Path, layout: Layout, attributes: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    """A kernel file without tiles; its space is reserved. `arrays`: small datasets that stay as they are, attributes
    that are None are left out. Raises StorageError where there is no space."""
    import h5py

    image, texts = SparseMemory(), h5py.string_dtype()
    aligned = {"alignment_threshold": RECORD_BYTES, "alignment_interval": 64}
    changing: list[tuple[int, int]] = []
    with h5py.File(image, "w", libver=("v108", "v110"), userblock_size=FIRST_BLOCK_BYTES, **aligned) as file:
        for name, value in {"schema_version": SCHEMA_VERSION, **attributes}.items():
            if value is not None:
                file.attrs[name] = attribute_value(value)
        for name, array in arrays.items():
            text = np.asarray(array).dtype.kind in "UO"
            file.create_dataset(name, data=np.asarray(array, object) if text else array, dtype=texts if text else None)
        for name, (shape, dtype) in layout.rooms().items():
            dataset = file.create_dataset(name, shape, dtype, dcpl=allocated())
            if name == PREDICTIONS:
                dataset[...] = np.nan  # until there are some
            if dataset.size:
                changing.append((dataset.id.get_offset(), dataset.nbytes))
    with storage_errors("write", path), new_file(path) as descriptor:
        write_image(descriptor, image, changing, str(attributes.get("qmltrain_version", "")), KERNEL_FILE)


@dataclass(frozen=True)
class KernelHeader:
    """What a kernel file says of itself: `offsets` in bytes of what is written later; `records` of the tiles."""

    attributes: dict[str, Any]
    layout: Layout
    offsets: dict[str, int]
    records: NDArray[np.uint32]


def read_header(path: Path) -> KernelHeader:
    """Raises InputError where `path` is no kernel file, or one of a version that is not read; StorageError where it is
    damaged."""
    if not path.is_file():
        raise InputError(f"{path}: no kernel file there")
    if check_first_block(path, KERNEL_FILE) != SCHEMA_VERSION:
        raise StorageError(
            f"{path}: not a kernel file, or damaged in its first line; remove it, or choose another run.dir"
        )
    with damage_named(path), opened(path) as file:
        n_test, n_train = file["test"].shape
        layout = Layout(n_train, n_test, len(file[RECORDS]), file["train"].dtype)
        offsets = {name: file[name].id.get_offset() for name in layout.rooms() if file[name].size}
        attributes = {name: _plain(value) for name, value in file.attrs.items()}
        return KernelHeader(attributes, layout, offsets, file[RECORDS][()])


def read_arrays(path: Path, names: Iterable[str]) -> dict[str, NDArray[Any]]:
    """Datasets of a kernel file, whole. Raises as `read_header`."""
    with damage_named(path), opened(path) as file:
        return {name: file[name][()] for name in names}


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, (np.generic, np.ndarray)) else value


class KernelFile:
    """The tiles of the kernel file at `path`; one process at a time, which holds its lock. `write` may be called by
    several threads, for different tiles."""

    def __init__(self, path: Path, tiles: Sequence[Tile]) -> None:
        """Tiles whose values are not those of their record (a power cut, a damaged disk) count as missing."""
        self.path, self.tiles = path, tiles
        self.header = read_header(path)
        self.layout = self.header.layout
        self._descriptor = -1
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            self.missing = [tile for tile in tiles if not self._is_there(tile)]
        except OSError as error:
            self.close()
            raise storage_error("open", path, error) from error
        damaged = sum(1 for tile in self.missing if self.header.records[tile.number, 0])
        if damaged:
            warnings.warn(
                f"{path}: {damaged} of {len(tiles)} tiles are damaged (their checksums are not those written with "
                "them); they are computed again",
                stacklevel=2,
            )

    def write(self, tile: Tile, values: NDArray[Any]) -> None:
        """The values (rows, columns) of a tile, its transpose where that is part of the matrix, then its record.
        Raises StorageError."""
        try:
            self._write_values(tile.split, tile.rows, tile.columns, values)
            if tile.mirrored:
                self._write_values(tile.split, tile.columns, tile.rows, np.ascontiguousarray(values.T))
            record = np.array([1, zlib.crc32(values.data)], "<u4")
            write_at(self._descriptor, record.data, self.header.offsets[RECORDS] + RECORD_BYTES * tile.number)
        except OSError as error:
            raise storage_error("write", self.path, error) from error

    def write_predictions(self, values: NDArray[np.float64]) -> None:
        """Of the test rows. Raises StorageError."""
        if not len(values):
            return
        with storage_errors("write", self.path):
            data = np.ascontiguousarray(values, "<f8")
            write_at(self._descriptor, data.data, self.header.offsets[PREDICTIONS])

    def sync(self) -> None:
        with storage_errors("write", self.path):
            os.fsync(self._descriptor)

    def close(self) -> None:
        """At any time, and more than once."""
        if self._descriptor >= 0:
            with suppress(OSError):  # what a close could still report, `sync` has reported
                os.close(self._descriptor)
        self._descriptor = -1

    def _offset(self, split: SplitName, row: int, column: int) -> int:
        return self.header.offsets[split] + self.layout.dtype.itemsize * (row * self.layout.n_train + column)

    def _write_values(self, split: SplitName, rows: slice, columns: slice, values: NDArray[Any]) -> None:
        if columns == slice(0, self.layout.n_train):
            write_at(self._descriptor, values.data, self._offset(split, rows.start, 0))
            return
        places = (self._offset(split, row, columns.start) for row in range(rows.start, rows.stop))
        write_pieces(self._descriptor, ((row.data, place) for row, place in zip(values, places, strict=True)))

    def _is_there(self, tile: Tile) -> bool:
        written, checksum = self.header.records[tile.number]
        if not written:
            return False
        values = self._read_values(tile.split, tile.rows, tile.columns)
        if zlib.crc32(values.data) != checksum:
            return False
        if not tile.mirrored:
            return True
        return bool(np.array_equal(self._read_values(tile.split, tile.columns, tile.rows), values.T))

    def _read_values(self, split: SplitName, rows: slice, columns: slice) -> NDArray[Any]:
        length = self.layout.dtype.itemsize * (columns.stop - columns.start)
        places = [self._offset(split, row, columns.start) for row in range(rows.start, rows.stop)]
        data = b"".join(read_at(self._descriptor, length, place) for place in places)
        return np.frombuffer(data, self.layout.dtype).reshape(len(places), -1)
