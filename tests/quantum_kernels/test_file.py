"""The kernel file: h5py reads what was written; what is not there or damaged is missing."""

from __future__ import annotations

import errno
import os
import warnings

import h5py
import numpy as np
import pytest

from qmltrain.errors import InputError, StorageError
from qmltrain.quantum_kernels import file as module
from qmltrain.quantum_kernels.file import FILE_NAME, KernelFile, Layout, create, read_arrays, read_header
from qmltrain.quantum_kernels.tiles import cut

TILES = cut(40, 20, 16)


def matrices(dtype=np.float32):
    generator = np.random.default_rng(0)
    train = generator.uniform(size=(40, 40)).astype(dtype)
    return {"train": np.triu(train) + np.triu(train, 1).T, "test": generator.uniform(size=(20, 40)).astype(dtype)}


def made(tmp_path, dtype=np.float32, tiles=TILES):
    path = tmp_path / FILE_NAME
    layout = Layout(40, 20, len(TILES), np.dtype(dtype))
    create(path, layout, {"kernel": "fidelity", "gamma": None, "n": 3}, {"names": ["a", "é"], "rows": np.arange(4)})
    file = KernelFile(path, TILES)
    assert file.missing == list(TILES)
    values = matrices(dtype)
    for tile in tiles:
        file.write(tile, np.ascontiguousarray(values[tile.split][tile.rows, tile.columns]))
    file.write_predictions(np.arange(20.0))
    file.sync()
    file.close()
    return path, values


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_it_is_read_as_it_was_written(tmp_path, dtype):
    path, values = made(tmp_path, dtype)
    with h5py.File(path) as file:
        assert file.attrs["kernel"] == "fidelity" and "gamma" not in file.attrs and file.attrs["n"] == 3
        assert [name.decode() for name in file["names"]] == ["a", "é"]
        np.testing.assert_array_equal(file["test_predictions"], np.arange(20))
        for part in values:
            assert file[part].dtype == dtype
            np.testing.assert_array_equal(file[part], values[part])
    header = read_header(path)
    assert (header.layout.n_train, header.layout.n_test, header.layout.n_tiles) == (40, 20, len(TILES))
    np.testing.assert_array_equal(read_arrays(path, ["test"])["test"], values["test"])
    again = KernelFile(path, TILES)
    assert again.missing == []
    again.close()
    again.close()


def test_tiles_that_were_not_written_are_missing(tmp_path):
    path, _ = made(tmp_path, tiles=TILES[:5])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert KernelFile(path, TILES).missing == list(TILES[5:])


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_damaged_tile_is_missing(tmp_path, mirrored):
    path, _ = made(tmp_path)
    tile = TILES[1]
    assert tile.mirrored
    header = read_header(path)
    row, column = (tile.columns.start, tile.rows.start) if mirrored else (tile.rows.start, tile.columns.start)
    with path.open("r+b") as file:
        file.seek(header.offsets["train"] + 4 * (40 * row + column))
        file.write(b"\xff\xff\xff")
    with pytest.warns(UserWarning, match="1 of 12 tiles are damaged"):
        assert KernelFile(path, TILES).missing == [tile]


def test_a_file_that_is_none_or_is_damaged_is_said(tmp_path):
    with pytest.raises(InputError, match="no kernel file there"):
        read_header(tmp_path / FILE_NAME)
    (tmp_path / FILE_NAME).write_bytes(b"something else")
    with pytest.raises(StorageError, match="not a kernel file, or damaged"):
        read_header(tmp_path / FILE_NAME)
    path, _ = made(tmp_path)
    with path.open("r+b") as file:
        file.seek(4096 + 700)
        file.write(b"\xff" * 64)
    with pytest.raises(StorageError, match=r"kernel\.h5: damaged"):
        read_header(path)


def test_a_full_disk_is_one_line(tmp_path, monkeypatch):
    path, values = made(tmp_path, tiles=())
    file = KernelFile(path, TILES)

    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(module, "write_pieces", full)
    with pytest.raises(StorageError, match=r"cannot write .*kernel\.h5: No space left on device; free space"):
        file.write(TILES[0], np.ascontiguousarray(values["train"][:16, :16]))
    monkeypatch.setattr(module, "write_image", full)
    with pytest.raises(StorageError, match="cannot write"):
        create(tmp_path / "other.h5", file.layout, {}, {})
    assert not (tmp_path / "other.h5").exists()
