"""Layers before the circuit through whole trainings: bits, stops, frozen layers, what is stored, loaded and refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from qmltrain.config.schema import Config
from qmltrain.config.storage import to_dict
from qmltrain.errors import InputError
from qmltrain.models.build import build_model
from qmltrain.models.trained import load
from qmltrain.runs.views import open_run
from qmltrain.sessions.training_run import run_directory
from qmltrain.verbs import evaluate, plan, train
from tests.sessions.stopped_runs import assert_same_bits, stop_and_go_on
from tests.small_configs import CONTEXT, moons

LAYERS = {"input__name": "mlp", "input__hidden": [3], "encoding__name": "angle", "encoding__repeats": None}
AMPLITUDES = {"input__name": "linear", "encoding__name": "amplitude", "encoding__repeats": None}


def dressed(root, **changes: Any) -> Config:
    return moons(root, **{"engine__name": "auto", **LAYERS, **changes})


@pytest.mark.parametrize("changes", [{}, {"engine__name": "interpreter"}, AMPLITUDES, {"train__batch_size": 1}])
def test_stopped_and_gone_on_with_to_the_bit(tmp_path, changes) -> None:
    changes = {**({} if "encoding__name" not in changes else {"input__hidden": None}), **changes}
    whole = dressed(tmp_path / "whole", **changes)
    assert train.run(whole, CONTEXT) == 0
    assert_same_bits(run_directory(whole), stop_and_go_on(dressed(tmp_path / "stopped", **changes), 5))


def test_layers_have_names_norms_and_gradients_of_their_own(tmp_path) -> None:
    config = dressed(tmp_path, run__gradients="full")
    assert train.run(config, CONTEXT) == 0
    run = open_run(run_directory(config))
    assert run.layer_names[-2:] == ["head", "input"]
    squares = run.gradients.to_numpy()[:, [name.startswith("input") for name in run.parameter_names]] ** 2
    np.testing.assert_allclose(run.layer_norms.to_numpy()[:, -1], np.sqrt(squares.sum(axis=1)), rtol=1e-12)
    names = load(run_directory(config)).parameters
    assert [name for name in names if name.startswith("input")] == [
        *(f"input.0.{o}.{i}.weight" for o in range(3) for i in range(2)),
        *(f"input.0.{o}.bias" for o in range(3)),
        *(f"input.1.{o}.{i}.weight" for o in range(2) for i in range(3)),
        *(f"input.1.{o}.bias" for o in range(2)),
    ]


@pytest.mark.parametrize("engine", ["auto", "interpreter"])
@pytest.mark.parametrize(("freeze", "stays"), [(["input"], "input"), (["input.0"], "input.0"), ([0], "ansatz")])
def test_what_is_frozen_stays(tmp_path, engine, freeze, stays) -> None:
    config = dressed(tmp_path, train__freeze=freeze, engine__name=engine)
    assert train.run(config, CONTEXT) == 0
    run = open_run(run_directory(config))
    moved = np.ptp(run.parameters.to_numpy(), axis=0) > 0
    frozen = np.array([name.startswith(stays) for name in run.parameter_names])
    idle = np.array([name.startswith("ansatz.0.rz") for name in run.parameter_names])  # before Z is measured
    assert frozen.any() and not moved[frozen].any() and moved[~frozen & ~idle].all()


def test_a_loaded_model_predicts_as_the_run_did(tmp_path, capsys) -> None:
    config = dressed(tmp_path)
    assert train.run(config, CONTEXT) == 0
    trained = load(run_directory(config))
    x = np.random.default_rng(1).normal(size=(9, 2))
    parts = trained.model.split(trained.theta_P)
    features = trained.model.features(parts, trained.features(x))
    first, second = (layer.reshape(3, -1) for layer in (parts.input[:9][:6], parts.input[9:15].reshape(2, 3)))
    hidden = np.tanh(trained.features(x) @ first.T + parts.input[6:9])
    np.testing.assert_allclose(features, np.tanh(hidden @ second.reshape(2, 3).T + parts.input[15:]), rtol=1e-12)
    assert np.isfinite(trained.scores(x)).all()
    assert trained.expectations(x, shots=100_000) == pytest.approx(trained.expectations(x), abs=0.02)
    capsys.readouterr()
    assert evaluate.run(run_directory(config), CONTEXT) == 0
    assert "test/accuracy" in capsys.readouterr().out


def test_a_longer_run_begins_with_the_layers_of_another(tmp_path) -> None:
    config = dressed(tmp_path)
    assert train.run(config, CONTEXT) == 0
    begun = {"train__initial": "from_run", "train__initial_run": str(run_directory(config)), "ansatz__layers": 2}
    longer = dressed(tmp_path, **begun)
    assert train.run(longer, CONTEXT) == 0
    run = open_run(run_directory(longer))
    first = dict(zip(run.parameter_names, run.parameters.to_numpy()[0], strict=True))
    for name, value in load(run_directory(config)).parameters.items():
        if name.startswith("input"):
            assert first[name] == value
    with pytest.raises(InputError, match="the input layer of .* has other parameters"):
        train.run(dressed(tmp_path, **begun, input__hidden=[4]), CONTEXT)


def test_the_plan_says_what_comes_before_the_circuit(tmp_path, capsys) -> None:
    assert plan.run(dressed(tmp_path, input__scale=1.5), CONTEXT) == 0
    out = capsys.readouterr().out
    assert "2 to 3 to 2, tanh, times 1.5, 17 parameters" in out and "native" in out


def test_none_leaves_no_trace(tmp_path) -> None:
    from qmltrain.config.identity import config_hash

    plain = to_dict(moons(tmp_path))
    without = {group: values for group, values in plain.items() if group != "input"}
    assert config_hash(plain) == config_hash(without) != config_hash(to_dict(dressed(tmp_path)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input__outputs": 3}, r"3 features.*2 qubits.*input\.outputs"),
        ({"encoding__name": "basis"}, r"encoding\.name: basis takes 0 and 1"),
        ({"encoding__name": "chebyshev", "input__activation": "relu"}, r"input\.activation: relu .* leaves \[-1, 1\]"),
        ({"encoding__name": "chebyshev", "input__scale": 1.5}, r"input\.activation: tanh times input\.scale=1\.5"),
        ({"encoding__name": "amplitude", "encoding__normalize": False}, r"encoding\.normalize: false needs rows"),
        ({"input__name": "linear"}, r"input\.hidden: not used by linear"),
        ({"input__hidden": None}, r"input\.hidden: needed by mlp"),
        ({"input__name": "cnn", "input__hidden": None}, r"input\.name: 'cnn' is not known; choose one of none, linear"),
        ({"input__name": "none", "input__hidden": None, "input__bias": True}, r"input\.bias: not used by none"),
    ],
)
def test_what_does_not_go_together_is_one_line(tmp_path, changes, message) -> None:
    with pytest.raises(InputError, match=message):
        build_model(dressed(tmp_path, **changes), 2, 2)


def test_layers_take_features(tmp_path) -> None:
    with pytest.raises(InputError, match=r"input\.name: mlp takes features, and dataset=none has none"):
        build_model(dressed(tmp_path, dataset__name="none", loss__name="expectation", head__name="raw"), 0, None)
