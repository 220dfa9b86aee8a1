"""Runs of schema 1 are read, evaluated and gone on with as before."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from qmltrain.cli import main
from qmltrain.runs.differences import first_difference
from qmltrain.runs.views import open_run
from tests.runs.edited_files import edit
from tests.runs.schema_1 import make_schema_1
from tests.sessions.complete_runs import complete
from tests.sessions.stopped_runs import train_until
from tests.small_configs import moons


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    return complete(tmp_path_factory.mktemp("whole"), run__gradients="full")


@pytest.mark.parametrize("step", [1, 4])
def test_a_stopped_run_goes_on_to_the_same_bits(whole: Path, tmp_path: Path, step: int) -> None:
    directory = train_until(moons(tmp_path, run__gradients="full"), step)
    make_schema_1(directory)
    view = open_run(directory)
    assert view.attributes["schema_version"] == 1 and view.status == "interrupted"
    assert view.table("metrics")["step"].tolist() == list(range(1, step + 1))
    assert "wall_seconds" not in view.table("epochs")
    assert main(["resume", str(directory)]) == 0
    assert first_difference(open_run(whole), view) is None
    with h5py.File(directory / "run.h5") as file:  # it was sealed as the newer schema, with checksums
        assert file.attrs["schema_version"] == 2 and file["valid_rows"].shape == (10,)
        assert "wall_seconds" not in file["epochs"]


def test_a_completed_run_is_read_evaluated_and_repeated(whole: Path, tmp_path: Path, capsys) -> None:
    before = open_run(whole)
    directory = complete(tmp_path, run__gradients="full")
    make_schema_1(directory)
    view = open_run(directory)
    assert view.status == "completed" and first_difference(before, view) is None
    np.testing.assert_array_equal(view.evaluation("test")["scores"], before.evaluation("test")["scores"])
    for words in (["evaluate", str(directory)], ["repeat", str(directory), f"run.dir={tmp_path / 'again'}"]):
        assert main(words) == 0, capsys.readouterr()
    assert "equal to" in capsys.readouterr().out


def test_a_repetition_passes_over_what_was_stored_otherwise(tmp_path: Path, capsys) -> None:
    """Rows of L-BFGS were of another moment, and drift was 0 where it was not measured; parameters must be equal."""
    directory = complete(tmp_path, optimizer__name="lbfgs", train__batch_size=32, run__gradients="full")

    def as_it_was(file: h5py.File) -> None:
        del file.attrs["step_rows"]
        file["metrics/train_loss"][...] = np.roll(file["metrics/train_loss"][()], -1)
        file["metrics/drift"][...] = 0.0

    edit(directory / "run.h5", as_it_was)
    make_schema_1(directory)
    assert main(["repeat", str(directory), f"run.dir={tmp_path / 'again'}"]) == 0
    printed = capsys.readouterr().out
    assert "compared   but for drift, metrics, epochs, layer_norms, gradients, which the version of" in printed
    edit_parameters = open_run(directory).table("parameters")["values"]
    with h5py.File(directory / "run.h5", "r+") as file:
        file["parameters/values"][-1, 0] = edit_parameters[-1, 0] + 1e-12
    assert main(["repeat", str(directory), f"run.dir={tmp_path / 'again'}"]) == 1
    assert "not equal" in capsys.readouterr().out


def test_a_config_that_does_not_fit_the_tables(tmp_path: Path, capsys) -> None:
    """Nothing guards the config of schema 1, but it cannot make a training of another length."""
    directory = train_until(moons(tmp_path), 2)
    make_schema_1(directory)
    with h5py.File(directory / "run.h5", "r+") as file:
        file.attrs["config_yaml"] = file.attrs["config_yaml"].replace("  epochs: 4\n", "  epochs: 5\n")
    assert main(["resume", str(directory)]) == 1
    assert "run.h5: damaged: laid out for 12 steps, 4 epochs and " in capsys.readouterr().err
