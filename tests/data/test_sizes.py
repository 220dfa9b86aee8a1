"""Sizes that files declare: refused, with the file's name, before anything is read, where memory is too small."""

from __future__ import annotations

import gzip
import struct

import h5py
import numpy as np
import pytest

from qmltrain.data.registry import build_source
from qmltrain.data.sizes import check_size, memory_for_data
from qmltrain.errors import MemoryLimitError
from tests.data.writers import X, Y, write_idx_pair

TIB = 2**40


def too_large(name, megabytes, **options):
    """The message of the refusal with so much memory; without a limit, and with enough, the data is not refused."""
    with (
        pytest.raises(MemoryLimitError, match="of memory to read, there are") as caught,
        memory_for_data(megabytes * 2**20),
    ):
        build_source(name, options)
    assert "\n" not in str(caught.value) and str(options["path"]) in str(caught.value)
    return str(caught.value)


def test_the_limit_holds_inside_alone():
    check_size(TIB, "file")
    with memory_for_data(10):
        check_size(10, "file")
        with pytest.raises(MemoryLimitError, match=r"^file: takes 11 bytes of memory to read, there are 10 bytes; "):
            check_size(11, "file")
    check_size(TIB, "file")


def test_hdf5(tmp_path):
    path = str(tmp_path / "data.h5")
    with h5py.File(path, "w") as file:
        for name, shape in {"y": (TIB,), "x": (TIB, 3), "wide": (12, TIB), "chunk": (2**30, 3)}.items():
            chunks = (2**24, 1) if name == "chunk" else None
            file.create_dataset(name, shape, "f4", chunks=chunks, compression="gzip" if chunks else None)
        file["few"], file["labels"] = X, Y
    message = too_large("hdf5", 1000, path=path)
    assert "data.h5: y: takes 4 TiB" in message and "; take fewer samples, or fetch the file again" in message
    assert "data.h5: wide: one sample, or one chunk: takes 8 TiB" in too_large(
        "hdf5", 1000, path=path, x_key="wide", y_key="labels"
    )
    assert "data.h5: chunk: one sample, or one chunk: takes 128 MiB" in too_large(
        "hdf5", 100, path=path, x_key="chunk", y_key="labels"
    )
    with memory_for_data(2**20):
        assert build_source("hdf5", {"path": path, "x_key": "few", "y_key": "labels"}).info.n_samples == 12


def test_npz(tmp_path):
    path = tmp_path / "data.npz"
    np.savez_compressed(path, x=np.zeros((2**20, 4)), y=np.arange(2**20) % 2)
    assert path.stat().st_size < 2**20
    assert "data.npz: x: takes 32 MiB" in too_large("npz", 31, path=str(path))
    with memory_for_data(2**25):
        assert build_source("npz", {"path": str(path)}).info.n_samples == 2**20


def test_idx_in_gzip(tmp_path):
    images, *_ = write_idx_pair(tmp_path, n=3, suffix=".gz")
    images.write_bytes(gzip.compress(struct.pack(">I3I", 0x803, 3, 2**10, 2**10) + bytes(3 * 2**20)))
    message = too_large("idx", 2, path=str(images))
    assert "header says (3, 1024, 1024): takes 3 MiB" in message
    images.write_bytes(gzip.compress(struct.pack(">I3I", 0x803, 2**31, 2**31, 2**31)))
    assert "header says" in too_large("idx", 2**20, path=str(images))


def test_cifar10_in_gzip(tmp_path, monkeypatch):
    monkeypatch.setenv("QMLTRAIN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "batch.bin.gz").write_bytes(gzip.compress(bytes(3073 * 1000)))
    too_large("cifar10", 8, path=tmp_path / "batch.bin.gz")


def test_csv_in_gzip(tmp_path, monkeypatch):
    monkeypatch.setenv("QMLTRAIN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "data.csv.gz").write_bytes(gzip.compress(b"a,y\n" + b"1,0\n2,1\n" * 100_000))
    too_large("csv", 3, path=str(tmp_path / "data.csv.gz"), target="y")


def test_parquet(tmp_path):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "data.parquet"
    columns = {"a": np.zeros(2**20), "b": np.zeros(2**20), "y": np.arange(2**20) % 2}
    parquet.write_table(pyarrow.table(columns), path, compression="zstd")
    assert path.stat().st_size < 2**20
    assert "data.parquet: takes 72 MiB" in too_large("parquet", 71, path=str(path), target="y")
    with memory_for_data(48 * 2**20):
        assert build_source("parquet", {"path": str(path), "target": "y", "features": ["b"]}).info.sample_shape == (1,)
