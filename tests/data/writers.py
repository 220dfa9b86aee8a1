"""Small data files for the tests, good ones; each test spoils its own."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray


def write_idx(path: Path, array: NDArray[np.uint8]) -> Path:
    """An IDX file of unsigned bytes; gzipped where the name ends in .gz."""
    content = struct.pack(">HBB", 0, 8, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def write_idx_pair(folder: Path, n: int = 30, suffix: str = "") -> tuple[Path, Path, NDArray[Any], NDArray[Any]]:
    """Files of images and labels and what they hold: n images of 5 x 4, three classes."""
    images = np.random.default_rng(1).integers(0, 256, (n, 5, 4), dtype=np.uint8)
    labels = (np.arange(n) % 3).astype(np.uint8)
    return (
        write_idx(folder / f"some-images-idx3-ubyte{suffix}", images),
        write_idx(folder / f"some-labels-idx1-ubyte{suffix}", labels),
        images,
        labels,
    )


def write_hdf5(path: Path, x: NDArray[Any], y: NDArray[Any], **layout: Any) -> Path:
    """Datasets x and y; `layout` (chunks, compression) for x."""
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=x, **layout)
        file["y"] = y
    return path
