"""Where everything lies in a scan file, and which files a directory of scans has.

As a run file (`qmltrain.runs.file_layout`), it is laid out once at its full size, points x draws, in memory, and
written whole; from then on rows are plain writes at known offsets (`rows.py`) and no metadata changes. The layout for
users is in docs/scan-file.md.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from qmltrain.errors import InputError
from qmltrain.runs.file_layout import allocated, attribute_value, write_image
from qmltrain.runs.first_block import FIRST_BLOCK_BYTES, FileKind
from qmltrain.runs.sparse_memory import SparseMemory
from qmltrain.studies.study import Column

SCHEMA_VERSION = 1
SCAN_FILE = FileKind(b"qmltrain-scan", SCHEMA_VERSION, str(SCHEMA_VERSION))
FILE_NAME = "scan.h5"
COUNTER = "counter"  # dataset (points, 2): rows of each point that count, and their CRC-32
RECORD_BYTES = 16  # of a point in the counter; lies within one sector
GRID = "grid"
_SHARD = re.compile(r"scan-(\d+)-of-(\d+)\.h5")
_PART_BYTES = 40  # of the first block, for one part of the file, at most


@dataclass(frozen=True)
class PointLayout:
    """A point of a file: room for `draws` rows of every column. `attributes`: of its group."""

    identity: str
    draws: int
    columns: tuple[Column, ...]
    attributes: Mapping[str, Any]

    @property
    def row_bytes(self) -> int:
        return 8 * sum(math.prod(column.shape) for column in self.columns)


@dataclass(frozen=True)
class Shard:
    """The `number`-th of `count` shares of a grid, from 1; of 1 the whole."""

    number: int = 1
    count: int = 1

    @classmethod
    def of(cls, text: str | None) -> Shard:
        """`scan.shard`."""
        if text is None:
            return cls()
        number, count = map(int, text.split("/"))
        return cls(number, count)

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @property
    def is_whole(self) -> bool:
        return self.count == 1

    @property
    def file_name(self) -> str:
        return FILE_NAME if self.is_whole else f"scan-{self.number}-of-{self.count}.h5"

    def beside(self, name: str) -> str:
        """The name of a file of this shard alone: ``status.json`` -> ``status-1-of-3.json``."""
        stem, dot, ending = name.partition(".")
        return name if self.is_whole else f"{stem}-{self.number}-of-{self.count}{dot}{ending}"

    def share(self, points: Sequence[Any]) -> list[Any]:
        """Its points of a grid: neighbours, which cost alike, go to different shards."""
        return list(points[self.number - 1 :: self.count])


def scan_files(directory: Path) -> dict[Shard, Path]:
    """The scan files in a directory, by shard, in order."""
    found = {}
    if (directory / FILE_NAME).exists():
        found[Shard()] = directory / FILE_NAME
    for path in directory.glob("scan-*-of-*.h5"):
        match = _SHARD.fullmatch(path.name)
        if match is not None:
            found[Shard(int(match[1]), int(match[2]))] = path
    return dict(sorted(found.items(), key=lambda item: (item[0].count, item[0].number)))


def check_shards(directory: Path, shard: Shard) -> None:
    """Raise InputError where the directory holds a scan that was divided otherwise."""
    others = [other for other in scan_files(directory) if other.count != shard.count]
    if others:
        what = "a scan in one file" if others[0].is_whole else f"a scan in {others[0].count} shards"
        wanted = "null" if others[0].is_whole else f"k/{others[0].count}"
        raise InputError(f"scan.shard: {directory} holds {what}; set scan.shard={wanted}, or choose another run.dir")


def group_of(number: int) -> str:
    """The group of a file's point."""
    return f"points/{number:05}"


def lay_out(
    descriptor: int, points: Sequence[PointLayout], grid: Sequence[str], attributes: Mapping[str, Any]
) -> tuple[int, list[dict[str, int]]]:
    """Write a file with room for all rows of `points` into `descriptor`; its space is reserved, no row counts.

    `grid`: identities of all points of the grid, in order, also of those in other shards; attributes that are None are
    left out. Returns the offsets in bytes of the counter, and of each point's columns. Raises OSError where the space
    is not there.
    """
    import h5py

    n_parts = 3 + sum(1 + len(point.columns) for point in points)
    block_bytes = FIRST_BLOCK_BYTES
    while block_bytes < 256 + _PART_BYTES * n_parts:
        block_bytes *= 2
    image, texts = SparseMemory(), h5py.string_dtype()
    aligned = {"alignment_threshold": RECORD_BYTES, "alignment_interval": RECORD_BYTES}
    changing: list[tuple[int, int]] = []
    offsets: list[dict[str, int]] = []

    with h5py.File(image, "w", libver=("v108", "v110"), userblock_size=block_bytes, **aligned) as file:

        def room(path: str, shape: tuple[int, ...], dtype: str) -> int:
            dataset = file.create_dataset(path, shape, dtype, dcpl=allocated())
            if not dataset.size:
                return 0
            changing.append((dataset.id.get_offset(), dataset.nbytes))
            return int(dataset.id.get_offset())

        counter = room(COUNTER, (len(points), 2), "<i8")
        file.create_dataset(GRID, data=np.array(list(grid), dtype=object), dtype=texts)
        for name, value in {"schema_version": SCHEMA_VERSION, **attributes}.items():
            if value is not None:
                file.attrs[name] = attribute_value(value)
        for number, point in enumerate(points):
            path = group_of(number)
            group = file.create_group(path)
            own = {"identity": point.identity, "draws": point.draws, "columns": [c.name for c in point.columns]}
            for name, value in {**own, **point.attributes}.items():
                group.attrs[name] = attribute_value(value)
            offsets.append({})
            for column in point.columns:
                offsets[-1][column.name] = room(f"{path}/{column.name}", (point.draws, *column.shape), "<f8")
                if column.labels:
                    labels = np.array(column.labels, dtype=object)
                    file.create_dataset(f"{path}/{column.name}_labels", data=labels, dtype=texts)
    if counter % RECORD_BYTES:
        raise ValueError(f"{COUNTER} lies at {counter}; a record of it could be torn")
    version = str(attributes.get("qmltrain_version", ""))
    write_image(descriptor, image, changing, version, SCAN_FILE, block_bytes)
    return counter, offsets


def as_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
