"""Arrays of .npz and HDF5 files: types, tasks, and what no data can be, refused with its row."""

from __future__ import annotations

import re

import numpy as np
import pytest

from qmltrain.data.registry import build_source
from tests.data.refusals import refused
from tests.data.writers import X, Y, write_arrays

both_formats = pytest.mark.parametrize("name", ["npz", "hdf5"])


@both_formats
@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float16, np.float32, np.float64, ">f8", bool])
def test_number_types(name, dtype, tmp_path):
    x = X.astype(dtype)
    source = build_source(name, {"path": write_arrays(name, tmp_path, x=x, y=Y)})
    read = source.read(np.array([11, 2]))
    assert read.dtype == np.float64 and read.dtype.isnative
    assert np.array_equal(read, x[[11, 2]].astype(np.float64))


@both_formats
def test_task_follows_the_labels_type_unless_given(name, tmp_path):
    path = write_arrays(name, tmp_path, x=X, whole=Y, half=Y / 2, as_float=Y.astype(np.float32), truth=Y > 0)

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
        (X, np.where(Y == 1, -1, Y), "y: row 1 has label -1; classes .* or -1 and 1; .* dataset.task=regression$"),
        (X, np.where(Y == 2, 70_000, Y), "y: row 2 has label 70000; classes are integers from 0 to 65535"),
        (X, np.where(Y == 2, 2**63 + 1, Y).astype(np.uint64), "y: row 2 has label 9223372036854775809"),
        (X, np.where(Y == 1, np.nan, Y), "y: row 1 is NaN or infinity"),
        (X, X, r"y: has shape \(12, 3\); labels must be one number per sample, .* one-hot"),
        (X, Y[:-1], "12 samples but 11 labels"),
        (X, Y[:0], "y: is empty"),
        (X[:0], Y, r"x: is empty, shape \(0, 3\)"),
        (X[:, :0], Y, r"x: is empty, shape \(12, 0\)"),
        (X[:, 0], Y, r"x: has shape \(12,\); needs one row per sample"),
        (X + 0j, Y, "x: holds complex128; samples must be real"),
        (X, Y + 0j, r"y: holds complex128; labels must be"),
        (np.where(X == 16, np.nan, X), Y, "x: row 5 holds NaN or infinity"),
        (np.where(X == 35, -np.inf, X).astype(np.float32), Y, "x: row 11 holds NaN or infinity"),
    ],
)
def test_bad_arrays(name, x, y, message, tmp_path):
    path = write_arrays(name, tmp_path, x=x, y=y)
    assert refused(name, re.escape(path) + ".*" + message, path=path)
