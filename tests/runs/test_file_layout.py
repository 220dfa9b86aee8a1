"""Where things lie in a run file: names, attributes of any plain kind, the memory that it is laid out in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qmltrain.runs.file_layout import SparseMemory, dataset_name
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


def test_sparse_memory_is_a_file() -> None:
    """Against a byte array, with writes and reads across pages and beyond the end."""
    memory, plain = SparseMemory(), bytearray()
    rng = np.random.default_rng(1)
    for _ in range(200):
        offset, length = int(rng.integers(0, 30_000)), int(rng.integers(0, 9_000))
        data = rng.bytes(length)
        memory.seek(offset)
        memory.write(data)
        if length:
            plain.extend(bytes(max(0, offset + length - len(plain))))
            plain[offset : offset + length] = data
        memory.seek(int(rng.integers(0, 30_000)))
        begin = memory.tell()
        assert memory.read(5000) == plain[begin : begin + 5000]
    joined = bytearray(memory.size)
    for offset, data in memory.runs():
        joined[offset : offset + len(data)] = data
    assert joined == plain
