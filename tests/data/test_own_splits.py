"""Data that says itself what trains and what tests: split arrays; names of classes."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from qmltrain.data.registry import build_source
from qmltrain.data.selection import select
from qmltrain.data.splits import split_as_given
from qmltrain.errors import InputError
from tests.data.writers import write_hdf5

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
    assert source.info.class_names == ("ant", "bee", "cow") and source.labels().tolist() == Y.tolist()
    assert source.info.parts.tolist() == [0, 0, 1, 2] * 3
    assert build_source(name, {"path": str(path), "split_key": "part"}).info.parts.tolist() == [2, 1, 0, 0] * 3
    refused(r"^dataset\.split_key: .* 'none'", name, {"path": str(path), "split_key": "none"})
    two = select(source, classes=["cow", "ant"])
    assert two.info.parts.tolist() == [part for part, label in zip([0, 0, 1, 2] * 3, Y, strict=True) if label != 1]


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
