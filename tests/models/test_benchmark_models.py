"""experiment=qml_benchmarks/...: every model is what the paper defines, at two sizes; its start; a few steps of it."""

from __future__ import annotations

import math
import re
from functools import partial

import numpy as np
import pytest

from qmltrain.circuit.interchange.python_export import state_source
from qmltrain.cli import main
from qmltrain.cli.composing import compose_config
from qmltrain.engines.cpu import unavailable_reason
from qmltrain.models.build import build_model, compile_model
from qmltrain.models.first_parameters import initial_theta
from qmltrain.models.problem import build_problem
from qmltrain.models.trained import load
from qmltrain.runs.views import open_run
from qmltrain.sessions.training_run import run_directory
from qmltrain.shipped_files import configs_directory, entry_names
from qmltrain.verbs import train
from tests.models import benchmark_definitions as definitions
from tests.small_configs import CONTEXT

NAMES = [name.partition("/")[2] for name in entry_names("experiment") if name.startswith("qml_benchmarks/")]
QUICK = ["engine.name=interpreter", "run.progress=none", "train.baseline=false"]


def terms(text: str) -> str:
    return f"observable.terms=['{text}']"


# name, features, what is smaller than in the experiment, the definition, our loss over the paper's
CASES = [
    ("iqp_variational", 2, ["encoding.repeats=2", "ansatz.layers=1"],
     partial(definitions.iqp_variational, repeats=2, layers=1), 2),
    ("iqp_variational", 4, ["ansatz.layers=3"], partial(definitions.iqp_variational, repeats=1, layers=3), 2),
    ("vanilla_qnn", 2, ["ansatz.layers=1", "encoding.layers=2"],
     partial(definitions.vanilla_qnn, repeats=2, layers=1), 1),
    ("vanilla_qnn", 3, ["ansatz.layers=2"], partial(definitions.vanilla_qnn, repeats=1, layers=2), 1),
    ("separable_variational", 2, ["encoding.repeats=1", terms("3*Z0 + 3*Z1")],
     partial(definitions.separable_variational, layers=1), 1),
    ("separable_variational", 3, ["encoding.repeats=3", terms("2*Z0 + 2*Z1 + 2*Z2")],
     partial(definitions.separable_variational, layers=3), 1),
    ("data_reuploading", 4, ["circuit.n_qubits=2", "encoding.repeats=3"],
     partial(definitions.data_reuploading, layers=3, read=[0, 1]), 1),
    ("data_reuploading", 10, ["encoding.repeats=2", "observable.qubits=[0,1]"],
     partial(definitions.data_reuploading, layers=2, read=[0, 1]), 1),
    ("data_reuploading_no_scaling", 3, ["circuit.n_qubits=1", "encoding.repeats=2"],
     partial(definitions.data_reuploading, layers=2, read=[0], variant="no_scaling"), 1),
    ("data_reuploading_no_scaling", 7, ["circuit.n_qubits=3", "encoding.repeats=3"],
     partial(definitions.data_reuploading, layers=3, read=[0, 1, 2], variant="no_scaling"), 1),
    ("data_reuploading_separable", 2, ["circuit.n_qubits=1", "encoding.repeats=2"],
     partial(definitions.data_reuploading, layers=2, read=[0], variant="separable"), 1),
    ("data_reuploading_separable", 8, ["circuit.n_qubits=3", "encoding.repeats=1"],
     partial(definitions.data_reuploading, layers=1, read=[0, 1, 2], variant="separable"), 1),
    ("data_reuploading_no_cost", 4, ["circuit.n_qubits=2", "encoding.repeats=2", terms("Z0 + Z1")],
     partial(definitions.data_reuploading_no_cost, layers=2), 2),
    ("data_reuploading_no_cost", 9, ["circuit.n_qubits=3", "encoding.repeats=1", terms("Z0 + Z1 + Z2")],
     partial(definitions.data_reuploading_no_cost, layers=1), 2),
    ("dressed", 2, ["ansatz.layers=2"], partial(definitions.dressed, layers=2), 1),
    ("dressed", 4, ["ansatz.layers=3"], partial(definitions.dressed, layers=3), 1),
    ("dressed", 3, ["ansatz.layers=2", "ansatz.entangler=none"],
     partial(definitions.dressed, layers=2, ring=False), 1),
    ("circuit_centric", 3, ["circuit.n_qubits=6", "encoding.copies=3", "encoding.pad_with=0.25", "ansatz.layers=1"],
     partial(definitions.circuit_centric, copies=3, layers=1), 2),
    ("circuit_centric", 4, ["circuit.n_qubits=4", "ansatz.layers=3"],
     partial(definitions.circuit_centric, copies=2, layers=3), 2),
    ("circuit_centric", 5, ["circuit.n_qubits=3", "encoding.copies=1", "encoding.pad_with=0.125", "ansatz.layers=2"],
     partial(definitions.circuit_centric, copies=1, layers=2), 2),
    ("tree_tensor", 3, ["circuit.n_qubits=2", "encoding.pad_with=0.25"], definitions.tree_tensor, 1),
    ("tree_tensor", 10, [], definitions.tree_tensor, 1),
]  # fmt: skip


def config_of(name: str, n_features: int, words: list[str]):
    config = compose_config([f"experiment=qml_benchmarks/{name}", f"dataset.n_features={n_features}", *QUICK, *words])
    assert config is not None
    return config


def test_every_model_is_judged_at_two_sizes():
    sizes = {name: {case[1] for case in CASES if case[0] == name} for name in NAMES}
    assert all(len(found) >= 2 for found in sizes.values()), sizes


@pytest.mark.parametrize(
    ("name", "n_features", "words", "definition", "factor"),
    CASES,
    ids=[f"{case[0]} {case[1]}" for case in CASES],
)
@pytest.mark.parametrize("batch", [3, pytest.param(1, marks=pytest.mark.slow)])
def test_model_is_its_definition(name, n_features, words, definition, factor, batch):
    config = config_of(name, n_features, words)
    model = build_model(config, n_features, 2)
    generator = np.random.default_rng(n_features)
    theta_P = generator.normal(size=model.n_parameters)
    x_BF = generator.uniform(-1.5, 1.5, (batch, n_features))
    targets_B = generator.integers(0, 2, batch)

    def defined(at_P: np.ndarray) -> tuple[np.ndarray, float]:
        named = dict(zip(model.parameter_names, at_P, strict=True))
        found = [definition(named, x, 2 * target - 1) for x, target in zip(x_BF, targets_B.tolist(), strict=True)]
        return np.array([outputs for outputs, _ in found]), factor * float(np.mean([loss for _, loss in found]))

    found = compile_model(config, model, samples=batch).evaluator.gradient(theta_P, x_BF, targets_B)
    outputs_BC, loss = defined(theta_P)
    np.testing.assert_allclose(found.outputs_BC, outputs_BC, atol=1e-10)
    assert abs(found.loss - loss) < 1e-10
    step = 1e-5
    for k in range(model.n_parameters):
        moved = step * (np.arange(model.n_parameters) == k)
        slope = (defined(theta_P + moved)[1] - defined(theta_P - moved)[1]) / (2 * step)
        assert abs(slope - found.gradient_P[k]) < 1e-8, model.parameter_names[k]


@pytest.mark.parametrize("name", NAMES)
def test_it_composes_starts_as_published_and_trains(name, tmp_path):
    lines = (configs_directory() / "experiment" / "qml_benchmarks" / f"{name}.yaml").read_text().splitlines()
    assert lines[:2] == ["# @package _global_", f"# qmltrain experiment=qml_benchmarks/{name}"]
    assert "arXiv:2403.07059" in " ".join(lines[2:6])
    config = config_of(name, 10, ["train.max_steps=3", f"run.root={tmp_path}"])
    assert config.run.name == name and config.train.replacement and config.train.flat_window == 200
    problem = build_problem(config)
    assert len(problem.split.train) == 240 and len(problem.split.test) == 60 and not len(problem.split.validation)
    model, theta_P = problem.model, initial_theta(problem)
    circuit_P = model.split(theta_P).circuit
    top = 1.0 if name.startswith("data_reuploading") else 2 * np.pi
    assert circuit_P.min() >= 0.0 and circuit_P.max() <= top and len(np.unique(circuit_P)) == len(circuit_P)
    assert circuit_P.max() > 0.8 * top and np.all(model.split(theta_P).loss == 1.0)
    if name == "circuit_centric":
        assert model.split(theta_P).head == [0.01]
    assert train.run(config, CONTEXT) == 0
    assert len(open_run(run_directory(config)).metrics) == 3


def test_every_model_is_listed():
    document = (configs_directory().parent / "docs" / "config.md").read_text()
    assert set(re.findall(r"`qml_benchmarks/(\w+)`", document)) >= {*NAMES}


def test_gradients_of_input_layers_go_through_copies():
    words = ["circuit.n_qubits=4", "ansatz.layers=1", "input=linear", "input.outputs=3", "encoding.pad_with=0.25"]
    config = config_of("circuit_centric", 2, words)
    model = build_model(config, 2, 2)
    generator = np.random.default_rng(1)
    theta_P = generator.normal(size=model.n_parameters)
    x_BF, targets_B = generator.normal(size=(3, 2)), np.array([0, 1, 1])
    evaluator = compile_model(config, model, samples=3).evaluator
    found = evaluator.gradient(theta_P, x_BF, targets_B).gradient_P
    for k in np.flatnonzero([name.startswith("input.") for name in model.parameter_names]):
        moved = 1e-5 * (np.arange(model.n_parameters) == k)
        up, down = (evaluator.gradient(theta_P + sign * moved, x_BF, targets_B).loss for sign in (1, -1))
        assert abs((up - down) / 2e-5 - found[k]) < 1e-8 and found[k] != 0.0


def test_a_loaded_model_and_its_source_have_the_copies(tmp_path):
    config = config_of("circuit_centric", 10, ["train.max_steps=2", f"run.root={tmp_path}", "ansatz.layers=2"])
    assert train.run(config, CONTEXT) == 0
    trained = load(run_directory(config))
    x_BF = np.random.default_rng(0).normal(size=(3, 10))
    expected = [definitions.circuit_centric(trained.parameters, x, 1, copies=2, layers=2)[0] for x in x_BF]
    np.testing.assert_allclose(trained.scores(x_BF), expected, atol=1e-10)
    sampled = trained.expectations(x_BF, shots=100_000, seed=1)
    np.testing.assert_allclose(sampled, trained.expectations(x_BF), atol=0.02)
    amplitude, written = trained.model.amplitude, {"math": math}
    exec(state_source(8, amplitude.pad_with, amplitude.normalize, amplitude.copies), written)
    np.testing.assert_allclose(
        [written["initial_state"](x) for x in x_BF], trained.model.initial_state(x_BF), atol=1e-14
    )


@pytest.mark.skipif(unavailable_reason() is not None, reason="the C++ extension is not built")
@pytest.mark.parametrize("name", NAMES)
def test_the_cpu_engine_agrees(name):
    """On batches of odd sizes, with the passes and spans that it makes of these circuits."""
    config = config_of(name, 10, [])
    model = build_problem(config).model
    generator = np.random.default_rng(2)
    theta_P, x_BF = generator.normal(size=model.n_parameters), generator.uniform(-1.5, 1.5, (17, 10))
    targets_B = generator.integers(0, 2, 17)
    interpreted = compile_model(config, model, samples=17).evaluator.gradient(theta_P, x_BF, targets_B)
    config.engine.name = "cpu"
    compiled = compile_model(config, model, samples=17)
    found = compiled.evaluator.gradient(theta_P, x_BF, targets_B)
    np.testing.assert_allclose(found.outputs_BC, interpreted.outputs_BC, atol=1e-10)
    np.testing.assert_allclose(found.gradient_P, interpreted.gradient_P, atol=1e-10)
    assert compiled.training_step == "native"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["encoding.copies=3"], "encoding.copies: 8 qubits cannot hold 3 copies"),
        (["encoding.copies=4"], "amplitude holds 4 features on 8 qubits in 4 copies, found 10"),
        (["train.initial_features=[0,1]"], "train.initial_features: not used by this circuit"),
    ],
)
def test_bad_input_is_one_line(words, message, tmp_path, capsys):
    assert main(["experiment=qml_benchmarks/circuit_centric", *QUICK, f"run.root={tmp_path}", *words]) == 2
    captured = capsys.readouterr().err
    assert message in captured and captured.count("\n") == 1
