"""Labels: every form that is accepted gives the classes of plain 0, 1, ..., and what is read one way of two is said."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmltrain.data.labels import read_labels
from qmltrain.data.registry import build_source
from qmltrain.errors import InputError
from tests.data.refusals import refused
from tests.data.writers import write_arrays

WORDS = np.array(["ant", "bee", "cow", "dog", "eel"])

plain_labels = st.lists(st.integers(0, 4), min_size=1, max_size=12).map(np.array)


def forms(plain):
    """Arrays that say the same as the classes `plain`, with the task that they need."""
    one_hot = np.eye(plain.max() + 1 if plain.max() else 2, dtype=int)[plain]
    for dtype in (np.uint8, np.int64, np.int32, ">i4"):
        yield plain.astype(dtype), None
    yield plain.astype(float), "classification"
    yield one_hot, None
    yield one_hot.astype(np.float32), None
    yield one_hot.astype(bool), "classification"
    if plain.max() <= 1:
        yield plain.astype(bool), None
    if plain.min() == 0 and plain.max() <= 1:
        yield 2 * plain - 1, None
        yield (2 * plain - 1).astype(np.int8), "classification"
        yield 2.0 * plain - 1, "classification"
    present = np.unique(plain)
    if len(present) == present[-1] + 1:
        for words in (WORDS[plain], WORDS[plain].astype("S"), WORDS[plain].astype(object)):
            yield words, None


@given(plain=plain_labels, column=st.booleans())
@settings(max_examples=60)
def test_every_form_gives_the_plain_classes(plain, column):
    for form, task in forms(plain):
        form = form[:, None] if column and form.ndim == 1 else form
        read = read_labels(form, task, "file", "y")
        assert read.task == "classification" and read.values.dtype == np.int64, form
        np.testing.assert_array_equal(read.values, plain)
        assert len(read.class_names) > plain.max()


@given(st.lists(st.floats(-9, 9), min_size=1, max_size=12))
def test_decimals_stay_targets(values):
    read = read_labels(np.array(values), None, "file", "y")
    assert read.task == "regression" and read.values.tolist() == values
    assert read_labels(np.array(values)[:, None], "regression", "file", "y").values.tolist() == values


@given(st.lists(st.tuples(st.integers(-1, 2), st.integers(-1, 2), st.integers(-1, 2)), min_size=1, max_size=6))
def test_arrays_are_one_hot_or_refused(rows):
    y = np.array(rows, dtype=float)
    if all(sorted(row) == [0, 0, 1] for row in rows):
        assert read_labels(y, None, "file", "y").values.tolist() == [row.index(1) for row in rows]
    else:
        with pytest.raises(InputError, match=r"^file: y: has shape .*one number per sample"):
            read_labels(y, None, "file", "y")
    with pytest.raises(InputError, match="has shape"):  # several targets
        read_labels(y, "regression", "file", "y")


def test_what_is_read_one_way_of_two_is_said():
    def notes(y, task=None):
        return read_labels(np.array(y), task, "file", "y").notes

    assert notes([-1, 1, 1]) == ("y: labels -1 and 1 are read as classes 0 and 1",)
    assert read_labels(np.array([-1, 1]), None, "file", "y").class_names == ("-1", "1")
    assert read_labels(np.array([-1, -1]), None, "file", "y").values.tolist() == [0, 0]  # one class, to be evaluated
    assert notes([[0, 1], [1, 0]]) == ("y: one-hot, shape (2, 2); the class of a row is the column of its 1, from 0",)
    assert notes([0.0, 1.0, 1.0]) == (
        "y: decimals (0, 1) are targets of a regression; as classes with dataset.task=classification",
    )
    assert notes([0.0, 1.0, 1.0], "regression") == notes([0.5, 1.0, 1.0]) == notes([0, 1, 1]) == notes(["a", "b"]) == ()
    assert notes(np.arange(40)) == (
        "y: 40 different integers are classes; as numbers to predict with dataset.task=regression",
    )
    assert notes(np.arange(40), "classification") == notes(np.arange(400) % 40) == ()


@pytest.mark.parametrize(
    ("y", "task", "message"),
    [
        ([-1, 0, 1], None, "row 0 has label -1; classes .* dataset.task=regression"),
        ([0.5, 1.0], "classification", "row 0 has label 0.5; classes"),
        ([1e20, 1.0], "classification", r"row 0 has label 1e\+20; classes are integers from 0 to 65535"),
        (["a\0b", "c"], None, r"row 0 is 'a\\x00b', with a character that is no text"),
        (["c", "\ud800"], None, "row 1 is '.ud800', with a character that is no text"),
        ([b"\xe4", b"\xf6"], None, "different texts that are no UTF-8"),
        (["a", " "], None, "row 1 is empty"),
        (["a", "b"], "regression", "row 0 is the text 'a'"),
        ([None, 1], None, "holds object"),
        ([1], "ranking", r"^dataset\.task: 'ranking' is not known"),
    ],
)
def test_labels_that_cannot_be(y, task, message):
    with pytest.raises(InputError, match=message) as caught:
        read_labels(np.array(y), task, "file", "y")
    assert "np." not in str(caught.value)


@pytest.mark.parametrize("name", ["npz", "hdf5", "csv", "parquet", "python"])
def test_minus_one_and_one_in_every_kind_of_file(name, tmp_path, monkeypatch):
    x, y = np.array([[0.5], [1.5], [2.5], [0.25]]), np.array([-1, 1, 1, -1])
    options = {"path": str(tmp_path / f"data.{name}")}
    if name in ("npz", "hdf5"):
        options["path"] = write_arrays(name, tmp_path, x=x, y=y)
    elif name == "csv":
        (tmp_path / "data.csv").write_text("a,y\n0.5,-1\n1.5,+1\n2.5,1\n0.25,-1\n")
    elif name == "parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
        pyarrow = pytest.importorskip("pyarrow")
        parquet.write_table(pyarrow.table({"a": x[:, 0], "y": y}), options["path"])
    else:
        (tmp_path / "signs_for_labels.py").write_text(f"def make():\n    return {x.tolist()}, {y.tolist()}\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        options = {"function": "signs_for_labels:make"}
    source = build_source(name, options | ({"target": "y"} if name in ("csv", "parquet") else {}))
    assert source.labels().tolist() == [0, 1, 1, 0] and source.info.class_names == ("-1", "1")
    assert [note.split(": ")[1] for note in source.info.notes] == ["labels -1 and 1 are read as classes 0 and 1"]


def test_one_hot_and_columns_in_hdf5(tmp_path):
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["x"], file["y"], file["column"] = np.eye(3), np.eye(3)[[2, 0, 1]], [[b"u"], [b"t"], [b"u"]]
    assert build_source("hdf5", {"path": str(tmp_path / "data.h5")}).labels().tolist() == [2, 0, 1]
    words = build_source("hdf5", {"path": str(tmp_path / "data.h5"), "y_key": "column"})
    assert words.labels().tolist() == [1, 0, 1] and words.info.class_names == ("t", "u")


def test_labels_of_a_table_are_numbers_only_where_they_look_like_numbers(tmp_path):
    def names(*labels):
        (tmp_path / "data.csv").write_text("a,y\n" + "".join(f"0.5,{label}\n" for label in labels))
        return build_source("csv", {"path": str(tmp_path / "data.csv"), "target": "y"}).info.class_names

    assert names("1_0", "10", "2") == ("10", "1_0", "2")
    assert names("\u0661", "2") == ("2", "\u0661")
    assert names("2", "0", "+1") == ("0", "1", "2")
    (tmp_path / "data.csv").write_text("a,y\n0.5,1\n1.5,100000000000000000000\n")
    refused("csv", "row 1 of column 'y' holds 100000000000000000000, too large",
            path=str(tmp_path / "data.csv"), target="y")  # fmt: skip
