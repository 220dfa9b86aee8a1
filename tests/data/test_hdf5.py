"""HDF5 files are read by row: in any order, each chunk once, damage named with its rows."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from qmltrain.data.hdf5 import _slabs
from qmltrain.data.registry import build_source
from qmltrain.errors import InputError
from tests.data.refusals import refused
from tests.data.writers import X, Y, write_hdf5


@pytest.mark.parametrize(
    "layout",
    [{}, {"chunks": (1, 3)}, {"chunks": (5, 2)}, {"chunks": (64, 3), "compression": "gzip", "maxshape": (None, 3)}],
)
def test_hdf5_rows_in_any_order(layout, tmp_path):
    x = np.random.default_rng(0).normal(size=(101, 3))
    path = write_hdf5(tmp_path / "data.h5", x, np.arange(101) % 2, **layout)
    source = build_source("hdf5", {"path": str(path)})
    generator = np.random.default_rng(1)
    for rows in (np.arange(101), np.array([100]), generator.permutation(101), generator.integers(0, 101, 500)):
        for dtype in (np.int64, np.uint8):
            assert np.array_equal(source.read(rows.astype(dtype)), x[rows])


def test_hdf5_reads_neighbours_together_and_each_chunk_once():
    wanted = np.array([0, 1, 2, 7, 9, 20])
    assert _slabs(wanted, 1) == [(0, 2), (3, 3), (4, 4), (5, 5)]
    assert _slabs(wanted, 5) == [(0, 2), (3, 4), (5, 5)]
    assert _slabs(wanted, 64) == [(0, 5)]
    assert _slabs(wanted[:0], 4) == []


def test_hdf5_names_the_bad_row_when_it_is_read(tmp_path):
    x = np.where(np.arange(300).reshape(100, 3) == 200, np.nan, 1.0)
    path = write_hdf5(tmp_path / "data.h5", x, np.arange(100) % 2)
    source = build_source("hdf5", {"path": str(path)})
    assert source.read(np.array([99, 65])).shape == (2, 3)
    with pytest.raises(InputError, match=f"^{path}: x: row 66 holds NaN"):
        source.read(np.array([99, 3, 66]))


def test_hdf5_without_a_shape(tmp_path):
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["x"], file["y"] = h5py.Empty("f8"), Y
    refused("hdf5", "data.h5: x: is empty", path=str(tmp_path / "data.h5"))


def test_hdf5_damaged_inside_is_found_when_it_is_read(tmp_path):
    path = write_hdf5(tmp_path / "data.h5", X, Y, chunks=(4, 3), compression="gzip", fletcher32=True)
    with h5py.File(path) as file:
        place = file["x"].id.get_chunk_info(1)
    content = bytearray(path.read_bytes())
    content[place.byte_offset + 5] ^= 0xFF
    path.write_bytes(content)
    source = build_source("hdf5", {"path": str(path)})
    assert np.array_equal(source.read(np.array([0, 11])), X[[0, 11]])
    with pytest.raises(InputError, match=f"^{path}: x: rows 5 to 6 cannot be read"):
        source.read(np.array([6, 5]))


def test_hdf5_groups_are_not_datasets(tmp_path):
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["train/x"], file["train/y"] = X, Y
    path = str(tmp_path / "data.h5")
    refused("hdf5", r"no dataset 'train'; it has train/x, train/y", path=path, x_key="train")
    assert build_source("hdf5", {"path": path, "x_key": "train/x", "y_key": "train/y"}).info.n_samples == 12


def test_attributes_of_netcdf(tmp_path):
    """Numbers that stand for missing values are no samples; a scale is not applied, and that is said."""
    path = str(tmp_path / "data.h5")
    options = {"path": path}

    def write(key, x=X, y=Y, **attributes):
        Path(path).unlink(missing_ok=True)
        with h5py.File(path, "w") as file:
            file["x"], file["y"] = x, y
            file[key].attrs.update(attributes)

    write("x", scale_factor=0.01, add_offset=np.array([5.0]), _FillValue=np.array([np.nan]))
    source = build_source("hdf5", options)
    note = f"WARNING: {path}: x: its scale_factor and add_offset are not applied; numbers are taken as they are stored"
    assert [line for line in source.info.notes if "applied" in line] == [note]
    np.testing.assert_array_equal(source.read(np.arange(12)), X)
    x = X.astype(np.float32)
    x[7, 1] = 1e20
    write("x", x, missing_value=1e20)
    source = build_source("hdf5", options)
    assert len(source.read(np.array([6, 8]))) == 2
    with pytest.raises(InputError, match=r"data\.h5: x: row 7 holds a number that stands for a missing value \(1e\+20"):
        source.read(np.arange(12))
    write("x", X.astype(np.int16), _FillValue=np.int16(-9999))
    np.testing.assert_array_equal(build_source("hdf5", options).read(np.arange(12)), X)
    write("y", y=np.where(np.arange(12) == 4, 99, Y), _FillValue=99)
    refused("hdf5", r"data\.h5: y: row 4 holds a number that stands for a missing value \(99", **options)
    write("y", y=np.array(["a", "b", "c"], dtype="S1")[Y], _FillValue=b"a")
    assert build_source("hdf5", options).info.class_names == ("a", "b", "c")
