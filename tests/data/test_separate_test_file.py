"""A test set of its own: the rows of another file, classes by their names."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.data.registry import build_source
from tests.data.refusals import refused
from tests.data.writers import X, Y, write_csv, write_hdf5, write_idx_pair


def test_a_test_file_is_the_test_split_and_classes_go_by_name(tmp_path):
    np.savez(tmp_path / "a.npz", x=X, y=np.array(["ant", "bee", "cow"])[Y])
    np.savez(tmp_path / "b.npz", x=-X[:4], y=np.array(["cow", "ant", "cow", "ant"]))
    source = build_source("npz", {"path": str(tmp_path / "a.npz")}, str(tmp_path / "b.npz"))
    assert source.info.n_samples == 16 and source.info.class_names == ("ant", "bee", "cow")
    assert source.labels()[12:].tolist() == [2, 0, 2, 0] and source.info.parts.tolist() == [0] * 12 + [2] * 4
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
    assert build_source("idx", {"path": str(first)}, str(other)).info.parts.tolist() == [0] * 30 + [2] * 9
    write_hdf5(tmp_path / "a.h5", X, Y * 1.0)
    write_hdf5(tmp_path / "b.h5", X[:5], Y[:5] * 1.0)
    assert build_source("hdf5", {"path": str(tmp_path / "a.h5")}, str(tmp_path / "b.h5")).labels()[12:].tolist() == [
        0, 1, 2, 0, 1]  # fmt: skip
    write_csv(tmp_path / "a.csv")
    options = {"path": str(tmp_path / "a.csv"), "target": "kind", "features": ["a", "b"]}
    assert build_source("csv", options, str(tmp_path / "a.csv")).info.n_samples == 24


def test_test_files_that_do_not_fit_are_refused(tmp_path):
    for name, x, y in (
        ("a", X, Y), ("narrow", X[:, :2], Y), ("values", X, Y * 1.0), ("more", X, Y + 1),
    ):  # fmt: skip
        np.savez(tmp_path / f"{name}.npz", x=x, y=y)
    np.savez(tmp_path / "own.npz", x=X, y=Y, split=np.array(["train", "train", "val", "test"] * 3))
    options = {"path": str(tmp_path / "a.npz")}
    refused(
        "npz",
        r"^dataset\.test_path: .*samples of dataset\.path have shape \(3,\)",
        **options,
        test_path=str(tmp_path / "narrow.npz"),
    )
    refused(
        "npz",
        r"^dataset\.test_path: .* is a regression, .* a classification",
        **options,
        test_path=str(tmp_path / "values.npz"),
    )
    refused("npz", r"^dataset\.test_path: .*class 3 is not among", **options, test_path=str(tmp_path / "more.npz"))
    refused("npz", r"has test rows of its own", path=str(tmp_path / "own.npz"), test_path=str(tmp_path / "a.npz"))
    refused("digits", r"^dataset\.test_path: not used by digits", test_path="a.npz")
    (tmp_path / "a.csv").write_text("a,b,y\n1,2,0\n3,4,1\n")
    (tmp_path / "b.csv").write_text("b,a,y\n1,2,0\n3,4,1\n")
    options = {"path": str(tmp_path / "a.csv"), "target": "y"}
    refused("csv", r"has the columns b, a where dataset\.path has a, b", **options, test_path=str(tmp_path / "b.csv"))


def test_signs_go_by_their_names_in_test_files_too(tmp_path):
    for name, y in {"signs": [-1, 1] * 6, "minus": [-1] * 12, "plus": [1] * 12, "bits": [0, 1] * 6}.items():
        np.savez(tmp_path / f"{name}.npz", x=X, y=np.array(y))

    def labels(path, test_path):
        paths = [str(tmp_path / f"{name}.npz") for name in (path, test_path)]
        return build_source("npz", {"path": paths[0]}, paths[1]).labels()[12:].tolist()

    assert labels("signs", "signs") == [0, 1] * 6
    assert labels("signs", "minus") == [0] * 12
    assert labels("signs", "plus") == labels("bits", "plus") == [1] * 12
    for path, test_path, unknown in (("signs", "bits", "0"), ("bits", "signs", "-1"), ("bits", "minus", "-1")):
        refused("npz", f"class {unknown} is not among those of dataset.path",
                path=str(tmp_path / f"{path}.npz"), test_path=str(tmp_path / f"{test_path}.npz"))  # fmt: skip


def test_the_training_file_as_its_own_test_file_is_warned_of(tmp_path, monkeypatch):
    for name in ("a", "b"):
        np.savez(tmp_path / f"{name}.npz", x=X + 0.5, y=Y)
    (tmp_path / "c.npz").symlink_to(tmp_path / "a.npz")
    monkeypatch.chdir(tmp_path)

    def notes(test_path, **options):
        return build_source("npz", {"path": "a.npz", **options}, test_path).info.notes

    end = "is the file of dataset.path; its test rows are those of training"
    for path in ("a.npz", "c.npz", str(tmp_path / "a.npz")):
        assert (
            notes(path) == notes(path, root=str(tmp_path)) == (f"WARNING: dataset.test_path: {tmp_path / path} {end}",)
        )
    assert notes("b.npz") == ()
