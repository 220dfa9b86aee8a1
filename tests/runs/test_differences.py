"""Where two runs differ: one changed bit is found, and named."""

from __future__ import annotations

from pathlib import Path

import pytest

from qmltrain.runs.differences import first_difference
from qmltrain.runs.views import open_run
from tests.runs.edited_files import edited_copy
from tests.sessions.complete_runs import complete


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    return complete(tmp_path_factory.mktemp("whole"), engine__name="auto", train__epochs=2)


@pytest.mark.parametrize(
    ("path", "at", "where"),
    [
        ("metrics/train_loss", 3, "metrics: train/loss at step 4"),
        ("epochs/val_loss", 1, "epochs: val/loss at epoch 2"),
        ("parameters/values", (2, 1), "parameters: values at step 6"),
        ("evaluation/test/scores", (0, 1), "evaluation of test: scores of row"),
    ],
)
def test_one_changed_bit_is_found(whole, tmp_path, path, at, where):
    def change(file):
        values = file[path][()]
        values[at] += 2e-16 * abs(values[at]) + 1e-300
        assert values[at] != file[path][at]
        file[path][...] = values

    found = first_difference(open_run(whole), open_run(edited_copy(whole, tmp_path / "copy", change)))
    assert found.where.startswith(where) and 0 < found.largest < 1e-14
