"""Runs as schema 1 wrote them: no first block, no checksums, no wall times, snapshots that do not count rows."""

from __future__ import annotations

import json
from pathlib import Path

import h5py

from qmltrain.runs.snapshots import Snapshot, encode, read_snapshot

_NEW_ATTRIBUTES = ("schema_version",)
_NEW_DATASETS = ("epochs/wall_seconds", "data")
_NEW_STATE = ("rows", "config_hash")


def make_schema_1(directory: Path) -> None:
    """Turn the run in ``directory`` into one that schema 1 had written, in place."""
    path = directory / "run.h5"
    old = path.with_suffix(".old")
    allocated = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    allocated.set_layout(h5py.h5d.CONTIGUOUS)
    allocated.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    with h5py.File(path) as new, h5py.File(old, "w", libver=("v108", "v110")) as file:
        for name, value in new.attrs.items():
            file.attrs[name] = 1 if name in _NEW_ATTRIBUTES else value

        def copy(name: str, item: h5py.Group | h5py.Dataset) -> None:
            if not isinstance(item, h5py.Dataset) or name.startswith(_NEW_DATASETS):
                return
            values = item[: len(item) // 2] if name == "valid_rows" else item[()]
            text = h5py.string_dtype() if item.dtype.kind == "O" else None
            plist = None if text else allocated.copy()
            dataset = file.create_dataset(name, values.shape, text or item.dtype, dcpl=plist)
            dataset[...] = values
            for attribute in ("long_name", "tables"):
                if attribute in item.attrs:
                    dataset.attrs[attribute] = item.attrs[attribute]
            if item.is_scale:
                dataset.make_scale(name.rsplit("/", 1)[1])

        new.visititems(copy)
    old.replace(path)
    for snapshot in (directory / "snapshots").iterdir():
        found = read_snapshot(snapshot)
        state = {name: value for name, value in found.state.items() if name not in _NEW_STATE}
        if "training" in state:
            state["training"] = {k: v for k, v in state["training"].items() if k != "epoch_seconds"}
        snapshot.write_bytes(encode(Snapshot(found.step, found.epoch, found.arrays, state)))
    status = directory / "status.json"
    contents = json.loads(status.read_text())
    contents.pop("sha256")
    status.write_text(json.dumps(contents))
    assert path.read_bytes()[:4] == b"\x89HDF"
