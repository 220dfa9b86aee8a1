"""Data that says itself what trains and what tests: split arrays, test files, CIFAR-10's folder; names of classes."""

from __future__ import annotations

import gzip
from pathlib import Path

import h5py
import numpy as np
import pytest

from qmltrain.data.selection import select
from qmltrain.data.sources import build_source
from qmltrain.data.splits import split_as_given
from qmltrain.data.unpacked import cache_folder, unpacked
from qmltrain.errors import InputError
from tests.data.writers import write_cifar10, write_csv, write_hdf5, write_idx_pair

X, Y = np.arange(36.0).reshape(12, 3), np.arange(12) % 3
WORDS = np.array(["train", "train", "val", "test"] * 3)


def refused(message: str, name: str, options: dict, test_path: str | None = None) -> None:
    with pytest.raises(InputError, match=message) as caught:
        build_source(name, options, test_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["npz", "hdf5"])
@pytest.mark.parametrize("split", [WORDS, np.array([0, 0, 1, 2] * 3)], ids=["words", "numbers"])
def test_split_arrays_and_names_of_classes(name, split, tmp_path):
    path, kinds = tmp_path / "data", np.array(["ant", "bee", "cow"])[Y]
    if name == "npz":
        path = path.with_suffix(".npz")
        np.savez(path, x=X, y=kinds, split=split, part=split[::-1])
    else:
        with h5py.File(path, "w") as file:
            texts = split.astype("S") if split.dtype.kind == "U" else split
            file["x"], file["split"], file["part"] = X, texts, texts[::-1]
            file["y"] = [str(kind) for kind in kinds]  # variable-length texts
    source = build_source(name, {"path": str(path)})
    assert source.class_names == ("ant", "bee", "cow") and source.labels().tolist() == Y.tolist()
    assert source.parts.tolist() == [0, 0, 1, 2] * 3
    assert build_source(name, {"path": str(path), "split_key": "part"}).parts.tolist() == [2, 1, 0, 0] * 3
    refused(r"^dataset\.split_key: .* 'none'", name, {"path": str(path), "split_key": "none"})
    two = select(source, classes=["cow", "ant"])
    assert two.parts.tolist() == [part for part, label in zip([0, 0, 1, 2] * 3, Y, strict=True) if label != 1]


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (WORDS[:11], "12 samples but 11 labels"),
        (np.array(["train"] * 11 + ["later"]), r"row 11 is .*'later'.*allowed are train, validation, test"),
        (np.arange(12), "row 3 is .*allowed are"),
        (np.zeros((12, 1), dtype=int), r"has shape \(12, 1\)"),
    ],
)
def test_bad_split_arrays_are_refused(split, message, tmp_path):
    np.savez(tmp_path / "data.npz", x=X, y=Y, split=split)
    refused(message, "npz", {"path": str(tmp_path / "data.npz")})
    write_hdf5(tmp_path / "data.h5", X, Y)
    with h5py.File(tmp_path / "data.h5", "a") as file:
        file["split"] = split.astype("S") if split.dtype.kind == "U" else split
    refused(message, "hdf5", {"path": str(tmp_path / "data.h5")})


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_what_the_data_does_not_say_is_drawn_from_its_training_rows(task):
    labels = np.arange(100) % 2 if task == "classification" else np.arange(100.0)
    for missing in ({1}, {2}, {1, 2}, set()):
        parts = np.array([0, 0, 0, *(0 if p in missing else p for p in (1, 2))] * 20, dtype=np.int8)
        found = split_as_given(labels, task, parts, 0.25, 0.25, np.random.default_rng(0))
        together = np.concatenate([found.train, found.validation, found.test])
        assert np.array_equal(np.sort(together), np.arange(100))
        n_train = int(np.count_nonzero(parts == 0))
        for part, rows in ((1, found.validation), (2, found.test)):
            if part in missing:
                assert len(rows) == round(0.25 * n_train) and np.all(parts[rows] == 0)
            else:
                assert np.array_equal(rows, np.flatnonzero(parts == part))
    with pytest.raises(InputError, match="no row for training"):
        split_as_given(labels, task, np.full(100, 2, dtype=np.int8), 0.2, 0.2, np.random.default_rng(0))


def test_a_test_file_is_the_test_split_and_classes_go_by_name(tmp_path):
    np.savez(tmp_path / "a.npz", x=X, y=np.array(["ant", "bee", "cow"])[Y])
    np.savez(tmp_path / "b.npz", x=-X[:4], y=np.array(["cow", "ant", "cow", "ant"]))
    source = build_source("npz", {"path": str(tmp_path / "a.npz")}, str(tmp_path / "b.npz"))
    assert source.n_samples == 16 and source.class_names == ("ant", "bee", "cow")
    assert source.labels()[12:].tolist() == [2, 0, 2, 0] and source.parts.tolist() == [0] * 12 + [2] * 4
    rows = np.array([15, 0, 12, 11, 15])
    np.testing.assert_array_equal(source.read(rows), np.concatenate([X, -X[:4]])[rows])
    alone = build_source("npz", {"path": str(tmp_path / "a.npz")})
    assert source.checksum != alone.checksum
    with pytest.raises(ValueError, match="read-only"):
        source.labels()[0] = 1
    with pytest.raises(IndexError):
        source.read(np.array([16]))


def test_test_files_of_every_kind(tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "test").mkdir()
    first, *_ = write_idx_pair(tmp_path / "train")
    other, *_ = write_idx_pair(tmp_path / "test", n=9)
    assert build_source("idx", {"path": str(first)}, str(other)).parts.tolist() == [0] * 30 + [2] * 9
    write_hdf5(tmp_path / "a.h5", X, Y * 1.0)
    write_hdf5(tmp_path / "b.h5", X[:5], Y[:5] * 1.0)
    assert build_source("hdf5", {"path": str(tmp_path / "a.h5")}, str(tmp_path / "b.h5")).labels()[12:].tolist() == [
        0, 1, 2, 0, 1]  # fmt: skip
    write_csv(tmp_path / "a.csv")
    options = {"path": str(tmp_path / "a.csv"), "target": "kind", "features": ["a", "b"]}
    assert build_source("csv", options, str(tmp_path / "a.csv")).n_samples == 24


def test_test_files_that_do_not_fit_are_refused(tmp_path):
    for name, x, y in (
        ("a", X, Y), ("narrow", X[:, :2], Y), ("values", X, Y * 1.0), ("more", X, Y + 1),
    ):  # fmt: skip
        np.savez(tmp_path / f"{name}.npz", x=x, y=y)
    np.savez(tmp_path / "own.npz", x=X, y=Y, split=WORDS)
    options = {"path": str(tmp_path / "a.npz")}
    refused(
        r"^dataset\.test_path: .*samples of dataset\.path have shape \(3,\)",
        "npz",
        options,
        str(tmp_path / "narrow.npz"),
    )
    refused(
        r"^dataset\.test_path: .* is a regression, .* a classification", "npz", options, str(tmp_path / "values.npz")
    )
    refused(r"^dataset\.test_path: .*class 3 is not among", "npz", options, str(tmp_path / "more.npz"))
    refused(r"has test rows of its own", "npz", {"path": str(tmp_path / "own.npz")}, str(tmp_path / "a.npz"))
    refused(r"^dataset\.test_path: not used by digits", "digits", {}, "a.npz")
    (tmp_path / "a.csv").write_text("a,b,y\n1,2,0\n3,4,1\n")
    (tmp_path / "b.csv").write_text("b,a,y\n1,2,0\n3,4,1\n")
    options = {"path": str(tmp_path / "a.csv"), "target": "y"}
    refused(r"has the columns b, a where dataset\.path has a, b", "csv", options, str(tmp_path / "b.csv"))


# ---- CIFAR-10


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_cifar10_of_a_file_and_a_folder(tmp_path, monkeypatch, suffix):
    monkeypatch.setenv("QMLTRAIN_CACHE", str(tmp_path / "cache"))
    one, labels_one = write_cifar10(tmp_path / f"data_batch_1.bin{suffix}", 12, seed=1)
    two, _ = write_cifar10(tmp_path / f"data_batch_2.bin{suffix}", 11, seed=2)
    test, _ = write_cifar10(tmp_path / f"test_batch.bin{suffix}", 13, seed=3)
    source = build_source("cifar10", {"path": str(tmp_path / f"data_batch_1.bin{suffix}")})
    assert source.sample_shape == (32, 32, 3) and source.x.dtype == np.uint8 and source.parts is None
    assert source.class_names[3] == "cat" and source.labels().tolist() == labels_one.tolist()
    np.testing.assert_array_equal(source.read(np.array([5, 0])), one[[5, 0]].astype(float))
    whole = build_source("cifar10", {"path": tmp_path.name, "root": str(tmp_path.parent)})
    assert whole.n_samples == 36 and whole.parts.tolist() == [0] * 23 + [2] * 13
    np.testing.assert_array_equal(whole.x, np.concatenate([one, two, test]))


def test_bad_cifar10_is_refused(tmp_path):
    path = tmp_path / "data_batch_1.bin"
    options = {"path": str(path)}
    write_cifar10(path, 10)
    content = path.read_bytes()
    for bad, message in (
        (content[:-1], r"30729 bytes are not whole records of 3073"),
        (content + b"\0", r"30731 bytes are not whole records of 3073"),
        (b"", r"0 bytes are not whole records"),
        (bytes([10]) + content[1:], r"record 0 has label 10; allowed are 0 to 9"),
    ):
        path.write_bytes(bad)
        refused(message, "cifar10", options)
    path.write_bytes(content)
    write_cifar10(tmp_path / "data_batch_1.bin.gz", 10)
    refused(r"^dataset\.path: .*data_batch_1\.bin is there and gzipped as well", "cifar10", {"path": str(tmp_path)})
    (tmp_path / "data_batch_1.bin.gz").rename(tmp_path / "data_batch_2.bin.part")
    assert build_source("cifar10", {"path": str(tmp_path)}).n_samples == 10  # a half-written download is none
    (tmp_path / "empty").mkdir()
    refused(r"^dataset\.path: .*has no data_batch", "cifar10", {"path": str(tmp_path / "empty")})
    refused(r"^dataset\.path: no file", "cifar10", {"path": str(tmp_path / "absent")})
    refused(r"^dataset\.sha256: .* is a folder", "cifar10", {"path": str(tmp_path), "sha256": "0" * 64})


# ---- unpacking


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


# ---- generators


def test_fourier_series_has_its_frequencies_and_no_others():
    source = build_source("fourier_series", {"n_samples": 300, "n_frequencies": 4, "generator_seed": 2})
    x, y = source.read(np.arange(300))[:, 0], source.labels()

    def waves(n):
        return np.stack([f(k * x) for k in range(n + 1) for f in (np.cos, np.sin)], axis=1)

    for n, exact in ((3, False), (4, True)):
        residual = y - waves(n) @ np.linalg.lstsq(waves(n), y, rcond=None)[0]
        assert (np.max(np.abs(residual)) < 1e-10) == exact
    noisy = build_source("fourier_series", {"n_samples": 300, "n_frequencies": 4, "generator_seed": 2, "noise": 0.1})
    assert np.std(noisy.labels() - y) == pytest.approx(0.1, rel=0.2)
    for option, value in (("n_samples", 1), ("n_frequencies", 0), ("noise", -1.0)):
        refused(rf"^dataset\.{option}: ", "fourier_series", {option: value})


def test_friedman_is_that_of_sklearn():
    from sklearn.datasets import make_friedman1

    x, y = make_friedman1(50, 7, noise=0.5, random_state=3)
    options = {"n_samples": 50, "n_features": 7, "noise": 0.5, "generator_seed": 3}
    source = build_source("make_friedman1", options)
    np.testing.assert_array_equal(source.read(np.arange(50)), x)
    np.testing.assert_array_equal(source.labels(), y)
    refused(r"^dataset\.n_features: 4 is too few", "make_friedman1", {"n_features": 4})
