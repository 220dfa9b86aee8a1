"""Heads and losses with parameters through whole trainings: stopped, gone on with, frozen, evaluated, loaded, grown."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.engines.cpu import unavailable_reason
from qmltrain.errors import InputError
from qmltrain.models.trained import load
from qmltrain.runs.views import open_run
from qmltrain.sessions.results import summary_of
from qmltrain.sessions.training_run import run_directory
from qmltrain.verbs import evaluate, train
from tests.sessions.stopped_runs import assert_same_bits, stop_and_go_on
from tests.small_configs import CONTEXT, moons

WEIGHTED = {"head__name": "raw", "loss__name": "weighted_fidelity", "observable__qubits": [0, 1]}
CASES = {
    "bias": {"head__name": "bias", "head__initial_deviation": 0.1, "loss__name": "hinge", "observable__qubits": [1]},
    "mlp": {"head__name": "mlp", "head__hidden": [5, 3], "head__activation": "relu"},
    "linear without biases": {"head__bias": False, "head__initial": "normal"},
    "unhinged": {"head__name": "raw", "loss__name": "unhinged", "observable__qubits": [0]},
    "weighted fidelity": WEIGHTED,
    "weighted fidelity, class weights": {**WEIGHTED, "loss__class_weights": [1.0, 2.0]},
    "weighted fidelity behind a layer": {**WEIGHTED, "input__name": "linear", "input__activation": "tanh"},
}
ENGINES = ["interpreter", *([] if unavailable_reason() else ["cpu"])]
SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    ("name", "engine"),
    [
        pytest.param(name, engine, marks=[] if engine == ENGINES[-1] or name in ("mlp", "weighted fidelity") else SLOW)
        for name in CASES
        for engine in ENGINES
    ],
)
def test_a_stopped_run_goes_on_to_the_bit(tmp_path, name, engine, capsys):
    whole = moons(tmp_path / "whole", engine__name=engine, **CASES[name])
    assert train.run(whole, CONTEXT) == 0
    run = open_run(run_directory(whole))
    found = summary_of(run.attributes)["val/loss"]
    capsys.readouterr()
    assert evaluate.run(run_directory(whole), CONTEXT) == 0
    assert f"{found:.4f}" in capsys.readouterr().out
    stopped = moons(tmp_path / "stopped", engine__name=engine, **CASES[name])
    assert_same_bits(run_directory(whole), stop_and_go_on(stopped, 4))


@pytest.mark.parametrize("engine", ENGINES)
def test_frozen_parts_stay_and_have_no_gradient(tmp_path, engine):
    for part, changes in (("loss", WEIGHTED), ("head", CASES["mlp"])):
        config = moons(tmp_path, engine__name=engine, train__freeze=[part], **changes)
        assert train.run(config, CONTEXT) == 0
        run, model = open_run(run_directory(config)), load(run_directory(config)).model
        of_part = np.array([name.startswith(f"{part}.") for name in model.parameter_names])
        ends = run.parameters.to_numpy()
        assert of_part.any() and np.array_equal(ends[0][of_part], ends[-1][of_part])
        assert not np.allclose(ends[0][~of_part], ends[-1][~of_part])
        assert not run.layer_norms.sel(layer=part).to_numpy().any()


def test_weights_of_a_loss_are_trained_named_and_measured(tmp_path):
    config = moons(tmp_path, **WEIGHTED)
    assert train.run(config, CONTEXT) == 0
    run, trained = open_run(run_directory(config)), load(run_directory(config))
    weights = {name: value for name, value in trained.parameters.items() if name.startswith("loss.")}
    assert list(weights) == ["loss.0.0", "loss.0.1", "loss.1.0", "loss.1.1"]
    assert np.abs(np.array(list(weights.values())) - 1).max() > 1e-3
    assert (run.layer_norms.sel(layer="loss").to_numpy() > 0).all()


def test_another_run_may_be_the_start(tmp_path):
    first = moons(tmp_path, **WEIGHTED)
    assert train.run(first, CONTEXT) == 0
    start = {"train__initial": "from_run", "train__initial_run": str(run_directory(first))}
    grown = moons(tmp_path, **WEIGHTED, **start, optimizer__learning_rate=1e-12, train__epochs=1)
    assert train.run(grown, CONTEXT) == 0
    ends = [load(run_directory(config)).theta_P for config in (first, grown)]
    np.testing.assert_allclose(*ends, atol=1e-10)
    with pytest.raises(InputError, match=r"^train\.initial_run: the weights of the loss of .* are not those"):
        train.run(moons(tmp_path, **{**WEIGHTED, "observable__qubits": [1]}, **start), CONTEXT)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"head__name": "mlp"}, r"^head\.hidden: needed by mlp"),
        ({"head__hidden": [4]}, r"^head\.hidden: not used by linear"),
        ({"head__name": "bias", "observable__qubits": [0, 1], "head__bias": True}, r"^head\.bias: not used by bias"),
        ({"loss__name": "unhinged"}, r"^head\.name: found linear; unhinged takes"),
        (
            {"head__name": "raw", "loss__name": "weighted_fidelity", "observable__name": "ising"},
            r"^observable\.name: weighted_fidelity reads fidelities .* lie in \[",
        ),
        (
            {"head__name": "raw", "loss__name": "unhinged", "dataset__name": "make_blobs", "dataset__noise": None,
             "dataset__n_classes": 3, "observable__qubits": [0]},
            r"^loss\.name: unhinged takes 2 classes, the data has 3",
        ),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_refused(tmp_path, changes, message):
    with pytest.raises(InputError, match=message) as found:
        train.run(moons(tmp_path, **changes), CONTEXT)
    assert "\n" not in str(found.value)
    assert not any(tmp_path.iterdir())
