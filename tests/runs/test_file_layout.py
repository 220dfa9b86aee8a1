"""Where things lie in a run file: names, attributes of any plain kind, small datasets, the counter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from qmltrain.runs.file_layout import SECTOR, VALID_ROWS, dataset_name
from qmltrain.runs.views import open_run
from tests.runs.small_store import create


@pytest.mark.parametrize("names", [["val/loss", "val_loss"], ["step"], [""], ["a", "a"]])
def test_names_that_would_meet_in_the_file_are_refused(tmp_path: Path, names: list[str]) -> None:
    with pytest.raises(ValueError, match="distinct"):
        create(tmp_path, metrics=names)
    assert dataset_name("val/loss") == "val_loss"


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ("text \u00b5 \udcff", "text \u00b5 \\udcff"),  # an argument that is not UTF-8 comes as a surrogate
        (["\udcff", "b"], ["\\udcff", "b"]),
        (True, True),
        (2**63, str(2**63)),
        (np.float32(0.5), 0.5),
        (np.arange(3), [0, 1, 2]),
        ([1, 2**100], f"[1, {2**100}]"),
        ([1, None], "[1, null]"),
        ([], []),
        (float("inf"), float("inf")),
        ({"a": [1, {"b": None}]}, '{"a": [1, {"b": null}]}'),
    ],
)
def test_any_plain_attribute_can_be_stored(tmp_path: Path, value: Any, stored: Any) -> None:
    store = create(tmp_path, attributes={"early": value})
    store.set_attributes(late=value)
    store.close()
    attributes = open_run(tmp_path).attributes
    assert attributes["early"] == stored and attributes["late"] == stored


@pytest.mark.parametrize("value", [{1, 2}, object(), "nul \0 character"])
def test_an_attribute_that_cannot_be_stored_is_refused_at_once(tmp_path: Path, value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        create(tmp_path / "other", attributes={"early": value})
    assert list((tmp_path / "other").iterdir()) == []
    store = create(tmp_path)
    with pytest.raises(TypeError, match="attribute 'late' cannot be stored"):
        store.set_attributes(late=value)
    store.append_step(1, {"loss": 1})
    store.close()


@pytest.mark.parametrize("completed", [False, True])
def test_small_datasets_stay_as_they_are(tmp_path: Path, completed: bool) -> None:
    """Also one of a name that no version knows yet."""
    given: dict[str, Any] = {
        "data/features": ["a \u00b5", ""],
        "data/counts": np.arange(6).reshape(3, 2),
        "later/empty": [],
        "later/half": np.float32([0.5]),
    }
    store = create(tmp_path, arrays=given)
    store.append_step(1, {"loss": 1})
    store.close("completed" if completed else "interrupted")
    with h5py.File(tmp_path / "run.h5") as file:
        assert file["data/features"].asstr()[()].tolist() == ["a \u00b5", ""]
        assert file["data/counts"][()].tolist() == [[0, 1], [2, 3], [4, 5]]
        assert file["data/counts"].dtype == np.int64 and file["later/half"].dtype == np.float32
        assert file["later/empty"].shape == (0,)
        assert file["parameters/names"].shape == (3,)


@pytest.mark.parametrize("characters", [1, 70_000])
def test_the_counter_lies_in_one_sector(tmp_path: Path, characters: int) -> None:
    create(tmp_path, attributes={"config_yaml": "x" * characters}, arrays={"a": np.zeros(characters)}).abandon()
    with h5py.File(tmp_path / "run.h5") as file:
        begin, length = file[VALID_ROWS].id.get_offset(), file[VALID_ROWS].nbytes
    assert length == 80 and begin // SECTOR == (begin + length - 1) // SECTOR
