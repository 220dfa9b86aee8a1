"""Where things lie in a scan file, and which files a directory has."""

from __future__ import annotations

import os

import h5py
import numpy as np
import pytest

from qmltrain.errors import InputError, StorageError
from qmltrain.runs.first_block import RUN_FILE, check_first_block
from qmltrain.scans.file_layout import (
    COUNTER,
    RECORD_BYTES,
    SCAN_FILE,
    PointLayout,
    Shard,
    check_shards,
    group_of,
    lay_out,
    scan_files,
)
from qmltrain.studies.study import Column

COLUMNS = (Column("loss"), Column("gradient", (3,), ("a", "b", "c")), Column("value", (2, 2)))


def laid_out(path, points, **attributes):
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    try:
        return lay_out(descriptor, points, [point.identity for point in points], attributes)
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("n_points", [1, 2, 7, 400])
def test_datasets_lie_at_the_offsets_that_are_returned(tmp_path, n_points):
    """With 400 points also a first block of more than 4,096 bytes."""
    path = tmp_path / "scan.h5"
    points = [PointLayout(f"id{k}", k % 5 + 1, COLUMNS, {"values": "{}"}) for k in range(n_points)]
    counter, offsets = laid_out(path, points, config_yaml="a: 1", absent=None)
    assert counter % RECORD_BYTES == 0
    assert check_first_block(path, SCAN_FILE) == 1 and check_first_block(path, RUN_FILE) == 0
    with h5py.File(path, "r") as file:
        assert file[COUNTER].shape == (n_points, 2) and file[COUNTER].id.get_offset() == counter
        assert file.attrs["config_yaml"] == "a: 1" and "absent" not in file.attrs
        assert file["grid"].asstr()[()].tolist() == [f"id{k}" for k in range(n_points)]
        for k, point in enumerate(points):
            group = file[group_of(k)]
            assert dict(group.attrs)["identity"] == f"id{k}"
            for column in COLUMNS:
                dataset = group[column.name]
                assert dataset.shape == (point.draws, *column.shape) and dataset.dtype == np.float64
                assert dataset.id.get_offset() == offsets[k][column.name]
            assert group["gradient_labels"].asstr()[()].tolist() == ["a", "b", "c"]


@pytest.mark.parametrize("place", [5, 60, 4000, 5000])
def test_a_change_of_what_never_changes_is_found(tmp_path, place):
    path = tmp_path / "scan.h5"
    laid_out(path, [PointLayout("id", 4, COLUMNS, {})])
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    if place == 5:
        assert check_first_block(path, SCAN_FILE) == 0
    else:
        with pytest.raises(StorageError, match="damaged, or changed by another program"):
            check_first_block(path, SCAN_FILE)


def test_a_later_version_is_refused(tmp_path):
    path = tmp_path / "scan.h5"
    laid_out(path, [PointLayout("id", 4, COLUMNS, {})], qmltrain_version="0.9")
    path.write_bytes(path.read_bytes().replace(b"qmltrain-scan 1 ", b"qmltrain-scan 2 ", 1))
    with pytest.raises(InputError, match=r"schema version 2; this program reads 1: use .*qmltrain 0\.9"):
        check_first_block(path, SCAN_FILE)


def test_a_column_without_room(tmp_path):
    path = tmp_path / "scan.h5"
    _, offsets = laid_out(path, [PointLayout("id", 4, (Column("loss"), Column("gradient", (0,))), {})])
    assert offsets[0]["gradient"] == 0 < offsets[0]["loss"]


def test_shards_share_the_points_and_have_files_of_their_own():
    assert Shard.of(None) == Shard() and Shard().is_whole and Shard().file_name == "scan.h5"
    assert Shard().beside("status.json") == "status.json"
    shards = [Shard.of(f"{k}/3") for k in (1, 2, 3)]
    assert [shard.share(range(8)) for shard in shards] == [[0, 3, 6], [1, 4, 7], [2, 5]]
    assert shards[1].file_name == "scan-2-of-3.h5" and shards[1].beside("run.lock") == "run-2-of-3.lock"


def test_files_of_a_directory(tmp_path):
    for name in ("scan-2-of-12.h5", "scan-10-of-12.h5", "scan-x-of-3.h5", "scan.h5.tmp", "scan-1-of-12.h5.tmp"):
        (tmp_path / name).touch()
    assert [*scan_files(tmp_path)] == [Shard(2, 12), Shard(10, 12)]
    check_shards(tmp_path, Shard(3, 12))
    for other in (Shard(), Shard(1, 3)):
        with pytest.raises(InputError, match="holds a scan in 12 shards"):
            check_shards(tmp_path, other)
