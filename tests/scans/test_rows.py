"""Rows are written where they belong, count last, and go with a file that grows."""

from __future__ import annotations

import errno
import os

import h5py
import numpy as np
import pytest

from qmltrain.errors import StorageError
from qmltrain.scans import rows as rows_module
from qmltrain.scans.file_layout import PointLayout
from qmltrain.scans.reading import read_header
from qmltrain.scans.rows import ScanRows, create, grow
from qmltrain.studies.study import Column

COLUMNS = (Column("loss"), Column("gradient", (3,), ("a", "b", "c")), Column("none", (0,)), Column("value", (2, 2)))
POINTS = (PointLayout("first", 6, COLUMNS, {}), PointLayout("second", 4, COLUMNS[:2], {"values": "{}"}))


def drawn(n: int, columns=COLUMNS, seed: int = 0) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    return {column.name: generator.normal(size=(n, *column.shape)) for column in columns}


@pytest.fixture
def path(tmp_path):
    create(tmp_path / "scan.h5", POINTS, ["first", "second"], {"config_yaml": ""})
    return tmp_path / "scan.h5"


def read(path, number: int) -> dict[str, np.ndarray]:
    header = read_header(path)
    with h5py.File(path, "r") as file:
        group = file[f"points/{number:05}"]
        return {
            column.name: group[column.name][: header.counts[number].rows] for column in header.points[number].columns
        }


def test_rows_are_appended_point_by_point(path):
    whole, other = drawn(6), drawn(3, COLUMNS[:2], 1)
    rows = ScanRows(path)
    assert [rows.rows(k) for k in (0, 1)] == [0, 0]
    for first, last in ((0, 1), (1, 5)):
        rows.append(0, {name: values[first:last] for name, values in whole.items()})
    rows.append(1, other)
    rows.sync()
    rows.close()
    rows.close()
    rows = ScanRows(path)  # goes on
    assert [rows.rows(k) for k in (0, 1)] == [5, 3]
    rows.append(0, {name: values[5:] for name, values in whole.items()})
    rows.close()
    for number, expected in ((0, whole), (1, other)):
        found = read(path, number)
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name], values)


def test_rows_that_do_not_fit_are_refused(path):
    rows = ScanRows(path)
    with pytest.raises(ValueError, match="laid out for 6 draws"):
        rows.append(0, drawn(7))
    with pytest.raises(ValueError, match=r"gradient: found shape \(2, 4\), laid out for \(3,\) a draw"):
        rows.append(0, {**drawn(2), "gradient": np.zeros((2, 4))})
    assert rows.rows(0) == 0
    rows.close()


def test_rows_go_with_a_file_that_grows(path, monkeypatch):
    monkeypatch.setattr(rows_module, "_COPY_BYTES", 100)  # some rows at a time
    first, second = drawn(6), drawn(4, COLUMNS[:2], 1)
    rows = ScanRows(path)
    rows.append(0, {name: values[:5] for name, values in first.items()})
    rows.append(1, second)
    larger = [PointLayout("new", 3, COLUMNS, {}), PointLayout("second", 9, COLUMNS[:2], {}), POINTS[0]]
    grow(rows, larger, ["new", "second", "first"], {"config_yaml": "x"})
    rows.close()
    rows = ScanRows(path)
    assert [rows.rows(k) for k in range(3)] == [0, 4, 5] and rows.header.grid == ("new", "second", "first")
    assert rows.points[1].draws == 9 and rows.header.attributes["config_yaml"] == "x"
    rows.append(2, {name: values[5:] for name, values in first.items()})
    rows.close()
    for number, expected in ((1, second), (2, first)):
        for name, values in expected.items():
            np.testing.assert_array_equal(read(path, number)[name], values)


def test_a_row_that_was_not_counted_does_not_count(path, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    rows = ScanRows(path)
    rows.append(0, drawn(2))
    monkeypatch.setattr(rows_module, "write_at", full)  # the counter
    with pytest.raises(StorageError, match=r"cannot write .*scan\.h5: No space left on device; free space"):
        rows.append(0, drawn(2, seed=5))
    rows.close()
    assert read_header(path).counts[0].rows == 2
    monkeypatch.undo()
    again = ScanRows(path)
    assert again.rows(0) == 2
    again.close()


@pytest.mark.parametrize("count", [-1, 7, 2])
def test_what_was_not_written_is_drawn_again(path, count):
    rows = ScanRows(path)
    rows.append(0, drawn(3))
    rows.append(1, drawn(2, COLUMNS[:2]))
    counter = rows.header.counter
    rows.close()
    data = bytearray(path.read_bytes())
    data[counter : counter + 8] = int(count).to_bytes(8, "little", signed=True)
    path.write_bytes(data)
    with pytest.warns(UserWarning, match="points/00000: damaged"):
        rows = ScanRows(path)
    assert [rows.rows(k) for k in (0, 1)] == [0, 2]
    rows.close()


def test_no_space_is_said_with_what_makes_it_less(tmp_path, monkeypatch):
    def full(descriptor, size):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("qmltrain.runs.file_layout.reserve", full)
    with pytest.raises(StorageError, match=r"cannot reserve .*scan\.h5 .*; free space, .*scan\.gradients"):
        create(tmp_path / "scan.h5", POINTS, ["first", "second"], {})
    assert not list(tmp_path.iterdir())
