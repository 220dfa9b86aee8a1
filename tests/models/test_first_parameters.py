"""Layer-wise training: a run grown from another, frozen layers, and what is refused."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from qmltrain.errors import InputError
from qmltrain.models.first_parameters import initial_theta
from qmltrain.models.problem import build_problem
from qmltrain.models.trained import load
from qmltrain.runs.views import open_run
from qmltrain.sessions.training_run import run_directory
from qmltrain.verbs import train
from tests.sessions.stopped_runs import assert_same_bits, stop_and_go_on
from tests.small_configs import CONTEXT, moons


def angle_moons(root, **changes):
    """Encoded once, so that layers can be added."""
    return moons(root, **{"encoding__name": "angle", "encoding__repeats": None, "ansatz__layers": 2, **changes})


@pytest.fixture(scope="module")
def shallow(tmp_path_factory):
    config = angle_moons(tmp_path_factory.mktemp("shallow"), run__name="shallow")
    assert train.run(config, CONTEXT) == 0
    return run_directory(config)


@pytest.mark.parametrize("rest", [None, "zeros", "identity", "normal"])
def test_a_run_grows(shallow, tmp_path, rest):
    config = angle_moons(tmp_path, ansatz__layers=4, train__initial="from_run", train__initial_run=str(shallow),
                         train__initial_rest=rest)  # fmt: skip
    problem = build_problem(config)
    theta, trained = initial_theta(problem), load(shallow)
    names = problem.model.parameter_names
    old = trained.parameters
    assert {name: theta[names.index(name)] for name in old} == old
    new = np.array([value for name, value in zip(names, theta, strict=True) if name not in old])
    assert len(new) == 12 and np.count_nonzero(new) == {None: 0, "zeros": 0, "identity": 4, "normal": 12}[rest]
    if rest != "normal":  # two CZ of two layers are the identity: the grown circuit computes what the run did
        problem = build_problem(config)
        x = problem.source.read(np.arange(5))
        grown = build_evaluator(config, problem).outputs(theta, problem.data.features(np.arange(5)))
        np.testing.assert_allclose(trained.judge(grown)[1], trained.scores(x), atol=1e-12)


def build_evaluator(config, problem):
    from qmltrain.models.build import compile_model

    return compile_model(config, problem.model).evaluator


def test_re_uploading_grows_by_blocks(tmp_path):
    config = moons(tmp_path, run__name="one")
    assert train.run(config, CONTEXT) == 0
    grown = moons(
        tmp_path, encoding__repeats=3, train__initial="from_run", train__initial_run=str(run_directory(config))
    )
    theta, names = initial_theta(build_problem(grown)), build_problem(grown).model.parameter_names
    assert {n: theta[names.index(n)] for n in load(run_directory(config)).parameters} == load(
        run_directory(config)
    ).parameters
    assert theta[names.index("encoding.2.ry.0.weight")] == 1.0
    more = moons(tmp_path, ansatz__layers=2, train__initial="from_run", train__initial_run=str(run_directory(config)))
    with pytest.raises(
        InputError, match=r"2 qubits, 2 layers, 16 parameters.*is not the beginning of this one \(2 qubits"
    ):
        train.run(more, CONTEXT)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train__initial_run": None}, r"^train\.initial_run: needed by from_run"),
        ({"train__initial_run": "absent"}, r"absent: there is no run here"),
        (
            {"circuit__n_qubits": 3},
            r"\(2 qubits, 2 layers, 12 parameters, 2 features\) is not .* \(3 qubits, 4 layers, 36",
        ),
        ({"ansatz__layers": 1}, r"is not the beginning of this one \(2 qubits, 1 layers"),
        ({"ansatz__entangler": "cx_ring"}, r"is not the beginning"),
        ({"loss__name": "binary_cross_entropy"}, r"the head of .* \(linear, 6 parameters\) is not that of this config"),
        ({"ansatz__layers": 3, "train__initial_rest": "identity"}, r"even number of layers is needed, found 1"),
        ({"train__initial": "normal"}, r"^train\.initial_run: not used by normal; only from_run takes it"),
        ({"train__initial_shape": [1.0, 2.0]}, r"^train\.initial_shape: not used by zeros"),
        ({"train__initial": "beta", "train__initial_run": None, "train__initial_shape": [1.0]}, r"\[alpha, beta\]"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_shapes(shallow, tmp_path, changes, message):
    given = {"ansatz__layers": 4, "train__initial": "from_run", "train__initial_run": str(shallow), **changes}
    with pytest.raises(InputError, match=message) as refused:
        train.run(angle_moons(tmp_path, **given), CONTEXT)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "lbfgs"])
def test_frozen_parameters_do_not_move_and_the_rest_is_stopped_and_gone_on_with(tmp_path, optimizer):
    changes = {"train__freeze": [0, "head"], "run__gradients": "full", "optimizer__name": optimizer}
    changes |= {"schedule__name": "constant"} | ({"train__batch_size": 32} if optimizer == "lbfgs" else {})
    config = angle_moons(tmp_path / "whole", **changes)
    assert train.run(config, CONTEXT) == 0
    problem, view = build_problem(config), open_run(run_directory(config))
    fixed = np.array([name.startswith(("ansatz.0.", "head.")) for name in problem.model.parameter_names])
    rows = view.parameters.to_numpy()[:, -len(fixed) :]
    np.testing.assert_array_equal(rows[:, fixed], np.broadcast_to(initial_theta(problem)[fixed], rows[:, fixed].shape))
    assert np.count_nonzero(rows[0, ~fixed] != rows[-1, ~fixed]) >= 4  # the last RZ changes nothing that is measured
    gradients = view.gradients.to_numpy()[:, -len(fixed) :]
    assert not np.any(gradients[:, fixed]) and np.count_nonzero(np.any(gradients[:, ~fixed], axis=0)) >= 4
    stopped = angle_moons(tmp_path / "stopped", **changes)
    assert_same_bits(run_directory(config), stop_and_go_on(stopped, 3))


@pytest.mark.parametrize(
    ("group", "before", "now"), [("input__activation", "tanh", "sigmoid"), ("head__activation", "tanh", "relu")]
)
def test_parameters_that_make_another_function_are_said(tmp_path, group, before, now):
    model = {"input__name": "linear", "input__activation": "tanh", "head__name": "mlp", "head__hidden": [3]}
    run = moons(tmp_path, **{**model, group: before, "train__epochs": 1})
    train.run(run, CONTEXT)
    grown = {"train__initial": "from_run", "train__initial_run": str(run_directory(run)), "train__epochs": 1}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        initial_theta(build_problem(moons(tmp_path, **{**model, group: before, **grown})))
    with pytest.warns(UserWarning, match=f"{group.replace('__', '.')} was {before}, is {now}"):
        initial_theta(build_problem(moons(tmp_path, **{**model, group: now, **grown})))
