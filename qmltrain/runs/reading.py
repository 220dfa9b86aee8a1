"""Opens a run file for reading, finished or not, and checks that it is one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qmltrain.errors import InputError, StorageError
from qmltrain.runs.file_layout import FILE_NAME, SCHEMA_VERSION, TABLES, UNFINISHED, VALID_ROWS, Table, make_tables
from qmltrain.runs.status_file import read_status_file

if TYPE_CHECKING:
    import h5py


@dataclass(frozen=True)
class RunHeader:
    """What a run file says of itself."""

    attributes: dict[str, Any]
    tables: dict[str, Table]
    offsets: dict[str, int]  # of every dataset with room for rows, in bytes
    index: dict[str, NDArray[np.int64]]  # the valid steps (epochs for the table of epochs) of each table
    parameter_names: list[str]

    @property
    def sealed(self) -> bool:
        """Whether the run is complete."""
        return bool(self.attributes["status"] != UNFINISHED)

    def row_values(self, table: str, metrics: Mapping[str, float]) -> list[float]:
        """The metrics of one row in the order of the table's columns; ValueError for others than it has."""
        names = [column.quantity for column in self.tables[table].columns if column.metric]
        if metrics.keys() != set(names):
            raise ValueError(f"{table}: found {sorted(metrics)}, the run was laid out for {sorted(names)}")
        return [float(metrics[name]) for name in names]

    def row_array(self, table: str, array: ArrayLike | None) -> NDArray[np.float64]:
        """The array of one row as it is stored; ValueError for another shape or none."""
        width = self.tables[table].columns[1].width
        if array is None:
            raise ValueError(f"{table}: the run's settings ask for them, but they were not given")
        values = np.ascontiguousarray(array, "<f8")
        if values.shape != (width,):
            raise ValueError(f"{table}: found shape {values.shape}, the run was laid out for ({width},)")
        return values


@contextmanager
def open_for_reading(path: Path) -> Iterator[h5py.File]:
    """The HDF5 file at ``path``, without HDF5's locks: a live run may be read, on any file system.

    Raises InputError where there is no file, one that is no run file, or one of another schema version; StorageError
    where it is damaged.
    """
    import h5py

    if not path.is_file():
        raise InputError(f"{path}: no run file there; give a run's directory or its run.h5")
    try:
        file = h5py.File(path, "r", locking=False)
    except OSError as error:
        raise StorageError(f"{path}: cannot be read as HDF5: {error}") from error
    with file:
        version = file.attrs.get("schema_version")
        if version is None or VALID_ROWS not in file:
            raise InputError(f"{path}: an HDF5 file, but not a run file")
        if version != SCHEMA_VERSION:
            raise InputError(
                f"{path}: schema version {version}; this program reads {SCHEMA_VERSION}: use the version that wrote it"
                f" ({file.attrs.get('qmltrain_version', 'unknown')})"
            )
        yield file


def read_header(path: Path) -> RunHeader:
    """Reads the header; raises as `open_for_reading`."""
    with open_for_reading(path) as file:
        tables, valid = read_tables(file), read_valid_rows(file)
        paths = [VALID_ROWS, *(column.path for table in tables.values() for column in table.columns)]
        datasets = {path: file[path] for path in paths}
        offsets = {path: dataset.id.get_offset() for path, dataset in datasets.items() if dataset.size}
        index = {name: datasets[table.columns[0].path][: valid[name]] for name, table in tables.items()}
        return RunHeader(read_attributes(file), tables, offsets, index, read_parameter_names(file))


def read_attributes(file: h5py.File) -> dict[str, Any]:
    """The root attributes as plain Python values."""
    return {name: _plain(value) for name, value in file.attrs.items()}


def read_tables(file: h5py.File) -> dict[str, Table]:
    """The tables of the file, by name."""
    names = ("metrics", "epoch_metrics", "n_layers", "n_parameters", "gradients")
    return make_tables(*(_plain(file.attrs[name]) for name in names))


def read_parameter_names(file: h5py.File) -> list[str]:
    """One name a parameter."""
    return file["parameters/names"].asstr()[()].tolist() if "parameters/names" in file else []


def read_valid_rows(file: h5py.File) -> dict[str, int]:
    """The number of rows of each table that have been written in full."""
    return dict(zip(TABLES, file[VALID_ROWS][()].tolist(), strict=True))


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
