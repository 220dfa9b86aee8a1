"""Runs as tables: pandas, xarray, netCDF readers, and what is not there said in one line."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from qmltrain.errors import InputError
from qmltrain.plots.training_curves import plot_run
from qmltrain.runs.views import open_run
from tests.runs.small_store import create
from tests.runs.tiny_training import N_STEPS, PARAMETER_NAMES, run_session


@pytest.fixture(params=["completed", "interrupted"])
def run_directory(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    directory = tmp_path / "small-run"
    assert run_session(directory, stop_after=None if request.param == "completed" else N_STEPS - 1) == request.param
    return directory


def test_pandas(run_directory: Path) -> None:
    pytest.importorskip("pandas")
    run = open_run(run_directory)
    n_steps = N_STEPS if run.status == "completed" else N_STEPS - 1
    assert run.metrics.index.name == "step" and run.metrics.index.tolist() == list(range(1, n_steps + 1))
    assert list(run.metrics.columns) == ["loss", "gradient_norm"]
    assert list(run.epochs.columns) == ["step", "wall_seconds", "train/loss", "val/loss"]
    assert run.epochs.loc[1, "train/loss"] == run.metrics.loc[3, "loss"]


def test_xarray(run_directory: Path) -> None:
    pytest.importorskip("xarray")
    run = open_run(run_directory / "run.h5")
    assert run.gradients.dims == ("step", "parameter")
    assert run.gradients.coords["step"].values.tolist()[:2] == [1, 3]
    assert run.gradients.sel(parameter="bias", step=3).shape == ()
    assert run.parameters.coords["parameter"].values.tolist() == PARAMETER_NAMES
    assert run.layer_norms.dims == ("step", "layer")
    assert run.layer_norms.coords["layer"].values.tolist() == ["0", "1"]  # this run named none
    joined = np.sqrt((run.layer_norms**2).sum("layer"))
    np.testing.assert_allclose(joined, run.table("metrics")["gradient_norm"])


@pytest.mark.parametrize("engine", ["h5netcdf", "netcdf4"])
def test_netcdf_readers(run_directory: Path, engine: str) -> None:
    """What others open HDF5 with needs a scale for every dimension."""
    xarray = pytest.importorskip("xarray")
    pytest.importorskip({"netcdf4": "netCDF4"}.get(engine, engine))
    for group, sizes in {"metrics": {"step"}, "epochs": {"epoch"}, "parameters": {"step", "parameter"}}.items():
        with xarray.open_dataset(run_directory / "run.h5", group=group, engine=engine) as data:
            assert set(data.sizes) == sizes
    with xarray.open_dataset(run_directory / "run.h5", group="gradients", engine=engine) as data:
        assert data["layer_norms"].dims == ("layer_norms_step", "layer")


def test_config_and_attributes(run_directory: Path) -> None:
    run = open_run(run_directory)
    assert run.config == {"run": {"seed": 3}}
    assert run.attributes["run_id"] == "test" and run.attributes["status"] == run.status
    assert run.attributes["sessions"][0]["from_step"] == 0


def test_what_is_not_there_is_said_in_one_line(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "run.h5", tmp_path / "nothing"):
        with pytest.raises(InputError, match="no run file there"):
            open_run(path)
    store = create(tmp_path)
    run = open_run(tmp_path)
    with pytest.raises(InputError, match="gradients were not stored; a run with run.gradients=full stores them"):
        _ = run.gradients
    with pytest.raises(InputError, match="no config is stored"):
        _ = run.config
    store.close()
    with pytest.raises(InputError, match="no evaluation of 'test'"):
        run.evaluation("test")


def test_missing_packages_are_named_with_what_to_install(run_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages = ("pandas", "xarray", "matplotlib")
    for name in {
        *packages,
        *(name for name in sys.modules if name.partition(".")[0] in packages),
    }:  # parts are found alone
        monkeypatch.setitem(sys.modules, name, None)
    run = open_run(run_directory)
    with pytest.raises(InputError, match=r"pandas is not installed.*pip install 'qmltrain\[analysis\]'"):
        _ = run.metrics
    with pytest.raises(InputError, match=r"xarray is not installed.*pip install 'qmltrain\[analysis\]'"):
        _ = run.parameters
    with pytest.raises(InputError, match=r"matplotlib is not installed.*pip install 'qmltrain\[plot\]'"):
        plot_run(run_directory, run_directory / "a.png")
    assert len(run.table("metrics")["loss"])  # needs none of them


def test_a_view_says_what_it_views(run_directory: Path) -> None:
    view = open_run(run_directory)
    done = N_STEPS if view.status == "completed" else N_STEPS - 1
    assert repr(view).startswith(f"<RunView of {view.path}: {view.status}, {done} of {N_STEPS} steps, ")
    assert view.data == {}
    view.path.unlink()
    assert "no run file there" in repr(view)
