"""The run file: what is stored comes back, and what must not happen is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from qmltrain.errors import InputError, StorageError
from qmltrain.runs.attributes import collect_attributes
from qmltrain.runs.reading import run_status
from qmltrain.runs.store import GRADIENTS, RunStore
from qmltrain.runs.views import open_run
from tests.runs.small_store import NAMES, create
from tests.runs.tiny_training import N_STEPS, contents, run_session


@pytest.mark.parametrize("gradients", GRADIENTS)
@pytest.mark.parametrize("parameters_every", [None, 2])
@pytest.mark.parametrize("completed", [False, True])
def test_everything_stored_comes_back(
    tmp_path: Path, gradients: str, parameters_every: int | None, completed: bool
) -> None:
    rng = np.random.default_rng(0)
    losses, norms = rng.standard_normal(5), rng.random((5, 2))
    grads, thetas = rng.standard_normal((5, 3)), rng.standard_normal((6, 3))
    store = create(tmp_path, gradients=gradients, gradients_every=3, parameters_every=parameters_every)
    store.write_parameters_row(0, thetas[0])
    for step in range(1, 5):
        store.append_step(step, {"loss": losses[step]}, norms[step], grads[step], thetas[step])
    store.append_epoch(1, 4, {"val/loss": 0.25}, 1.5)
    store.write_parameters_row(4, thetas[5])
    scores = rng.random((2, 3))
    store.write_evaluation("test", [7, 3], [0, 1], [1, 1], scores)
    store.close("completed" if completed else "interrupted")

    run = open_run(tmp_path)
    assert run.status == ("completed" if completed else "interrupted") == run_status(tmp_path)
    np.testing.assert_array_equal(run.table("metrics")["step"], [1, 2, 3, 4])
    np.testing.assert_array_equal(run.table("metrics")["loss"], losses[1:])
    assert {name: values.tolist() for name, values in run.table("epochs").items()} == {
        "epoch": [1],
        "step": [4],
        "wall_seconds": [1.5],
        "val/loss": [0.25],
    }
    if gradients == "none":
        assert run.table("layer_norms") == {}
    else:
        np.testing.assert_array_equal(run.table("layer_norms")["layer_norms"], norms[1:])
    if gradients == "full":
        np.testing.assert_array_equal(run.table("gradients")["step"], [1, 4])
        np.testing.assert_array_equal(run.table("gradients")["values"], grads[[1, 4]])
    else:
        assert run.table("gradients") == {}
    steps = [0, 4] if parameters_every is None else [0, 2, 4]
    np.testing.assert_array_equal(run.table("parameters")["step"], steps)
    np.testing.assert_array_equal(run.table("parameters")["values"], thetas[[*steps[:-1], 5]])
    if completed:
        evaluation = run.evaluation("test")
        np.testing.assert_array_equal(evaluation["rows"], [7, 3])
        np.testing.assert_array_equal(evaluation["scores"], scores)
        with h5py.File(tmp_path / "run.h5", "r") as file:
            assert file["metrics/loss"].shape == (4,)  # trimmed
    else:
        with pytest.raises(InputError, match="no evaluation of 'test'"):
            run.evaluation("test")


def test_plain_h5py_finds_scales_names_and_attributes(tmp_path: Path) -> None:
    attributes = {**collect_attributes(), "config_yaml": "run: {}\n", "overrides": ["a=1", "b=2"], "absent": None}
    with create(tmp_path, gradients="full", attributes=attributes) as store:
        store.append_step(1, {"loss": 0.5}, [1, 2], [1, 2, 3])
        store.set_attributes(engine={"name": "cpu"}, device="a CPU", sizes=[1, 2], none=[])
        store.close()
    with h5py.File(tmp_path / "run.h5", "r") as file:
        assert file["metrics/loss"].dims[0]["step"][()].tolist() == [1]
        assert file["gradients/values"].dims[0]["step"][()].tolist() == [1]
        assert file["gradients/layer_norms"].dims[0][0][()].tolist() == [1]
        assert file["gradients/layer_norms"].dims[1]["layer"][()].tolist() == [0, 1]
        for group in ("gradients", "parameters"):
            assert file[f"{group}/values"].dims[1]["parameter"][()].tolist() == [0, 1, 2]
        assert file["epochs/val_loss"].attrs["long_name"] == "val/loss"
        assert file["parameters/names"].asstr()[()].tolist() == NAMES
        assert file.attrs["schema_version"] == 2
        assert file.attrs["overrides"].tolist() == ["a=1", "b=2"]
        assert json.loads(file.attrs["engine"]) == {"name": "cpu"}
        assert file.attrs["sizes"].tolist() == [1, 2]
        assert "absent" not in file.attrs
        for name in ("run_id", "command_line", "host", "python_version", "numpy_version", "started_utc", "ended_utc"):
            assert file.attrs[name]
        assert file.attrs["status"] == "completed"


@pytest.mark.parametrize("stop_after", range(1, N_STEPS))
def test_resumed_equals_uninterrupted(tmp_path: Path, stop_after: int) -> None:
    run_session(tmp_path / "whole")
    assert run_session(tmp_path / "parts", stop_after=stop_after) == "interrupted"
    assert run_session(tmp_path / "parts") == "completed"
    whole, parts = contents(tmp_path / "whole"), contents(tmp_path / "parts")
    for name in ("metrics.jsonl", "gradients/values", "parameters/values", "epochs/val_loss", "best.snapshot"):
        assert parts[name] == whole[name], name
    assert len(open_run(tmp_path / "parts").attributes["sessions"]) == 2


def test_space_is_reserved_at_creation(tmp_path: Path) -> None:
    store = create(tmp_path, gradients="full", n_steps=100, parameter_names=[f"p{i}" for i in range(5000)])
    status = (tmp_path / "run.h5").stat()
    assert status.st_blocks * 512 >= status.st_size >= 100 * 5000 * 8
    store.abandon()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gradients": "all"}, "run.gradients: found 'all'; allowed are none, norms, full"),
        ({"gradients_every": 0}, "run.gradients_every: found 0, must be at least 1"),
        ({"parameters_every": 0}, "run.parameters_every: found 0"),
        ({"n_steps": 0}, "n_steps: found 0"),
    ],
)
def test_impossible_settings_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        create(tmp_path / "run", **changes)
    assert not (tmp_path / "run").exists()


def test_an_existing_run_is_not_overwritten(tmp_path: Path) -> None:
    create(tmp_path).close()
    before = (tmp_path / "run.h5").read_bytes()
    with pytest.raises(InputError, match="holds a run already"):
        create(tmp_path)
    assert (tmp_path / "run.h5").read_bytes() == before
    with pytest.raises(InputError, match="completed; there is nothing to resume"):
        RunStore.reopen(tmp_path, steps=0, epochs=0)


def test_snapshots_without_their_run_file_are_not_overwritten(tmp_path: Path) -> None:
    run_session(tmp_path)
    (tmp_path / "run.h5").unlink()
    with pytest.raises(InputError, match="holds snapshots of a run, but its run.h5 is missing"):
        create(tmp_path)
    assert list((tmp_path / "snapshots").iterdir())


def test_misuse_is_refused_and_does_no_harm(tmp_path: Path) -> None:
    store = create(tmp_path, gradients="full", parameters_every=2, n_steps=3)
    good = ({"loss": 1.0}, [1, 2], [1, 2, 3], [1, 2, 3])
    for step, arguments, message in [
        (2, good, "step 2 after step 0"),
        (1, ({"loss": 1.0, "other": 1.0}, *good[1:]), "laid out for"),
        (1, ({}, *good[1:]), "laid out for"),
        (1, (good[0], None, *good[2:]), "layer_norms: .*not given"),
        (1, (good[0], [1, 2, 3], *good[2:]), r"layer_norms: found shape \(3,\)"),
        (1, (good[0], good[1], [1, 2], good[3]), r"gradients: found shape \(2,\)"),
    ]:
        with pytest.raises(ValueError, match=message):
            store.append_step(step, *arguments)
    store.append_step(1, *good)
    with pytest.raises(ValueError, match="epoch 1 ends with step 5"):
        store.append_epoch(1, 5, {"val/loss": 1.0}, 1.0)
    with pytest.raises(ValueError, match="epoch 2 after epoch 0"):
        store.append_epoch(2, 1, {"val/loss": 1.0}, 1.0)
    with pytest.raises(ValueError, match="parameters: .*not given"):
        store.append_step(2, *good[:3])
    store.append_step(2, *good)
    with pytest.raises(ValueError, match="parameters of step 1 after"):
        store.write_parameters_row(1, [0, 0, 0])
    store.append_step(3, *good)
    with pytest.raises(ValueError, match="laid out for 3"):
        store.append_step(4, *good)
    with pytest.raises(ValueError, match="belong to the run store"):
        store.set_attributes(status="great")
    with pytest.raises(TypeError, match="set"):
        store.set_attributes(something={1, 2})
    with pytest.raises(ValueError, match="one entry per sample"):
        store.write_evaluation("test", [1, 2], [1], [1, 2], [1, 2])
    with pytest.raises(ValueError, match="without slashes"):
        store.write_evaluation("a/b", [1], [1], [1], [1])
    store.close()
    assert open_run(tmp_path).table("metrics")["step"].tolist() == [1, 2, 3]
    with pytest.raises(StorageError, match="closed"):
        store.set_attributes(engine="late")


def test_labels_may_be_texts_but_not_objects(tmp_path: Path) -> None:
    store = create(tmp_path)
    with pytest.raises(ValueError, match="numbers or texts"):
        store.write_evaluation("test", [0], np.array([None]), [1], [1])
    store.write_evaluation("test", [0, 1], ["cat", "dog"], ["dog", "dog"], [0.5, 1])
    store.close()
    assert open_run(tmp_path).evaluation("test")["labels"].tolist() == ["cat", "dog"]


def test_a_directory_that_is_a_file_is_one_line(tmp_path: Path) -> None:
    """Where directories cannot be made, whoever runs the tests (permissions do not hold root)."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot create .*Not a directory|cannot create .*File exists"):
        create(tmp_path / "file")
    with pytest.raises(StorageError, match="cannot create"):
        create(tmp_path / "file" / "run")


def test_extremes(tmp_path: Path) -> None:
    """No parameters, no layers, no epochs, no metrics: nothing to store is no reason to fail."""
    store = create(
        tmp_path, gradients="full", metrics=[], epoch_metrics=[], n_epochs=0, n_layers=0, parameter_names=[], n_steps=1
    )
    store.append_step(1, {}, [], [])
    store.write_parameters_row(1, [])
    store.close()
    run = open_run(tmp_path)
    assert run.table("metrics")["step"].tolist() == [1]
    assert run.table("parameters")["values"].shape == (1, 0)
