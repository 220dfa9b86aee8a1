"""Where everything lies in a run file.

HDF5 keeps no journal: a process killed while the library extends a dataset leaves a file that may not open, and a disk
that fills up under the library can crash the interpreter at its exit. So HDF5 only *lays out* a run file, once, in
memory: every dataset contiguous and allocated at its full size. The program then writes that image to the disk, and
from then on rows are plain writes at known offsets (`store.py`); no metadata ever changes in a file that is in use, so
that the file's first block can hold its checksum (`first_block.py`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qmltrain.runs.atomic import reserve, write_at
from qmltrain.runs.first_block import FIRST_BLOCK_BYTES, RUN_FILE, FileKind, encode_first_block
from qmltrain.runs.sparse_memory import SparseMemory

SCHEMA_VERSION = 2
FILE_NAME = "run.h5"
UNFINISHED = "unfinished"  # the status attribute of every file that is not sealed, whatever its process is doing
VALID_ROWS = "valid_rows"  # dataset with the number of rows of each table that count, and their checksums
TABLES = ("metrics", "epochs", "layer_norms", "gradients", "parameters")  # the order in valid_rows
SECTOR = 512  # bytes that page caches and disks write whole or not at all
WALL_SECONDS = "wall_seconds"  # column of the epochs


@dataclass(frozen=True)
class Column:
    """One dataset of a table: (rows,) where ``width`` is None, else (rows, width)."""

    path: str
    dtype: str
    width: int | None = None
    second: str = ""  # name of the second dimension; an index of that name lies beside the dataset
    long_name: str = ""  # of a metric its own name, of an array what it is
    metric: bool = False

    @property
    def quantity(self) -> str:
        """The name by which a table knows the column: a metric's own, else the dataset's."""
        return self.long_name if self.metric else self.path.rsplit("/", 1)[1]

    @property
    def row_bytes(self) -> int:
        return np.dtype(self.dtype).itemsize * (1 if self.width is None else self.width)


@dataclass(frozen=True)
class Table:
    """Datasets with one row each time; the first column is their common dimension scale (step or epoch), increasing."""

    name: str
    columns: tuple[Column, ...]


def dataset_name(quantity: str) -> str:
    """The name of a quantity's dataset: HDF5 has no slash in names, so ``val/loss`` is stored as ``val_loss``.

    The quantity's own name stays with the dataset, as attribute ``long_name``.
    """
    return quantity.replace("/", "_")


def make_tables(
    metrics: Sequence[str],
    epoch_metrics: Sequence[str],
    n_layers: int,
    n_parameters: int,
    gradients: str,
    *,
    wall_seconds: bool = True,
) -> dict[str, Table]:
    """The tables of a run, by name; ``layer_norms`` and ``gradients`` only where they are asked for.

    Runs that schema 1 laid out have no ``wall_seconds``.
    """
    wall = (Column(f"epochs/{WALL_SECONDS}", "<f8", long_name="wall time of the epoch in seconds"),)

    def quantities(group: str, names: Sequence[str], reserved: tuple[str, ...]) -> tuple[Column, ...]:
        taken = [*reserved, *map(dataset_name, names)]
        if len(set(taken)) != len(taken) or not all(names):
            raise ValueError(f"names of {group} must be distinct, not empty and not one of {reserved}: {list(names)}")
        return tuple(Column(f"{group}/{dataset_name(name)}", "<f8", long_name=name, metric=True) for name in names)

    tables = [
        Table("metrics", (Column("metrics/step", "<i8"), *quantities("metrics", metrics, ("step",)))),
        Table(
            "epochs",
            (
                Column("epochs/epoch", "<i8"),
                Column("epochs/step", "<i8"),
                *(wall if wall_seconds else ()),
                *quantities("epochs", epoch_metrics, ("epoch", "step", WALL_SECONDS)),
            ),
        ),
    ]
    if gradients != "none" and n_layers:
        tables.append(
            Table(
                "layer_norms",
                (
                    Column("gradients/layer_norms_step", "<i8"),
                    Column("gradients/layer_norms", "<f8", n_layers, "layer", "L2 norm of the loss gradient, a layer"),
                ),
            )
        )
    if gradients == "full":
        values = Column("gradients/values", "<f8", n_parameters, "parameter", "gradient of the loss")
        tables.append(Table("gradients", (Column("gradients/step", "<i8"), values)))
    tables.append(
        Table(
            "parameters",
            (Column("parameters/step", "<i8"), Column("parameters/values", "<f8", n_parameters, "parameter")),
        )
    )
    return {table.name: table for table in tables}


def attribute_value(value: Any) -> Any:
    """What HDF5 stores for a value: text, numbers and lists of one kind as they are, anything else as JSON text."""
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    if isinstance(value, str):
        return _utf8(value)
    if isinstance(value, (bool, float)) or _is_integer(value):
        return value
    if isinstance(value, (list, tuple)):
        if all(isinstance(item, str) for item in value):  # also the empty list
            import h5py

            return np.array([_utf8(item) for item in value], dtype=h5py.string_dtype())
        if all(isinstance(item, (bool, float)) or _is_integer(item) for item in value):
            return np.array(value)
    return json.dumps(value, sort_keys=True)


def _utf8(text: str) -> str:
    """Text that UTF-8 can hold: an argument or path of other bytes is shown by its escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def _is_integer(value: Any) -> bool:
    """Whether it is an integer of 64 bits; larger ones (states of generators) are stored as text."""
    return isinstance(value, int) and -(2**63) <= value < 2**63


def check_attributes(attributes: Mapping[str, Any]) -> None:
    """Raises TypeError or ValueError where HDF5 cannot store one of the values."""
    import h5py

    with h5py.File(SparseMemory(), "w", libver=("v108", "v110")) as file:
        for name, value in attributes.items():
            try:
                file.attrs[name] = attribute_value(value)
            except Exception as error:
                raise TypeError(f"attribute {name!r} cannot be stored: {error}") from error


def lay_out(
    descriptor: int,
    tables: Mapping[str, Table],
    rows: Mapping[str, int],
    attributes: Mapping[str, Any],
    arrays: Mapping[str, Any],
) -> dict[str, int]:
    """Writes an HDF5 file with room for ``rows[table]`` rows of every table into ``descriptor``; reserves its space.

    ``arrays`` are small datasets stored as they are (path -> array, or list of texts); an attribute that is None is
    left out. Returns the offset in bytes of every dataset with room (path -> offset), ``valid_rows`` among them: its
    value is 0, no row counts. Raises OSError where the space is not there.
    """
    import h5py

    image = SparseMemory()
    aligned = {"alignment_threshold": 16 * len(TABLES), "alignment_interval": SECTOR // 2}
    with h5py.File(image, "w", libver=("v108", "v110"), userblock_size=FIRST_BLOCK_BYTES, **aligned) as file:
        counter = file.create_dataset(VALID_ROWS, (2 * len(TABLES),), "<i8", dcpl=allocated())
        counter.attrs["tables"] = np.array(TABLES, dtype=h5py.string_dtype())
        datasets = {VALID_ROWS: counter}
        for name, value in attributes.items():
            if value is not None:
                file.attrs[name] = attribute_value(value)
        for path, array in arrays.items():
            texts = np.asarray(array).dtype.kind in "UO" or not np.size(array)
            data = np.asarray(array, object) if texts else array  # h5py takes texts as objects
            file.create_dataset(path, data=data, dtype=h5py.string_dtype() if texts else None)
        for table in tables.values():
            scale = None
            for column in table.columns:
                shape = (rows[table.name],) if column.width is None else (rows[table.name], column.width)
                dataset = file.create_dataset(column.path, shape, column.dtype, dcpl=allocated())
                if column.long_name:
                    dataset.attrs["long_name"] = column.long_name
                if scale is None:
                    scale = dataset
                    scale.make_scale(column.quantity)
                else:
                    dataset.dims[0].attach_scale(scale)
                if column.width is not None:  # NetCDF readers want a scale for every dimension
                    index = dataset.parent.create_dataset(column.second, data=np.arange(column.width))
                    index.make_scale(column.second)
                    dataset.dims[1].attach_scale(index)
                datasets[column.path] = dataset
        extents = {path: (item.id.get_offset(), item.nbytes) for path, item in datasets.items() if item.size}
    begin, length = extents[VALID_ROWS]
    if begin // SECTOR != (begin + length - 1) // SECTOR:
        raise ValueError(f"{VALID_ROWS} lies at {begin}, across a border of sectors; its write could be torn")
    write_image(descriptor, image, extents.values(), attributes.get("qmltrain_version", ""))
    return {path: offset for path, (offset, _) in extents.items()}


def write_image(
    descriptor: int,
    image: SparseMemory,
    changing: Iterable[tuple[int, int]],
    version: str,
    kind: FileKind = RUN_FILE,
    block_bytes: int = FIRST_BLOCK_BYTES,
) -> None:
    """Write a file that HDF5 laid out in memory, with its first block, into ``descriptor``; its space is reserved.

    ``changing``: (offset, length) of what will be written later. Raises OSError where the space is not there.
    """
    first_block = encode_first_block(image, changing, f"qmltrain {version}".strip(), kind, block_bytes)
    image.seek(0)
    image.write(first_block)
    reserve(descriptor, image.size)
    for offset, data in image.runs():
        write_at(descriptor, data, offset)


def allocated() -> Any:
    """HDF5's properties of a dataset that has its whole place in the file from the beginning, and is not filled."""
    import h5py

    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_layout(h5py.h5d.CONTIGUOUS)
    properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    return properties
