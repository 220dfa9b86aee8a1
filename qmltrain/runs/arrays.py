"""Plain arrays in and out of files: parameters that a user gives, results that are written once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from qmltrain.errors import InputError
from qmltrain.runs.atomic import new_file, storage_errors, write_at
from qmltrain.runs.file_layout import FILE_NAME
from qmltrain.runs.views import open_run
from qmltrain.wording import one_line


def read_array(path: Path, name: str) -> np.ndarray:
    """The array `name` of an .npz or .h5, the array of an .npy, or the last stored parameters of a run.

    Raises InputError naming the file.
    """
    if path.is_dir() or path.name == FILE_NAME:
        values = open_run(path).table("parameters").get("values")
        if values is None or not len(values):
            raise InputError(f"{path}: this run has stored no parameters")
        return np.asarray(values[-1])
    if not path.exists():
        raise InputError(f"{path}: no such file; give .npy, .npz, .h5 or a run")
    try:
        if path.suffix == ".npy":
            return np.asarray(np.load(path, allow_pickle=False))
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                return np.asarray(file[name])
        if path.suffix in (".h5", ".hdf5"):
            import h5py

            with h5py.File(path, "r") as file:
                return np.asarray(file[name][()])
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise InputError(f"{path}: no array {name!r} could be read: {one_line(error)}") from error
    raise InputError(f"{path}: unknown kind of file; give .npy, .npz, .h5 or a run")


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray], attributes: Mapping[str, Any]) -> None:
    """A new HDF5 file, complete and on the disk, or not there at all. Texts are stored as UTF-8.

    HDF5 makes the file in memory, as everywhere in this package: the library never meets a full disk. Raises
    StorageError where the disk does not take it.
    """
    import h5py

    with h5py.File(path.name, "w", driver="core", backing_store=False) as file:
        for name, array in arrays.items():
            text = array.dtype == object
            file.create_dataset(name, data=array, dtype=h5py.string_dtype() if text else None)
        for name, value in attributes.items():
            if value is not None:
                file.attrs[name] = value
        file.flush()
        image = file.id.get_file_image()
    with storage_errors("write", path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with new_file(path) as descriptor:
            write_at(descriptor, image, 0)
