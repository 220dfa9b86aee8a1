"""Scan files are read while they are made, whole or in shards, and refused in one line where they are not."""

from __future__ import annotations

import shutil

import h5py
import numpy as np
import pytest

from qmltrain.errors import InputError, StorageError
from qmltrain.scans.file_layout import FILE_NAME
from qmltrain.scans.reading import is_scan, read_scan
from tests.scans.small_scans import DRAWS, GRID, scan, scan_until


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    directory = tmp_path_factory.mktemp("whole")
    scan(directory, *GRID)
    return directory


def test_what_is_read_is_what_h5py_reads(whole):
    found = read_scan(whole)
    with h5py.File(whole / FILE_NAME, "r") as file:
        for number, point in enumerate(found.points):
            group = file[f"points/{number:05}"]
            for name, values in point.columns.items():
                np.testing.assert_array_equal(values, group[name][()])
            assert point.labels["gradient"] == tuple(group["gradient_labels"].asstr()[()])
            assert point.offsets is None
    assert read_scan(whole / FILE_NAME).points == found.points
    assert is_scan(whole) and is_scan(whole / FILE_NAME)


def test_a_scan_at_work_is_read_as_far_as_it_is(tmp_path):
    scan_until(tmp_path, 2, *GRID)
    found = read_scan(tmp_path)
    assert [point.draws for point in found.points] == [16, 0, 0, 0]
    assert [point.complete for point in found.points] == [False] * 4
    assert found.points[1].columns["gradient"].shape[0] == 0


def test_a_landscape_says_where_its_values_lie(tmp_path):
    (point,) = scan(tmp_path, "scan.plane=[random,gradient]", "scan.resolution=5", "scan.span=2", draws=None).points
    assert point.columns["value"].shape == (1, 5, 5) and point.draws == 1
    np.testing.assert_array_equal(point.offsets, [-2, -1, 0, 1, 2])
    assert point.layout.attributes["directions"] == ["random", "gradient"]


def test_rows_of_another_file_are_found(whole, tmp_path):
    copy = tmp_path / FILE_NAME
    shutil.copy(whole / FILE_NAME, copy)
    data, losses = bytearray(copy.read_bytes()), read_scan(whole).points[0].columns["loss"].tobytes()
    data[data.index(losses) + 8] ^= 1
    copy.write_bytes(data)
    with pytest.raises(StorageError, match=r"points/00000: damaged .*; run the scan again"):
        _ = read_scan(copy).points[0].columns


def test_what_is_no_scan(tmp_path, whole):
    for path in (tmp_path, tmp_path / "none", tmp_path / FILE_NAME):
        with pytest.raises(InputError, match="there is no scan here"):
            read_scan(path)
        assert not is_scan(path)
    with h5py.File(tmp_path / FILE_NAME, "w"):
        pass
    with pytest.raises(InputError, match="not a scan file"):
        read_scan(tmp_path)
    (tmp_path / FILE_NAME).write_bytes((whole / FILE_NAME).read_bytes()[:5000])
    with pytest.raises(StorageError, match="damaged"):
        read_scan(tmp_path)


def test_shards_of_several_divisions_are_refused(tmp_path):
    for k in (1, 2):
        scan(tmp_path / "two", *GRID, f"scan.shard={k}/2")
    assert read_scan(tmp_path / "two").complete
    one = read_scan(tmp_path / "two" / "scan-1-of-2.h5")
    assert [tuple(point.values.values()) for point in one.points] == [(2, 1), (3, 1)] and one.complete
    shutil.copy(tmp_path / "two" / "scan-1-of-2.h5", tmp_path / "two" / "scan-1-of-3.h5")
    with pytest.raises(InputError, match=r"divided in different ways \(1/2, 2/2, 1/3\); keep one"):
        read_scan(tmp_path / "two")


def test_the_summary_wants_all_draws(tmp_path):
    scan_until(tmp_path, 1, *GRID)
    with pytest.raises(InputError, match=f"8 of {4 * DRAWS} draws"):
        read_scan(tmp_path, incomplete=False)
