"""Which settings name a matrix."""

from __future__ import annotations

from copy import deepcopy

import pytest

from qmltrain.config.schema import Config
from qmltrain.errors import InputError
from qmltrain.quantum_kernels.identity import check_same_kernel, digest, settings


def changed(key, value):
    config = deepcopy(Config())
    group, name = key.split(".")
    setattr(getattr(config, group), name, value)
    return config


COUNTED = [
    ("kernel.name", "projected"),
    ("kernel.gamma", 0.5),
    ("encoding.name", "iqp"),
    ("circuit.n_qubits", 3),
    ("engine.precision", "complex128"),
    ("dataset.test", 0.3),
    ("preprocess.pca", 4),
    ("run.seed", 1),
    ("train.initial", "zeros"),
]
NOT_COUNTED = [
    ("kernel.C", [1.0]),
    ("kernel.folds", 3),
    ("kernel.fit", False),
    ("optimizer.learning_rate", 0.5),
    ("head.name", "raw"),
    ("observable.name", "parity"),
    ("train.epochs", 3),
    ("run.seed_order", 3),
    ("run.name", "other"),
    ("engine.threads", 3),
    ("engine.memory_gib", 3.0),
]


@pytest.mark.parametrize(("key", "value"), COUNTED)
def test_what_changes_the_matrix_counts(key, value):
    before, now = settings(Config()), settings(changed(key, value))
    assert digest(before) != digest(now)
    with pytest.raises(InputError, match=rf"k\.h5: holds a kernel of another config \({key} was .*, now "):
        check_same_kernel(before, now, "k.h5")


@pytest.mark.parametrize(("key", "value"), NOT_COUNTED)
def test_what_does_not_change_it_does_not(key, value):
    assert settings(changed(key, value)) == settings(Config())
    check_same_kernel(settings(Config()), settings(changed(key, value)), "k.h5")


def test_a_run_stands_for_its_circuit_data_and_parameters():
    run = {"kernel.run": "abc"}
    assert settings(Config(), run) == settings(changed("circuit.n_qubits", 3), run)
    assert settings(Config(), run) != settings(changed("engine.precision", "complex128"), run)
    assert settings(Config(), run) != settings(Config(), {"kernel.run": "other"})
