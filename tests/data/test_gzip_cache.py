"""Gzipped files are unpacked once, under a name of their content."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from qmltrain.data.gzip_cache import cache_folder, unpacked
from qmltrain.data.registry import build_source
from qmltrain.errors import InputError
from tests.data.writers import X, Y, write_hdf5


def test_gzip_is_unpacked_once_under_a_name_of_its_content(tmp_path, monkeypatch):
    monkeypatch.setenv("QMLTRAIN_CACHE", str(tmp_path / "cache"))
    plain = write_hdf5(tmp_path / "data.h5", X, Y)
    assert unpacked(plain) == plain
    packed = tmp_path / "data.h5.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes(), mtime=0))
    source = build_source("hdf5", {"path": str(packed)})
    np.testing.assert_array_equal(source.read(np.arange(12)), X)
    [cached] = (tmp_path / "cache").iterdir()
    assert cached.name.endswith("-data.h5") and cached.read_bytes() == plain.read_bytes()
    before = cached.stat().st_mtime_ns
    assert unpacked(packed) == cached and cached.stat().st_mtime_ns == before
    packed.write_bytes(gzip.compress(plain.read_bytes() + b" ", mtime=0))
    assert unpacked(packed) != cached


def test_bad_gzip_leaves_nothing_and_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("QMLTRAIN_CACHE", str(tmp_path / "cache"))
    packed = tmp_path / "data.h5.gz"
    packed.write_bytes(gzip.compress(np.random.default_rng(0).bytes(5000))[:-100])
    with pytest.raises(InputError, match=r"data\.h5\.gz: truncated or damaged gzip file"):
        unpacked(packed)
    assert not list((tmp_path / "cache").iterdir())
    monkeypatch.setenv("QMLTRAIN_CACHE", str(packed))
    with pytest.raises(InputError, match=r"cannot be unpacked into .*; choose another with \$QMLTRAIN_CACHE"):
        unpacked(packed)


def test_the_cache_is_where_caches_are(monkeypatch):
    monkeypatch.delenv("QMLTRAIN_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/qmltrain")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "qmltrain"
