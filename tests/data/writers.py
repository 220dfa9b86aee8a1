"""Small data files for the tests, good ones; each test spoils its own."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

X, Y = np.arange(36.0).reshape(12, 3), np.arange(12) % 3  # what most files hold


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


def write_cifar10(path: Path, n: int, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A batch file of n records; images (n, 32, 32, 3) and labels. Gzipped where the name ends in .gz."""
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 256, (n, 32, 32, 3), dtype=np.uint8)
    labels = (np.arange(n) % 10).astype(np.uint8)
    records = np.concatenate([labels[:, None], images.transpose(0, 3, 1, 2).reshape(n, -1)], axis=1)
    path.write_bytes(gzip.compress(records.tobytes()) if path.suffix == ".gz" else records.tobytes())
    return images, labels


def write_csv(path: Path, n: int = 12) -> None:
    """Columns a, b, kind (words), value (floats), part (train, validation, test in turn)."""
    parts = ("train", "train", "validation", "test")
    lines = [f"{k},{k / 4},{'xyz'[k % 3]},{k * 0.5},{parts[k % 4]}" for k in range(n)]
    path.write_text("a,b,kind,value,part\n" + "\n".join(lines) + "\n")


def write_arrays(name: str, folder: Path, **arrays: object) -> str:
    """An .npz or HDF5 file of these arrays."""
    path = folder / f"data.{name}"
    if name == "npz":
        np.savez(path, **arrays)
    else:
        with h5py.File(path, "w") as file:
            for key, value in arrays.items():
                file[key] = value
    return str(path)
