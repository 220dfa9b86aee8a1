"""Whole kernel jobs: against dense states, stopped and gone on with to the same bits, complete and asked again."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import h5py
import numpy as np
import pytest

import qmltrain
from qmltrain.cli import main
from qmltrain.engines.cpu import unavailable_reason
from qmltrain.errors import InputError, InterruptedRun
from qmltrain.quantum_kernels import job, tiles
from qmltrain.quantum_kernels.file import FILE_NAME, KernelFile
from qmltrain.quantum_kernels.job import run_kernel
from qmltrain.quantum_kernels.task import build_task
from tests.quantum_kernels.kernel_cases import bloch_vectors, contents, dense_states, fidelities, projected, small
from tests.scans.drawn_scans import PAULI, draw
from tests.sessions.complete_runs import complete
from tests.small_configs import CONTEXT


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    monkeypatch.setattr(tiles, "MOST_ROWS", 16)  # 36 training rows: six tiles, and three of the test


def directory_of(root: Path) -> Path:
    [found] = [path.parent for path in root.glob(f"kernel-*/{FILE_NAME}")]
    return found


def status(directory: Path) -> dict:
    return json.loads((directory / "status.json").read_text())


@pytest.mark.parametrize("kind", ["fidelity", "projected"])
def test_the_file_holds_the_kernel_of_dense_states(tmp_path, kind, capsys):
    config = small(tmp_path, kernel__name=kind)
    assert run_kernel(config, CONTEXT) == 0
    directory, task = directory_of(tmp_path), build_task(config, [])
    stored = contents(directory / FILE_NAME)
    states = {part: dense_states(task.embedding.model, task.embedding.theta_P, x) for part, x in task.features.items()}
    if kind == "fidelity":
        expected = {part: fidelities(found, states["train"]) for part, found in states.items()}
    else:
        vectors = {part: bloch_vectors(found) for part, found in states.items()}
        gamma = 1 / (6 * vectors["train"].var())
        expected = {part: projected(found, vectors["train"], gamma) for part, found in vectors.items()}
    for part in ("train", "test"):
        np.testing.assert_allclose(stored[part], expected[part], atol=1e-12)
        np.testing.assert_array_equal(stored[f"{part}_rows"], task.rows[part])
        np.testing.assert_array_equal(stored[f"{part}_labels"], task.stored_labels(part))
    assert np.linalg.eigvalsh(stored["train"]).min() > -1e-12
    summary = status(directory)["summary"]
    accuracy = np.mean(stored["test_predictions"] == stored["test_labels"])
    assert summary["kernel/test_accuracy"] == pytest.approx(accuracy)
    printed = capsys.readouterr().out
    assert f"test accuracy           {accuracy:.4f}   RBF kernel on the same features " in printed
    assert "train 36 x 36, test 12 x 36, float64" in printed
    with h5py.File(directory / FILE_NAME) as file:
        assert file.attrs["kernel"] == kind
        assert ("gamma" in file.attrs) == (kind == "projected")


def test_single_precision_and_the_notebook_agree(tmp_path):
    config = small(tmp_path, engine__precision="complex64", kernel__fit=False)
    run_kernel(config, CONTEXT)
    directory, task = directory_of(tmp_path), build_task(config, [])
    stored = contents(directory / FILE_NAME)
    assert stored["train"].dtype == np.float32
    found = qmltrain.kernel(task.features["train"], precision="complex64", engine="interpreter")
    np.testing.assert_array_equal(found, stored["train"])
    assert status(directory)["summary"] == {} and np.isnan(stored["test_predictions"]).all()


def stop_after(monkeypatch, count: int, number: int = signal.SIGUSR1) -> None:
    """Send this process a signal when so many tiles were written."""
    write, written = KernelFile.write, []

    def writing(self, tile, values):
        write(self, tile, values)
        written.append(tile)
        if len(written) == count:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(KernelFile, "write", writing)


@pytest.mark.parametrize("kind", ["fidelity", "projected"])
@pytest.mark.parametrize("threads", [1, 2])
def test_it_stops_at_a_signal_and_goes_on_to_the_same_bits(tmp_path, monkeypatch, kind, threads):
    whole = small(tmp_path / "whole", kernel__name=kind)
    run_kernel(whole, CONTEXT)
    config = small(tmp_path / "stopped", kernel__name=kind, engine__threads=threads)
    for count in (1, 3):
        with monkeypatch.context() as patch:
            stop_after(patch, count)
            with pytest.raises(
                InterruptedRun, match=r"stopped by SIGUSR1 after [1-8] of 9 tiles .*run the same command"
            ):
                run_kernel(config, CONTEXT)
    directory = directory_of(tmp_path / "stopped")
    assert status(directory)["status"] == "interrupted" and status(directory)["tiles"][0] >= 2
    assert run_kernel(config, CONTEXT) == 0
    found, expected = (contents(directory_of(tmp_path / name) / FILE_NAME) for name in ("stopped", "whole"))
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)
    assert status(directory)["status"] == "completed" and len(status(directory)["sessions"]) == 3


def test_complete_it_is_read_again_for_other_machines(tmp_path, monkeypatch, capsys):
    config = small(tmp_path)
    run_kernel(config, CONTEXT)
    before = contents(directory_of(tmp_path) / FILE_NAME)
    monkeypatch.setattr(job, "compute_tiles", lambda *arguments: pytest.fail("nothing is missing"))
    capsys.readouterr()
    config.kernel.C = [0.5]
    run_kernel(config, CONTEXT)
    assert status(directory_of(tmp_path))["summary"]["kernel/C"] == 0.5
    assert "fold" not in capsys.readouterr().out
    monkeypatch.setattr(job, "fit", lambda *arguments: pytest.fail("this was fitted before"))
    run_kernel(config, CONTEXT)
    assert "test accuracy" in capsys.readouterr().out
    after = contents(directory_of(tmp_path) / FILE_NAME)
    for name in before.keys() - {"test_predictions"}:
        np.testing.assert_array_equal(before[name], after[name])


@pytest.mark.skipif(unavailable_reason() is not None, reason="the C++ extension is not built")
def test_it_goes_on_with_the_engine_that_it_began_with(tmp_path, monkeypatch):
    config = small(tmp_path, engine__name="auto", kernel__fit=False)
    with monkeypatch.context() as patch:
        patch.setattr("qmltrain.engines.selection.AUTO_ORDER", ("interpreter",))
        stop_after(patch, 2)
        with pytest.raises(InterruptedRun):
            run_kernel(config, CONTEXT)
    run_kernel(config, CONTEXT)
    choices = status(directory_of(tmp_path))["choices"]
    assert choices["engine"] == "interpreter"
    run_kernel(small(tmp_path / "whole", engine__name="interpreter", kernel__fit=False), CONTEXT)
    found, expected = (contents(directory_of(place) / FILE_NAME) for place in (tmp_path, tmp_path / "whole"))
    np.testing.assert_array_equal(found["train"], expected["train"])


def test_another_config_in_its_directory_is_refused(tmp_path):
    place = str(tmp_path / "k")
    run_kernel(small(tmp_path, run__dir=place), CONTEXT)
    with pytest.raises(InputError, match=r"kernel.h5: holds a kernel of another config \(encoding.name was .*, now "):
        run_kernel(small(tmp_path, run__dir=place, encoding__name="iqp"), CONTEXT)
    with pytest.raises(InputError, match="run.resume=never: .* holds a kernel already"):
        run_kernel(small(tmp_path, run__dir=place, run__resume="never"), CONTEXT)
    with pytest.raises(InputError, match="run.resume=must: there is no kernel in"):
        run_kernel(small(tmp_path, run__dir=str(tmp_path / "x"), run__resume="must"), CONTEXT)
    assert not (tmp_path / "x").exists()
    training = complete(tmp_path / "runs")
    with pytest.raises(InputError, match="holds a training; choose another directory for its kernel"):
        run_kernel(small(tmp_path, run__dir=str(training)), CONTEXT)


def test_scans_and_kernels_do_not_share_a_directory(tmp_path, capsys):
    scanned = draw(tmp_path / "scan", "circuit.n_qubits=2", "ansatz.layers=1", "scan.draws=2", *PAULI)
    with pytest.raises(InputError, match="run.dir: .*scan holds a scan; choose another directory for a kernel"):
        run_kernel(small(tmp_path, run__dir=str(scanned)), CONTEXT)
    run_kernel(small(tmp_path, run__dir=str(tmp_path / "kernel")), CONTEXT)
    with pytest.raises(InputError, match="run.dir: .*kernel holds a kernel; choose another"):
        draw(tmp_path / "kernel", "circuit.n_qubits=2", "ansatz.layers=1", "scan.draws=2", *PAULI)
    capsys.readouterr()
    for verb in ("collect", "plot"):
        for path in (tmp_path / "kernel", tmp_path / "kernel" / FILE_NAME):
            assert main([verb, str(path)]) == 2
            error = capsys.readouterr().err
            assert f"{path}: is a kernel, and {verb} is for trainings and scans" in error and error.count("\n") == 1


def test_other_rows_under_the_same_config_are_refused(tmp_path, monkeypatch):
    run_kernel(small(tmp_path), CONTEXT)
    digest = "0" * 64
    monkeypatch.setattr("qmltrain.quantum_kernels.task.KernelTask.digest", lambda task: digest)
    with pytest.raises(InputError, match="rows or circuit are no longer those that it was begun with"):
        run_kernel(small(tmp_path), CONTEXT)


def test_the_trained_circuit_of_a_run(tmp_path):
    training = complete(tmp_path / "runs")
    config = small(tmp_path, kernel__run=str(training), engine__threads=1)
    run_kernel(config, CONTEXT)
    trained, stored = qmltrain.load(training), contents(directory_of(tmp_path) / FILE_NAME)
    task = build_task(config, [])
    states = dense_states(trained.model, trained.theta_P, task.features["train"])
    np.testing.assert_allclose(stored["train"], fidelities(states, states), atol=1e-12)
    np.testing.assert_array_equal(stored["parameters"], trained.theta_P[: trained.model.circuit.n_parameters])


def test_a_regression_has_kernel_ridge(tmp_path, capsys):
    none = {"dataset__n_samples": None, "dataset__noise": None, "dataset__generator_seed": None}
    config = small(tmp_path, **none, dataset__name="diabetes", dataset__samples=80, loss__name="mean_squared_error")
    config.preprocess.pca = 2
    run_kernel(config, CONTEXT)
    assert "test r2                 " in (printed := capsys.readouterr().out) and "5-fold r2" in printed
    stored = contents(directory_of(tmp_path) / FILE_NAME)
    assert stored["test_labels"].min() > 20  # units of the data
    assert np.isfinite(stored["test_predictions"]).all()


def test_without_a_test_split_there_is_the_validation_alone(tmp_path, capsys):
    run_kernel(small(tmp_path, dataset__test=0.0), CONTEXT)
    printed = capsys.readouterr().out
    assert "5-fold accuracy" in printed and "test accuracy" not in printed
    assert contents(directory_of(tmp_path) / FILE_NAME)["test"].shape == (0, 48)
