"""Arrays that say themselves what trains and what tests, and names of classes, from .npz and HDF5 files."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from qmltrain.data.registry import build_source
from qmltrain.data.selection import select
from tests.data.refusals import refused
from tests.data.writers import X, Y, write_hdf5

WORDS = np.array(["train", "train", "val", "test"] * 3)


@pytest.mark.parametrize("name", ["npz", "hdf5"])
@pytest.mark.parametrize(
    "split",
    [
        *(WORDS, np.array(["Training", "train ", "VALID", "testing"] * 3), np.array(["0", "0", "dev", "2"] * 3)),
        *(np.array([0, 0, 1, 2] * 3), np.array([0.0, 0, 1, 2] * 3), np.array([[0], [0], [1], [2]] * 3)),
    ],
    ids=["words", "other words", "texts", "numbers", "decimals", "a column"],
)
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
    refused(name, r"^dataset\.split_key: .* 'none'", path=str(path), split_key="none")
    two = select(source, classes=["cow", "ant"])
    assert two.info.parts.tolist() == [part for part, label in zip([0, 0, 1, 2] * 3, Y, strict=True) if label != 1]


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (WORDS[:11], "12 samples but 11 labels"),
        (
            np.array(["train"] * 11 + ["later"]),
            r"split: row 11 is 'later'; allowed are train, validation, test \(or 0, 1, 2\)$",
        ),
        (np.arange(12), "row 3 is .*allowed are"),
        (np.zeros((12, 2), dtype=int), r"has shape \(12, 2\)"),
        (np.arange(12) % 3 + 0.5, r"split: row 0 is 0\.5; allowed are train"),
        (np.arange(12) % 2 == 0, "split: holds true and false, which do not say a part; allowed are train"),
    ],
)
def test_bad_split_arrays_are_refused(split, message, tmp_path):
    np.savez(tmp_path / "data.npz", x=X, y=Y, split=split)
    refused("npz", message, path=str(tmp_path / "data.npz"))
    write_hdf5(tmp_path / "data.h5", X, Y)
    with h5py.File(tmp_path / "data.h5", "a") as file:
        file["split"] = split.astype("S") if split.dtype.kind == "U" else split
    refused("hdf5", message, path=str(tmp_path / "data.h5"))


@pytest.mark.parametrize("cells", [("0", "0", "1", "2"), ("0.0", "0.0", "1.0", "2.0"), ("train", "0", "val", "test")])
def test_split_columns_of_tables(cells, tmp_path):
    lines = [f"{k}.5,{k % 2},{cells[k % 4]}\n" for k in range(12)]
    (tmp_path / "data.csv").write_text("a,y,set\n" + "".join(lines))
    options = {"path": str(tmp_path / "data.csv"), "target": "y", "split_column": "set"}
    source = build_source("csv", options)
    assert source.info.parts.tolist() == [0, 0, 1, 2] * 3
    assert source.info.left_out == (("y", "the target"), ("set", "the split"))
    (tmp_path / "data.csv").write_text("a,y,set\n0.5,0,True\n1.5,1,False\n")
    refused("csv", r"column 'set': row 0 is 'True'; allowed are train", **options)
