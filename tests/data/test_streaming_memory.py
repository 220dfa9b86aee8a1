"""Data larger than memory: what is held at a time does not grow with the number of rows."""

from __future__ import annotations

import tracemalloc

import h5py
import numpy as np

from qmltrain.data.batches import BatchOrder, PreparedData
from qmltrain.data.checks import CHUNK_BYTES
from qmltrain.data.preprocessing import Preprocessor
from qmltrain.data.registry import build_source


def write_images(path, n, side, dtype):
    """Mostly zeros, as images are, so that the file is small on disk."""
    block = np.zeros((1000, side, side), dtype)
    generator = np.random.default_rng(0)
    block[generator.integers(0, 1000, 5000), generator.integers(0, side, 5000), generator.integers(0, side, 5000)] = 200
    with h5py.File(path, "w") as file:
        x = file.create_dataset(
            "x", (n, side, side), dtype, chunks=(50, side, side), compression="gzip", compression_opts=1
        )
        for start in range(0, n, 1000):
            x[start : start + 1000] = block
        file["y"] = np.arange(n) % 2
    return path


def test_memory_is_a_few_chunks(tmp_path):
    n, side = 6000, 64
    source = build_source("hdf5", {"path": str(write_images(tmp_path / "data.h5", n, side, np.uint8))})
    assert 8 * n * side * side > 11 * CHUNK_BYTES
    tracemalloc.start()
    try:
        train = np.arange(0, n, 2)
        fitted = Preprocessor.fit(source, train, resize=[8, 9], pca=4, scale="min_max")
        for cache_bytes in (2**30, 0):
            data = PreparedData(source, fitted, cache_bytes=cache_bytes)
            for batch in data.stream(BatchOrder(train, 100, seed=0).batches(0)[:3]):
                assert batch.features_BF.shape == (100, 4)
            assert data.features(train).shape == (3000, 4)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5 * CHUNK_BYTES
