"""Where a data file lies, whether it is the one that was meant, and what is said of one that cannot be used."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from qmltrain.data.registry import build_source
from tests.data.refusals import refused
from tests.data.writers import X, Y, write_arrays, write_hdf5, write_idx_pair


def test_relative_paths_start_at_root_then_variable_then_here(tmp_path, monkeypatch):
    for place in ("root", "variable", "here"):
        (tmp_path / place).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.delenv("QMLTRAIN_DATA", raising=False)
    options = {"path": "data.npz"}
    message = refused("npz", r"^dataset\.path: no file .*here/data\.npz", **options)
    assert "QMLTRAIN_DATA" in message
    np.savez(tmp_path / "here/data.npz", x=X, y=Y)
    assert build_source("npz", options).read(np.array([0])).tolist() == [[0, 1, 2]]
    np.savez(tmp_path / "variable/data.npz", x=X + 1, y=Y)
    monkeypatch.setenv("QMLTRAIN_DATA", str(tmp_path / "variable"))
    assert build_source("npz", options).read(np.array([0])).tolist() == [[1, 2, 3]]
    np.savez(tmp_path / "root/data.npz", x=X + 2, y=Y)
    options["root"] = str(tmp_path / "root")
    assert build_source("npz", options).read(np.array([0])).tolist() == [[2, 3, 4]]
    options["path"] = str(tmp_path / "here/data.npz")  # absolute
    assert build_source("npz", options).read(np.array([0])).tolist() == [[0, 1, 2]]


@pytest.mark.parametrize("name", ["idx", "npz", "hdf5"])
def test_missing_folder_and_unreadable_files(name, tmp_path, monkeypatch):
    refused(name, rf"^dataset\.path: no file {tmp_path}/absent$", path=str(tmp_path / "absent"))
    refused(name, rf"^dataset\.path: {tmp_path} is a folder", path=str(tmp_path))
    locked = tmp_path / "locked"
    locked.write_bytes(b"")

    def forbidden(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.open", forbidden)
    refused(name, rf"^dataset\.path: cannot read {locked}: Permission denied$", path=str(locked))


@pytest.mark.parametrize("name", ["idx", "npz", "hdf5"])
def test_sha256_is_that_of_the_file_and_guards_it(name, tmp_path):
    path = tmp_path / "data"
    if name == "idx":
        path = write_idx_pair(tmp_path)[0]
    elif name == "npz":
        path = tmp_path / "data.npz"
        np.savez(path, x=X, y=Y)
    else:
        write_hdf5(path, X, Y)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    source = build_source(name, {"path": str(path), "sha256": found.upper()})
    assert name == "idx" or source.checksum == found
    other = "0" * 64
    message = refused(name, r"^dataset\.sha256: ", path=str(path), sha256=other)
    assert found in message and other in message and str(path) in message
    refused(name, r"^dataset\.sha256: '123' is not a SHA-256", path=str(path), sha256="123")


@pytest.mark.parametrize("name", ["npz", "hdf5"])
def test_missing_keys_list_what_is_there(name, tmp_path):
    path = write_arrays(name, tmp_path, images=X, labels=Y)
    refused(name, r"^dataset\.x_key: .* 'x'; it has images, labels$", path=path)
    refused(name, r"^dataset\.y_key: .* 'target'; it has images, labels$", path=path, x_key="images", y_key="target")
    assert build_source(name, {"path": path, "x_key": "images", "y_key": "labels"}).info.n_samples == 12


@pytest.mark.parametrize("name", ["npz", "hdf5"])
def test_damaged_files(name, tmp_path):
    path = write_arrays(name, tmp_path, x=X, y=Y)
    content = Path(path).read_bytes()
    for damaged in (content[: len(content) // 2], b"not data at all", b""):
        Path(path).write_bytes(damaged)
        assert path in refused(name, f"not a readable {'.npz' if name == 'npz' else 'HDF5'} file", path=path)
