"""Opens a run file for reading, finished or not, and checks that it is one."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qmltrain.errors import InputError, StorageError
from qmltrain.runs.file_layout import FILE_NAME, UNFINISHED, VALID_ROWS, WALL_SECONDS, Table, make_tables
from qmltrain.runs.first_block import check_first_block
from qmltrain.runs.row_counter import RowCount, check_rows, decode_counter
from qmltrain.runs.status_file import read_status_file
from qmltrain.wording import one_line

if TYPE_CHECKING:
    import h5py


_READS, _PAUSE = 3, 0.01  # of a table whose writer is at work: its last row may just be written anew


@dataclass(frozen=True)
class RunHeader:
    """What a run file says of itself."""

    attributes: dict[str, Any]
    tables: dict[str, Table]
    offsets: dict[str, int]  # of every dataset with room for rows, in bytes
    index: dict[str, NDArray[np.int64]]  # the counted steps (epochs for the table of epochs) of each table
    counts: dict[str, RowCount]  # of every table in the counter, in its order
    arrays: dict[str, Any]  # small datasets that are no tables, by path: arrays, or lists of texts

    @property
    def has_checksums(self) -> bool:
        """Whether its rows have checksums: schema 2."""
        return int(self.attributes["schema_version"]) > 1

    @property
    def sealed(self) -> bool:
        """Whether the run is complete."""
        return bool(self.attributes["status"] != UNFINISHED)

    @property
    def has_wall_seconds(self) -> bool:
        """Whether its epochs have their wall time: a file that schema 1 laid out has no room for it."""
        return any(column.quantity == WALL_SECONDS for column in self.tables["epochs"].columns)


@contextmanager
def open_for_reading(path: Path) -> Iterator[h5py.File]:
    """The HDF5 file at ``path``, without HDF5's locks: a live run may be read, on any file system.

    Everything but the rows has been compared with its checksum then (schema 2). Raises InputError where there is no
    file, one that is no run file, or one of another schema version; StorageError where it is damaged.
    """

    if path.name == FILE_NAME and path.is_dir():
        raise StorageError(f"{path}: a directory in the place of the run file; restore it from a copy")
    if not path.is_file():
        raise InputError(f"{path}: no run file there; give a run's directory or its run.h5")
    version = check_first_block(path)
    if version == 0:
        problem = f"{path}: not a run file, or damaged in its first line"
        if path.name == FILE_NAME:  # in its place
            raise StorageError(f"{problem}; restore it from a copy")
        raise InputError(f"{problem}; give a run's directory or its {FILE_NAME}")
    with damage_named(path), opened(path) as file:
        if file.attrs.get("schema_version") != version or VALID_ROWS not in file:
            raise InputError(f"{path}: an HDF5 file, but not a run file (of schema {version})")
        yield file


def opened(path: Path) -> h5py.File:
    """Without locks, unless this process has the file open with them: HDF5 refuses to have it both ways."""
    import h5py

    try:
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        if "locking" not in str(error):
            raise
        return h5py.File(path, "r")


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Turns what HDF5 raises in the block for a damaged file into a StorageError: in schema 1 nothing says before."""
    try:
        yield
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:  # of Unicode and of JSON among them
        raise StorageError(f"{path}: damaged, cannot be read: {one_line(error)}; restore it from a copy") from error


def read_header(path: Path) -> RunHeader:
    """Reads the header; raises as `open_for_reading`."""
    with open_for_reading(path) as file:
        tables, counts = read_tables(file), read_counts(file)
        paths = [VALID_ROWS, *(column.path for table in tables.values() for column in table.columns)]
        datasets = {path: file[path] for path in paths}
        offsets = {path: dataset.id.get_offset() for path, dataset in datasets.items() if dataset.size}
        index = {name: datasets[table.columns[0].path][: counts[name].rows] for name, table in tables.items()}
        return RunHeader(read_attributes(file), tables, offsets, index, counts, _read_arrays(file, datasets))


def read_rows(path: Path, name: str) -> dict[str, NDArray[Any]]:
    """The rows of a table that count, by quantity, compared with their checksum; {} where the run has no such table.

    Raises as `open_for_reading`, and StorageError where the rows are not what was written.
    """
    for attempt in range(_READS):
        with open_for_reading(path) as file:
            table, count = read_tables(file).get(name), read_counts(file).get(name)
            if table is None or count is None:
                return {}
            quantities = [column.quantity for column in table.columns]
            columns = [file[column.path][: max(0, count.rows)] for column in table.columns]
            sealed = file.attrs["status"] != UNFINISHED
        try:
            check_rows(columns, count, f"{path}: {name}")
            break
        except StorageError:
            if sealed or attempt == _READS - 1:
                raise
        time.sleep(_PAUSE)
    return dict(zip(quantities, columns, strict=True))


def read_attributes(file: h5py.File) -> dict[str, Any]:
    """The root attributes as plain Python values."""
    return {name: _plain(value) for name, value in file.attrs.items()}


def read_tables(file: h5py.File) -> dict[str, Table]:
    """The tables of the file, by name."""
    names = ("metrics", "epoch_metrics", "n_layers", "n_parameters", "gradients")
    settings = (_plain(file.attrs[name]) for name in names)
    return make_tables(*settings, wall_seconds=f"epochs/{WALL_SECONDS}" in file)


def read_parameter_names(file: h5py.File) -> list[str]:
    """One name a parameter."""
    return list(_read_array(file["parameters/names"])) if "parameters/names" in file else []


def read_data(file: h5py.File) -> dict[str, Any]:
    """The datasets of the group ``data``, by name: arrays, or lists of texts; none where a run has none."""
    return {name: _read_array(dataset) for name, dataset in file.get("data", {}).items()}


def read_counts(file: h5py.File) -> dict[str, RowCount]:
    """What the counter says of each table, in its order; also of tables that only a later program knows."""
    counter = file[VALID_ROWS]
    return decode_counter(counter[()], [str(name) for name in counter.attrs["tables"]])


def _read_arrays(file: h5py.File, tables: Mapping[str, h5py.Dataset]) -> dict[str, Any]:
    """The datasets that are neither columns of ``tables`` nor scales of their second dimension."""
    import h5py

    found: dict[str, Any] = {}

    def visit(path: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and path not in tables and not item.is_scale:
            found[path] = _read_array(item)

    file.visititems(visit)
    return found


def _read_array(dataset: h5py.Dataset) -> Any:
    """Texts as a list, anything else as an array."""
    return dataset.asstr()[()].tolist() if dataset.dtype.kind == "O" else dataset[()]


def run_status(path: str | os.PathLike[str]) -> str | None:
    """The status of the run at ``path`` (its directory or its run file): ``completed``; ``running`` (also what a killed
    run left behind), ``interrupted`` or whatever else the last session ended with; None where there is no run."""
    path = Path(path)
    path = path / FILE_NAME if path.is_dir() else path
    if not path.exists():
        return None
    with open_for_reading(path) as file:
        status = str(file.attrs["status"])
    return status if status != UNFINISHED else str(read_status_file(path.parent).get("status", "running"))


def _plain(value: Any) -> Any:
    """Attribute values as plain Python values."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    return value.item() if isinstance(value, np.generic) else value
