"""A scan is known by its files' names, without the part that reads it."""

from __future__ import annotations

import pytest

from qmltrain.errors import InputError
from qmltrain.runs.scan_files import holds_scan, part_that_reads_scans
from qmltrain.scans.file_layout import Shard


@pytest.mark.parametrize("shard", [Shard(), Shard(2, 12)])
def test_files_of_scans(tmp_path, shard):
    assert not holds_scan(tmp_path)
    file = tmp_path / shard.file_name
    assert not holds_scan(file)
    file.touch()
    assert holds_scan(tmp_path) and holds_scan(file)


def test_runs_are_no_scans(tmp_path):
    (tmp_path / "run.h5").touch()
    assert not holds_scan(tmp_path) and not holds_scan(tmp_path / "run.h5")


def test_a_part_that_is_not_there_is_said():
    assert part_that_reads_scans("qmltrain.scans.collecting").collect
    with pytest.raises(InputError, match="^a scan: not part of this installation, which has no qmltrain.missing"):
        part_that_reads_scans("qmltrain.missing")
