"""Sizes that files declare: refused, with the file's name, before anything is read, where memory is too small."""

from __future__ import annotations

import h5py
import pytest

from qmltrain.data.registry import build_source
from qmltrain.data.sizes import check_size, memory_for_data
from qmltrain.errors import MemoryLimitError
from tests.data.writers import X, Y

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
    assert "data.h5: y: takes 4 TiB" in too_large("hdf5", 1000, path=path)
    assert "data.h5: wide: one sample, or one chunk: takes 8 TiB" in too_large(
        "hdf5", 1000, path=path, x_key="wide", y_key="labels"
    )
    assert "data.h5: chunk: one sample, or one chunk: takes 128 MiB" in too_large(
        "hdf5", 100, path=path, x_key="chunk", y_key="labels"
    )
    with memory_for_data(2**20):
        assert build_source("hdf5", {"path": path, "x_key": "few", "y_key": "labels"}).info.n_samples == 12
