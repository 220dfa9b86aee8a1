""".npz and .npy files: names of arrays, labels and test sets of their own, damage; no code of theirs is run."""

from __future__ import annotations

import hashlib
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from qmltrain.data.registry import build_source
from qmltrain.errors import InputError
from tests.data.refusals import refused
from tests.data.writers import X, Y, write_arrays

both_formats = pytest.mark.parametrize("name", ["npz", "hdf5"])


def test_npz_never_unpickles(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("a data file ran code",))

    np.savez(tmp_path / "data.npz", x=np.array([[Bomb()]], dtype=object), y=Y)
    refused("npz", "x: it holds Python objects; save plain numbers", path=str(tmp_path / "data.npz"))
    np.save(tmp_path / "objects.npy", np.array([[Bomb()]], dtype=object))
    refused("npz", "objects.npy: it holds Python objects", path=str(tmp_path / "objects.npy"),
            labels_path=str(tmp_path / "objects.npy"))  # fmt: skip
    np.save(tmp_path / "bare.npy", X)
    refused("npz", "is one bare array; save both .* dataset.labels_path$", path=str(tmp_path / "bare.npy"))
    unlabelled = build_source("npz", {"path": str(tmp_path / "bare.npy")}, labels_needed=False)  # to be predicted
    np.testing.assert_array_equal(unlabelled.read(np.arange(12)), X)
    np.savez(tmp_path / "only_y.npz", y=np.eye(3))
    refused("npz", r"^dataset\.x_key: .* no array 'x'; it has y$", path=str(tmp_path / "only_y.npz"))


@both_formats
def test_a_test_set_in_the_same_file(name, tmp_path):
    path = write_arrays(name, tmp_path, x_train=X, y_train=Y, x_test=-X[:4], y_test=Y[:4])
    whole = build_source(name, {"path": path})
    named = build_source(name, {"path": path, "x_test_key": "x_test", "y_test_key": "y_test"})
    for source in (whole, named):
        assert source.labels().tolist() == [*Y, *Y[:4]] and source.info.parts.tolist() == [0] * 12 + [2] * 4
        np.testing.assert_array_equal(source.read(np.arange(16)), np.concatenate([X, -X[:4]]))
    alone = build_source(name, {"path": path, "x_key": "x_train", "y_key": "y_train"})  # as it was always read
    assert alone.info.n_samples == 12 and alone.info.parts is None
    assert alone.checksum == hashlib.sha256(Path(path).read_bytes()).hexdigest() == file_digest(name, path)
    refused(name, r"^dataset\.x_test_key, dataset\.y_test_key: one is given", path=path, x_test_key="x_test")
    refused(name, r"^dataset\.y_test_key: .* no \w+ 'z'", path=path, x_test_key="x_test", y_test_key="z")


def file_digest(name, path):
    return build_source(name, {"path": path, "x_key": "x_test", "y_key": "y_test"}).checksum


@both_formats
@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x_test": X[:4, :2], "y_test": Y[:4]}, r"samples of dataset\.x_key have shape \(3,\)"),
        ({"x_test": X[:4], "y_test": Y[:4] + 3}, r"class [345] is not among those of dataset\.x_key"),
        ({"x_test": X[:4], "y_test": Y[:4] * 1.0}, r"is a regression, dataset\.x_key a classification"),
        ({"x_test": X[:4], "y_test": Y[:4], "split": np.arange(12) % 3}, "has test rows of its own"),
    ],
)
def test_a_test_set_that_does_not_fit(name, arrays, message, tmp_path):
    path = write_arrays(name, tmp_path, x_train=X, y_train=Y, **arrays)
    refused(name, rf"^dataset\.x_test_key: .*{message}", path=path)


def test_arrays_that_are_not_used_are_named(tmp_path):
    path = write_arrays("npz", tmp_path, x=X + 0.5, y=Y, x_test=X[:4], y_test=Y[:4])
    source = build_source("npz", {"path": path})
    assert source.info.n_samples == 12 and source.info.parts is None
    assert [note for note in source.info.notes if note.startswith("arrays x_test, y_test: not used")]
    used = build_source("npz", {"path": path, "x_test_key": "x_test", "y_test_key": "y_test"})
    assert used.info.n_samples == 16 and not [note for note in used.info.notes if "not used" in note]


@pytest.mark.parametrize("suffix", ["npz", "npy"])
def test_images_and_labels_in_files_of_one_array_each(suffix, tmp_path):
    arrays = {"train-imgs": X, "train-labels": Y, "test-imgs": -X[:4], "test-labels": Y[:4]}
    paths = {name: str(tmp_path / f"{name}.{suffix}") for name in arrays}
    for name, array in arrays.items():
        np.savez(paths[name], array) if suffix == "npz" else np.save(paths[name], array)
    options = {"path": paths["train-imgs"], "labels_path": paths["train-labels"]}
    source = build_source("npz", options, paths["test-imgs"], test_labels_path=paths["test-labels"])
    assert source.labels().tolist() == [*Y, *Y[:4]] and source.info.parts.tolist() == [0] * 12 + [2] * 4
    np.testing.assert_array_equal(source.read(np.arange(16)), np.concatenate([X, -X[:4]]))
    alone = build_source("npz", options)
    content = Path(paths["train-imgs"]).read_bytes() + Path(paths["train-labels"]).read_bytes()
    assert alone.checksum == hashlib.sha256(content).hexdigest()
    refused("npz", r"12 samples but 4 labels", path=paths["train-imgs"], labels_path=paths["test-labels"])
    refused("npz", r"^dataset\.labels_path: no file", path=paths["train-imgs"], labels_path=str(tmp_path / "no"))
    with pytest.raises(InputError, match=r"^dataset\.test_labels_path: no file"):
        build_source("npz", options, paths["test-imgs"], test_labels_path=str(tmp_path / "no"))
    with pytest.raises(InputError, match=r"^dataset\.test_labels_path: not used by hdf5"):
        build_source("hdf5", {"path": write_arrays("hdf5", tmp_path, x=X, y=Y)}, "a", test_labels_path="b")


def test_labels_beside_an_archive_of_several_arrays(tmp_path):
    np.savez(tmp_path / "x.npz", first=X, second=-X)
    np.savez(tmp_path / "y.npz", y=Y, other=Y[::-1])
    options = {"path": str(tmp_path / "x.npz"), "labels_path": str(tmp_path / "y.npz")}
    refused("npz", r"^dataset\.x_key: .*x\.npz has no array 'x'; it has first, second$", **options)
    source = build_source("npz", options | {"x_key": "second"})
    assert source.read(np.array([1])).tolist() == [[-3, -4, -5]] and source.labels().tolist() == Y.tolist()
    assert build_source("npz", options | {"x_key": "first", "y_key": "other"}).labels().tolist() == Y[::-1].tolist()


def npy(header: bytes, body: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    return b"\x93NUMPY" + version + struct.pack("<H", len(header)) + header + body


HEADER = b"{'descr': '<f8', 'fortran_order': False, 'shape': (12, 3), }\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (npy(HEADER.replace(b"12", b"13"), X.tobytes()), r"its header says \(13, 3\) of float64, 312 bytes, but 288"),
        (npy(HEADER.replace(b"12", b"9" * 17), X.tobytes()), r"its header says \(9{17}, 3\) of float64"),
        (npy(HEADER.replace(b"12", b"9" * 150), X.tobytes()), r"its header says \(9{76}\.\.\. of float64, "),
        (npy(HEADER, X.tobytes()[:-1]), "288 bytes, but 287 follow"),
        (npy(HEADER, X.tobytes() + b"x"), "288 bytes, but 289 follow"),
        (npy(HEADER.replace(b"<f8", b"<q\0")), "not a readable .npz file"),
        (npy(HEADER.replace(b"}", b"(")), "not a readable .npz file"),
        (npy(HEADER.replace(b"'shape'", b"'shade'")), "not a readable .npz file"),
        (npy(HEADER.replace(b"(12, 3)", b"(12,-3)"), X.tobytes()), "its header says|not a readable"),
        (npy(HEADER, X.tobytes(), b"\x03\x00"), "has a format of version 3.0"),
        (npy(HEADER, X.tobytes(), b"\x09\x09"), "has a format of version 9.9|not a readable"),
        (npy(HEADER)[:20], "not a readable .npz file"),
        (b"\x93NUMPY", "not a readable .npz file"),
    ],
)
def test_headers_that_cannot_be(content, message, tmp_path):
    np.save(tmp_path / "y.npy", Y)
    (tmp_path / "x.npy").write_bytes(content)
    refused("npz", message, path=str(tmp_path / "x.npy"), labels_path=str(tmp_path / "y.npy"))
    with zipfile.ZipFile(tmp_path / "data.npz", "w") as archive:
        archive.writestr("x.npy", content)
        archive.write(tmp_path / "y.npy", "y.npy")
    assert "data.npz" in refused("npz", message, path=str(tmp_path / "data.npz"))


@pytest.mark.parametrize("compressed", [False, True])
def test_damage_anywhere_is_one_line_or_harmless(compressed, tmp_path):
    path = tmp_path / "data.npz"
    (np.savez_compressed if compressed else np.savez)(path, x=X.astype(np.uint8), y=np.array(["a", "b", "c"])[Y])
    content = path.read_bytes()
    generator = np.random.default_rng(5)
    for _ in range(300):
        damaged = bytearray(content)
        start = int(generator.integers(len(content)))
        if generator.random() < 0.3:
            del damaged[start:]
        else:
            damaged[start : start + int(generator.integers(1, 40))] = generator.bytes(int(generator.integers(1, 40)))
        path.write_bytes(damaged)
        try:
            source = build_source("npz", {"path": str(path)})
            assert source.labels().tolist() == Y.tolist() and (source.read(np.arange(12)) == X).all()
        except InputError as error:
            assert str(path) in str(error) and "\n" not in str(error)
