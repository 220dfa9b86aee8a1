"""What a config asks for, and what is refused before anything is computed."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.errors import InputError, MemoryLimitError
from qmltrain.quantum_kernels import task as module
from qmltrain.quantum_kernels.task import build_task
from tests.quantum_kernels.kernel_cases import small
from tests.sessions.complete_runs import complete


def test_rows_features_and_labels_are_those_of_a_training(tmp_path):
    task = build_task(small(tmp_path), [])
    split, data = task.problem.split, task.problem.data
    for part, rows in (("train", split.train), ("test", split.test)):
        np.testing.assert_array_equal(task.features[part], data.features(rows))
        np.testing.assert_array_equal(task.stored_labels(part), task.problem.source.labels()[rows])
    assert task.candidates == (0.1, 1.0, 10.0, 100.0) and task.folds == 5
    assert task.settings["dataset_checksum"] == task.problem.source.checksum


def test_targets_of_a_regression_are_stored_in_units_of_the_data(tmp_path):
    changes = {"dataset__name": "diabetes", "dataset__n_samples": None, "dataset__noise": None, "preprocess__pca": 2}
    task = build_task(small(tmp_path, **changes, dataset__generator_seed=None, loss__name="mean_squared_error"), [])
    rows = task.rows["test"]
    np.testing.assert_allclose(task.stored_labels("test"), task.problem.source.labels()[rows])
    machine = task.machine_task()
    assert abs(machine.train_B.mean()) < 1e-12 and machine.n_classes is None


def test_the_digest_follows_rows_features_and_parameters(tmp_path):
    digests = {
        build_task(small(tmp_path, **changes), []).digest()
        for changes in (
            {},
            {"dataset__noise": 0.2},
            {"dataset__test": 0.3},
            {"encoding__name": "iqp"},
            {"encoding__name": "reuploading", "encoding__repeats": 2},
            {"encoding__name": "reuploading", "encoding__repeats": 2, "run__seed_initial": 5},
        )
    }
    assert len(digests) == 6
    assert build_task(small(tmp_path, kernel__C=[1.0]), []).digest() in digests


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kernel__gamma": 0.5}, "kernel.gamma: not used by fidelity"),
        ({"kernel__fit": False, "kernel__C": [1.0]}, "kernel.C: not used with kernel.fit=false; leave it null"),
        ({"kernel__fit": False, "kernel__folds": 3}, "kernel.folds: not used with kernel.fit=false"),
        ({"kernel__folds": 30}, "kernel.folds: 30 parts, but a class has 18 training rows"),
        ({"encoding__name": "none"}, "reads no features|does not read"),
        ({"kernel__run": "nowhere"}, "kernel.run: nowhere: there is no run here"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        build_task(small(tmp_path, **changes), [])


def test_a_kernel_needs_data(tmp_path):
    changes = {"dataset__name": "none", "observable__name": "ising", "loss__name": "expectation", "head__name": "raw"}
    options = {"dataset__n_samples": None, "dataset__noise": None, "dataset__generator_seed": None}
    with pytest.raises(InputError, match="dataset.name: a kernel is of rows of data|encoding"):
        build_task(small(tmp_path, **changes, **options, encoding__name="none"), [])


def test_a_machine_that_does_not_fit_is_refused_beforehand(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "available_bytes", lambda: 1000)
    with pytest.raises(MemoryLimitError, match=r"kernel.fit: a machine on 36 training rows needs"):
        build_task(small(tmp_path, engine__memory_gib=1.0), [])


def test_a_run_brings_its_circuit_its_data_and_its_best_parameters(tmp_path):
    directory = complete(tmp_path / "runs", dataset__n_samples=50, run__seed=3)
    task = build_task(small(tmp_path, kernel__run=str(directory)), [f"kernel.run={directory}", "engine.threads=1"])
    assert task.config.encoding.name == "reuploading" and task.config.run.seed == 3
    assert len(task.rows["train"]) + len(task.rows["test"]) == 40
    assert task.settings["kernel.run"] and "encoding.name" not in task.settings
    for word in ("encoding=angle", "dataset.n_samples=3", "+run.seed=4", "experiment=digits"):
        with pytest.raises(InputError, match="the run's own is taken with kernel.run; leave it out"):
            build_task(small(tmp_path, kernel__run=str(directory)), [word])
