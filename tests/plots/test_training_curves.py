"""The picture of a run: every format, moving averages, refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qmltrain.errors import InputError
from qmltrain.plots.canvas import FORMATS
from qmltrain.plots.training_curves import _moving_average, plot_run
from tests.runs.small_store import create
from tests.runs.tiny_training import N_STEPS, run_session


@pytest.fixture(params=["completed", "interrupted"])
def run_directory(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    directory = tmp_path / "small-run"
    assert run_session(directory, stop_after=None if request.param == "completed" else N_STEPS - 1) == request.param
    return directory


@pytest.mark.parametrize("ending", FORMATS)
def test_plot(run_directory: Path, ending: str) -> None:
    pytest.importorskip("matplotlib")
    out = plot_run(run_directory, run_directory / "plots" / f"run{ending}")
    data = out.read_bytes()
    assert data.startswith({".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}[ending])
    assert len(data) > 5000


def test_gradient_norms_of_many_steps_are_drawn_by_their_moving_average() -> None:
    steps, values = np.arange(1, 8), np.arange(14.0).reshape(7, 2) ** 2
    for window in (1, 3, 7):
        centres, means = _moving_average(steps, values, window)
        expected = [values[k : k + window].mean(axis=0) for k in range(8 - window)]
        np.testing.assert_allclose(means, expected, rtol=1e-12)
        np.testing.assert_allclose(centres, [steps[k : k + window].mean() for k in range(8 - window)])


def test_plot_refuses_other_endings_and_empty_runs(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    with pytest.raises(InputError, match="found 'a.jpg'; the ending must be one of .png, .svg, .pdf"):
        plot_run(tmp_path, tmp_path / "a.jpg")
    create(tmp_path, metrics=["other"]).close()
    with pytest.raises(InputError, match="nothing to draw"):
        plot_run(tmp_path, tmp_path / "a.png")
