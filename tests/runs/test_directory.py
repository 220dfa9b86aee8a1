"""The name of a run's directory, and what is in the way of writing into one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from qmltrain.errors import InputError
from qmltrain.runs.directory import default_directory, why_not_writable


def test_default_directory() -> None:
    assert default_directory("runs", "iris", "0a1b2c3d") == Path("runs/iris-0a1b2c3d")
    for name in ("", ".", "..", "a/b"):
        with pytest.raises(InputError, match="run.name"):
            default_directory("runs", name, "0a1b2c3d")


def test_why_not_writable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert why_not_writable(tmp_path) is None and why_not_writable(tmp_path / "new" / "folder") is None
    (tmp_path / "file").write_text("")
    assert why_not_writable(tmp_path / "file" / "inside") == f"{tmp_path / 'file'} is not a directory"
    assert "cannot be used" in (why_not_writable(tmp_path / ("a" * 300)) or "")
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert why_not_writable(tmp_path) == f"{tmp_path} cannot be written to"
