"""Columns that are seldom meant as features are named, others are not."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.data.column_notes import column_notes
from qmltrain.data.registry import SOURCES, build_source
from tests.data.writers import write_arrays

GENERATOR = np.random.default_rng(3)
N = 40
NORMAL = GENERATOR.normal(size=N)
LABELS = np.arange(N) % 2
ROW_NUMBERS = "WARNING: {}: integers, all different"


@pytest.mark.parametrize(
    "values",
    [np.arange(N), GENERATOR.permutation(N) + 1000, np.arange(N)[::-1] * 7.0, np.arange(N, dtype=np.float32) + 1e5],
)
def test_row_numbers_are_warned_about(values):
    notes = column_notes(np.stack([NORMAL, values], axis=1), LABELS, ["a", "id"])
    assert len(notes) == 1 and notes[0].startswith(ROW_NUMBERS.format("column 'id'"))
    assert column_notes(np.stack([values, NORMAL], axis=1), LABELS)[0].startswith(ROW_NUMBERS.format("column 0"))


@pytest.mark.parametrize(
    "values",
    [NORMAL, np.arange(N) // 2, np.arange(N) + 0.5, GENERATOR.integers(0, 9, N), np.arange(N) % 3 == 0, NORMAL * 1e155],
)
def test_measurements_are_not(values):
    assert column_notes(values[:, None], LABELS) == ()
    assert column_notes(np.stack([values, NORMAL + 1], axis=1), LABELS, ["a", "b"]) == ()


@pytest.mark.parametrize(
    ("labels", "values", "tells"),
    [
        (LABELS, LABELS, True),
        (LABELS, 7.5 - 2 * LABELS, True),
        (np.arange(N) % 4, np.array([3, 1, 0, 2])[np.arange(N) % 4], True),
        (np.arange(N) % 4, np.arange(N) % 2, False),  # two labels have one value
        (LABELS, np.arange(N) % 4, False),  # two values have one label
        (LABELS, np.where(np.arange(N) == 7, 0, LABELS), False),
        (NORMAL, NORMAL, True),
        (NORMAL, 2 * NORMAL, False),  # as every feature of which no value repeats
    ],
)
def test_the_label_under_another_name_is_warned_about(labels, values, tells):
    notes = column_notes(np.stack([NORMAL**2, values], axis=1), labels, ["a", "species_id"])
    assert len(notes) == tells
    assert not tells or notes[0].startswith("WARNING: column 'species_id': one value for each label")


def test_constant_and_repeated_columns():
    x = np.stack([NORMAL, np.full(N, 3.0), NORMAL, np.full(N, 3.0), -NORMAL], axis=1)
    constant, repeated = column_notes(x, LABELS, "abcde")
    assert constant == "columns 'b', 'd': constant, tells nothing"
    assert repeated == "the same column twice: column 'c' = 'a'"
    many = column_notes(np.zeros((N, 30)), LABELS)
    assert many == ("columns 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ... 20 more: constant, tells nothing",)


def test_few_rows_images_and_large_arrays_are_not_looked_at(monkeypatch):
    assert column_notes(np.arange(9.0)[:, None], LABELS[:9]) == column_notes(np.ones((1, 2)), LABELS[:1]) == ()
    assert column_notes(np.ones((N, 2, 2)), LABELS) == ()
    monkeypatch.setattr("qmltrain.data.column_notes.MAX_BYTES", 8 * N - 1)
    assert column_notes(np.arange(N)[:, None].astype(float), LABELS) == ()


@pytest.mark.parametrize("name", ["npz", "hdf5"])
def test_arrays_of_files(name, tmp_path):
    path = write_arrays(name, tmp_path, x=np.stack([NORMAL, np.arange(N)], axis=1), y=np.arange(N) % 2)
    (note,) = build_source(name, {"path": path}).info.notes
    assert note.startswith(ROW_NUMBERS.format("column 1"))
    path = write_arrays(name, tmp_path, x=np.arange(4 * N).reshape(N, 2, 2), y=np.arange(N) % 2)
    assert build_source(name, {"path": path}).info.notes == ()


def test_bundled_data_sets_have_nothing_to_say():
    for name in SOURCES:
        if name not in ("idx", "cifar10", "npz", "hdf5", "csv", "parquet", "python"):
            assert build_source(name, {}).info.notes == (), name
