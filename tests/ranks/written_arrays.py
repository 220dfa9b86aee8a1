"""What commands have written, beside what is of one command alone."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np


def arrays(path):
    """Of `qmltrain gradient`."""
    with h5py.File(path) as file:
        kept = {"loss", "drift", "precision", "config_yaml"}
        found = {name: file[name][...] for name in file} | {
            name: file.attrs[name] for name in file.attrs if name in kept
        }
    return found


def tables(directory: Path) -> dict[str, object]:
    """All tables of a training's run file but the time that its epochs took, and checksums of it."""
    found: dict[str, np.ndarray] = {}
    with h5py.File(directory / "run.h5") as file:
        file.visititems(
            lambda name, item: found.update({name: np.asarray(item[()])}) if isinstance(item, h5py.Dataset) else None
        )
    found["valid_rows"] = found["valid_rows"][:5]
    del found["epochs/wall_seconds"]
    return {name: value.tolist() if value.dtype == object else value.tobytes() for name, value in found.items()}
