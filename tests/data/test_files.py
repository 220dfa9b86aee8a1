"""Files as users have them: in other folders, gzipped, cut short, with the wrong content."""

from __future__ import annotations

import gzip
import hashlib
import re
import struct
from pathlib import Path

import h5py
import numpy as np
import pytest

from qmltrain.data.hdf5 import _slabs
from qmltrain.data.registry import build_source
from qmltrain.errors import InputError
from tests.data.writers import write_hdf5, write_idx, write_idx_pair

X, Y = np.arange(36.0).reshape(12, 3), np.arange(12) % 3


def refused(name, message, **options):
    """The message of the InputError, which is one line and matches."""
    with pytest.raises(InputError, match=message) as caught:
        build_source(name, options).read(np.arange(12))
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---- finding the file and knowing it


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


# ---- idx


def test_idx_labels_are_found_beside_the_images_under_either_spelling(tmp_path):
    images_file, labels_file, _, labels = write_idx_pair(tmp_path)
    images_file = images_file.rename(tmp_path / "t10k-images.idx3-ubyte")
    labels_file.rename(tmp_path / "t10k-labels.idx1-ubyte")
    assert np.array_equal(build_source("idx", {"path": str(images_file)}).labels(), labels)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_reads_what_was_written(suffix, tmp_path):
    images_file, labels_file, images, labels = write_idx_pair(tmp_path, suffix=suffix)
    source = build_source("idx", {"path": str(images_file)})  # name of the labels file derived
    assert source.info.sample_shape == (5, 4) and source.x.dtype == np.uint8
    rows = np.array([7, 29, 0])
    assert np.array_equal(source.read(rows), images[rows].astype(float))
    assert np.array_equal(source.labels(), labels)
    both = hashlib.sha256(images_file.read_bytes() + labels_file.read_bytes()).hexdigest()
    assert source.checksum == both
    other = images_file.rename(tmp_path / f"pictures{suffix}")
    refused("idx", r"^dataset\.labels_path: not given", path=str(other))
    assert build_source("idx", {"path": str(other), "labels_path": str(labels_file)}).checksum == both


def test_gzip_is_known_by_its_content_not_its_name(tmp_path):
    images_file, _, images, _ = write_idx_pair(tmp_path)
    images_file.write_bytes(gzip.compress(images_file.read_bytes()))
    assert np.array_equal(build_source("idx", {"path": str(images_file)}).x, images)


def spoil(path, change):
    """Apply `change` to the content of the file, inside the compression where there is one."""
    content = path.read_bytes()
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(change(gzip.decompress(content))))
    else:
        path.write_bytes(change(content))


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b: b"<!DO" + b[4:], "begins with 0x3c21444f, IDX images begin with 0x00000803$"),
        (lambda b: b[:3], "truncated: 3 bytes"),
        (lambda b: b[:9], "truncated inside its header"),
        (lambda b: b[:-1], r"header says \(30, 5, 4\), 600 bytes, but only 599 follow"),
        (lambda b: b + b"x", "but more than 600 follow"),
        (lambda b: b[:4] + b"\xff" * 12 + b[16:], "but only 600 follow"),
        (lambda b: b[:4] + struct.pack(">3I", 0, 5, 4), "is empty, its header says"),
        (lambda b: b"", "truncated: 0 bytes"),
    ],
)
def test_spoilt_idx_images(change, message, suffix, tmp_path):
    images_file, *_ = write_idx_pair(tmp_path, suffix=suffix)
    spoil(images_file, change)
    assert str(images_file) in refused("idx", message, path=str(images_file))


def test_spoilt_gzip(tmp_path):
    images_file, *_ = write_idx_pair(tmp_path, suffix=".gz")
    content = images_file.read_bytes()
    for damaged in (content[: len(content) // 2], content[:-6], content[:200] + b"\0" * 50 + content[250:]):
        images_file.write_bytes(damaged)
        assert str(images_file) in refused("idx", "truncated or damaged gzip", path=str(images_file))


def test_idx_images_and_labels_that_do_not_belong_together(tmp_path):
    images_file, labels_file, _, labels = write_idx_pair(tmp_path)
    refused("idx", "this is a file of labels", path=str(labels_file), labels_path=str(images_file))
    write_idx(labels_file, labels[:-1])
    message = refused("idx", "has 30 images but .* has 29 labels", path=str(images_file))
    assert str(images_file) in message and str(labels_file) in message
    write_idx(labels_file, np.full(30, 7, dtype=np.uint8))
    assert str(labels_file) in refused("idx", "every label is 7", path=str(images_file))
    labels_file.unlink()
    refused("idx", rf"^dataset\.labels_path: no file {labels_file}", path=str(images_file))


# ---- npz and hdf5: the same content, the same checks


def write(name, folder, **arrays):
    path = folder / f"data.{name}"
    if name == "npz":
        np.savez(path, **arrays)
    else:
        with h5py.File(path, "w") as file:
            for key, value in arrays.items():
                file[key] = value
    return str(path)


both_formats = pytest.mark.parametrize("name", ["npz", "hdf5"])


@both_formats
@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float16, np.float32, np.float64, ">f8", bool])
def test_number_types(name, dtype, tmp_path):
    x = X.astype(dtype)
    source = build_source(name, {"path": write(name, tmp_path, x=x, y=Y)})
    read = source.read(np.array([11, 2]))
    assert read.dtype == np.float64 and read.dtype.isnative
    assert np.array_equal(read, x[[11, 2]].astype(np.float64))


@both_formats
def test_task_follows_the_labels_type_unless_given(name, tmp_path):
    path = write(name, tmp_path, x=X, whole=Y, half=Y / 2, as_float=Y.astype(np.float32), truth=Y > 0)

    def task(y_key, **options):
        source = build_source(name, {"path": path, "y_key": y_key, **options})
        return source.info.task, source.labels().dtype, source.info.class_names

    assert task("whole") == ("classification", np.int64, ("0", "1", "2"))
    assert task("truth") == ("classification", np.int64, ("0", "1"))
    assert task("half") == ("regression", np.float64, ())
    assert task("as_float") == ("regression", np.float64, ())
    assert task("as_float", task="classification") == ("classification", np.int64, ("0", "1", "2"))
    assert task("whole", task="regression") == ("regression", np.float64, ())
    refused(name, "row 1 has label 0.5; classes are integers", path=path, y_key="half", task="classification")
    refused(name, r"^dataset\.task: 'ranking' is not known", path=path, y_key="whole", task="ranking")


@both_formats
@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (X, np.where(Y == 1, -1, Y), "y: row 1 has label -1; classes are integers from 0"),
        (X, np.where(Y == 2, 70_000, Y), "y: row 2 has label 70000; classes are integers from 0 to 65535"),
        (X, np.where(Y == 2, 2**63 + 1, Y).astype(np.uint64), "y: row 2 has label 9223372036854775809"),
        (X, np.ones(12, dtype=int), "y: every label is 1; classification needs at least two"),
        (X, np.where(Y == 1, np.nan, Y), "y: row 1 is NaN or infinity"),
        (X, Y[:, None], r"y: has shape \(12, 1\); labels must be one number a sample"),
        (X, Y[:-1], "12 samples but 11 labels"),
        (X, Y[:0], "y: is empty"),
        (X[:0], Y, r"x: is empty, shape \(0, 3\)"),
        (X[:, :0], Y, r"x: is empty, shape \(12, 0\)"),
        (X[:, 0], Y, r"x: has shape \(12,\); needs one row a sample"),
        (X + 0j, Y, "x: holds complex128; samples must be real"),
        (X, Y + 0j, r"y: holds complex128; labels must be"),
        (np.where(X == 16, np.nan, X), Y, "x: row 5 holds NaN or infinity"),
        (np.where(X == 35, -np.inf, X).astype(np.float32), Y, "x: row 11 holds NaN or infinity"),
    ],
)
def test_bad_arrays(name, x, y, message, tmp_path):
    path = write(name, tmp_path, x=x, y=y)
    assert refused(name, re.escape(path) + ".*" + message, path=path)


@both_formats
def test_missing_keys_list_what_is_there(name, tmp_path):
    path = write(name, tmp_path, images=X, labels=Y)
    refused(name, r"^dataset\.x_key: .* 'x'; it has images, labels$", path=path)
    refused(name, r"^dataset\.y_key: .* 'target'; it has images, labels$", path=path, x_key="images", y_key="target")
    assert build_source(name, {"path": path, "x_key": "images", "y_key": "labels"}).info.n_samples == 12


@both_formats
def test_damaged_files(name, tmp_path):
    path = write(name, tmp_path, x=X, y=Y)
    content = Path(path).read_bytes()
    for damaged in (content[: len(content) // 2], b"not data at all", b""):
        Path(path).write_bytes(damaged)
        assert path in refused(name, f"not a readable {'.npz' if name == 'npz' else 'HDF5'} file", path=path)


def test_npz_never_unpickles(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("a data file ran code",))

    np.savez(tmp_path / "data.npz", x=np.array([[Bomb()]], dtype=object), y=Y)
    refused("npz", "x: it holds Python objects; save plain numbers", path=str(tmp_path / "data.npz"))
    np.save(tmp_path / "bare.npy", X)
    refused("npz", "is one bare array; save both", path=str(tmp_path / "bare.npy"))


# ---- hdf5: read by row


@pytest.mark.parametrize(
    "layout",
    [{}, {"chunks": (1, 3)}, {"chunks": (5, 2)}, {"chunks": (64, 3), "compression": "gzip", "maxshape": (None, 3)}],
)
def test_hdf5_rows_in_any_order(layout, tmp_path):
    x = np.random.default_rng(0).normal(size=(101, 3))
    path = write_hdf5(tmp_path / "data.h5", x, np.arange(101) % 2, **layout)
    source = build_source("hdf5", {"path": str(path)})
    generator = np.random.default_rng(1)
    for rows in (np.arange(101), np.array([100]), generator.permutation(101), generator.integers(0, 101, 500)):
        for dtype in (np.int64, np.uint8):
            assert np.array_equal(source.read(rows.astype(dtype)), x[rows])


def test_hdf5_reads_neighbours_together_and_each_chunk_once():
    wanted = np.array([0, 1, 2, 7, 9, 20])
    assert _slabs(wanted, 1) == [(0, 2), (3, 3), (4, 4), (5, 5)]
    assert _slabs(wanted, 5) == [(0, 2), (3, 4), (5, 5)]
    assert _slabs(wanted, 64) == [(0, 5)]
    assert _slabs(wanted[:0], 4) == []


def test_hdf5_names_the_bad_row_when_it_is_read(tmp_path):
    x = np.where(np.arange(300).reshape(100, 3) == 200, np.nan, 1.0)
    path = write_hdf5(tmp_path / "data.h5", x, np.arange(100) % 2)
    source = build_source("hdf5", {"path": str(path)})
    assert source.read(np.array([99, 65])).shape == (2, 3)
    with pytest.raises(InputError, match=f"^{path}: x: row 66 holds NaN"):
        source.read(np.array([99, 3, 66]))


def test_hdf5_without_a_shape(tmp_path):
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["x"], file["y"] = h5py.Empty("f8"), Y
    refused("hdf5", "data.h5: x: is empty", path=str(tmp_path / "data.h5"))


def test_hdf5_damaged_inside_is_found_when_it_is_read(tmp_path):
    path = write_hdf5(tmp_path / "data.h5", X, Y, chunks=(4, 3), compression="gzip", fletcher32=True)
    with h5py.File(path) as file:
        place = file["x"].id.get_chunk_info(1)
    content = bytearray(path.read_bytes())
    content[place.byte_offset + 5] ^= 0xFF
    path.write_bytes(content)
    source = build_source("hdf5", {"path": str(path)})
    assert np.array_equal(source.read(np.array([0, 11])), X[[0, 11]])
    with pytest.raises(InputError, match=f"^{path}: x: rows 5 to 6 cannot be read"):
        source.read(np.array([6, 5]))


def test_hdf5_groups_are_not_datasets(tmp_path):
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["train/x"], file["train/y"] = X, Y
    path = str(tmp_path / "data.h5")
    refused("hdf5", r"no dataset 'train'; it has train/x, train/y", path=path, x_key="train")
    assert build_source("hdf5", {"path": path, "x_key": "train/x", "y_key": "train/y"}).info.n_samples == 12


# ---- python


def python_module(tmp_path, monkeypatch, name, text):
    (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    return text


def test_python_function_makes_the_data(tmp_path, monkeypatch):
    text = "import numpy as np\n\ndef make():\n    return [[0, 1], [2, 3], [4, 5]], [0.5, 1, 2]\n"
    python_module(tmp_path, monkeypatch, "made_data", text)
    source = build_source("python", {"function": "made_data:make"})
    assert source.info.task == "regression"
    assert source.read(np.array([1])).tolist() == [[2.0, 3.0]]


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("bad_data", "'bad_data' is not"),
        ("no_such_module_at_all:make", "no_such_module_at_all"),
        ("bad_data:absent", "absent"),
        ("bad_data:raises", "ZeroDivisionError"),
        ("bad_data:one_array", r"returned a list; it must return \(x, y\)"),
        ("bad_data:three", r"returned a tuple of 3; it must return \(x, y\)"),
        ("bad_data:ragged", "x: a list that is not an array of numbers"),
        ("bad_data:texts", "y: holds object; labels must be"),
        ("bad_data:nan", "x: row 1 holds NaN"),
    ],
)
def test_bad_python_functions(reference, message, tmp_path, monkeypatch):
    python_module(
        tmp_path,
        monkeypatch,
        "bad_data",
        "def raises():\n    return 1 / 0\n\n"
        "def one_array():\n    return [1]\n\n"
        "def three():\n    return 1, 2, 3\n\n"
        "def ragged():\n    return [[1], [2, 3]], [0, 1]\n\n"
        "def texts():\n    return [[1], [2]], ['a', None]\n\n"
        "def nan():\n    return [[1], [float('nan')]], [0, 1]\n",
    )
    assert refused("python", message, function=reference).startswith("dataset.function: ")
