"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qmltrain.errors import StorageError
from qmltrain.runs import atomic
from qmltrain.runs.atomic import WriteGuard, new_file, read_at, reserve, storage_errors, write_at, write_pieces


def test_the_bytes_are_on_the_disk_before_the_name_and_the_name_before_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a power cut must not find the other way round; only the order of the calls can be tested."""
    calls: list[str] = []
    fsync, rename = os.fsync, os.rename

    def recorded_fsync(descriptor: int) -> None:
        calls.append(f"fsync {Path(os.readlink(f'/proc/self/fd/{descriptor}')).name}")
        fsync(descriptor)

    def recorded_rename(source: Any, target: Any) -> None:
        calls.append(f"rename {Path(source).name} {Path(target).name}")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", recorded_fsync)
    monkeypatch.setattr(os, "rename", recorded_rename)
    if not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc to name open files")
    with new_file(tmp_path / "a") as descriptor:
        write_at(descriptor, b"new", 0)
        assert calls == []
    assert calls == ["fsync a.tmp", "rename a.tmp a", f"fsync {tmp_path.name}"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt(), ValueError()])
def test_what_was_there_stays_after_any_exception(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with pytest.raises(type(error)), new_file(path) as descriptor:
        write_at(descriptor, b"new", 0)
        raise error
    assert path.read_bytes() == b"old"
    assert [found.name for found in tmp_path.iterdir()] == ["a"]


def test_short_writes_and_reads_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pwrite, pread = os.pwrite, os.pread
    monkeypatch.setattr(os, "pwrite", lambda descriptor, data, offset: pwrite(descriptor, data[:3], offset))
    monkeypatch.setattr(os, "pread", lambda descriptor, length, offset: pread(descriptor, min(length, 2), offset))
    with new_file(tmp_path / "a") as descriptor:
        write_at(descriptor, bytes(range(10)), 5)
        assert read_at(descriptor, 10, 5) == bytes(range(10))
        with pytest.raises(OSError, match="shorter"):
            read_at(descriptor, 11, 5)
        numbers = np.arange(6.0).reshape(3, 2)
        write_pieces(descriptor, [(numbers.data, 32), (memoryview(b"abcd"), 0), (memoryview(b""), 3)])
        assert read_at(descriptor, 48, 32) == numbers.tobytes() and read_at(descriptor, 5, 0) == b"abcd\0"


def test_where_space_cannot_be_reserved_it_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(descriptor: int, offset: int, size: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "not supported")

    monkeypatch.setattr(os, "posix_fallocate", unsupported, raising=False)
    with new_file(tmp_path / "a") as descriptor:
        reserve(descriptor, 1000)
        assert os.fstat(descriptor).st_size == 1000
        with pytest.raises(OSError) as caught:
            reserve(descriptor, 1 << 60)
    assert caught.value.errno == errno.ENOSPC


@pytest.mark.parametrize(("number", "hint"), [(errno.ENOSPC, True), (errno.EDQUOT, True), (errno.EIO, False)])
def test_errors_are_one_line_with_a_hint_where_there_is_one(number: int, hint: bool) -> None:
    with pytest.raises(StorageError) as caught, storage_errors("write", Path("run.h5")):
        raise OSError(number, os.strerror(number))
    assert str(caught.value).startswith(f"cannot write run.h5: {os.strerror(number)}")
    assert ("free space" in str(caught.value)) == hint
    assert atomic.TEMPORARY_SUFFIX == ".tmp"


@pytest.mark.parametrize("error", [OSError(errno.EIO, "bad"), KeyboardInterrupt(), ValueError("odd")])
def test_after_an_error_nothing_more_is_written(error: BaseException) -> None:
    guard = WriteGuard(Path("run.h5"))
    with guard(Path("run.h5")):
        pass
    expected, text = (StorageError, "cannot write a.log: ") if isinstance(error, OSError) else (type(error), "odd|^$")
    with pytest.raises(expected, match=text) as caught, guard(Path("a.log")):
        raise error
    assert guard.closed and (caught.value is error or caught.value.__cause__ is error)
    with pytest.raises(StorageError, match=r"run.h5: closed, or an earlier write failed"), guard(Path("run.h5")):
        pytest.fail("entered")
