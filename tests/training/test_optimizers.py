"""Every registered optimiser: the published formulas, exact resume, refusals."""

from __future__ import annotations

import inspect
import math

import numpy as np
import pytest

from qmltrain.errors import InputError, StorageError
from qmltrain.training.optimizers import OPTIMIZERS
from tests.training.objectives import quartic

FIRST_ORDER = ("sgd", "adam", "adamw")
OPTIONS = {  # beside the defaults, which every registered optimiser is tested with
    "sgd": [{"momentum": 0.9}, {"momentum": 0.5, "weight_decay": 0.1}],
    "adam": [{"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3}],
    "adamw": [{"beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-5, "weight_decay": 0.3}],
}
ALL = [(name, {}) for name in OPTIMIZERS] + [(n, o) for n, choices in OPTIONS.items() for o in choices]


def gradients(n_steps: int, n_parameters: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n_steps, n_parameters))


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_each_option_is_tested(name: str) -> None:
    parameters = inspect.signature(OPTIMIZERS[name]).parameters.values()
    options = {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}
    assert options == set().union(*OPTIONS.get(name, []))
    assert OPTIMIZERS[name](3).full_batch == (name not in FIRST_ORDER)
    assert OPTIMIZERS[name](3).name == name


# The formulas as published, written out with scalars, parameter by parameter.


def sgd_by_hand(theta: float, gradients: list[float], lr: float, momentum: float = 0.0, weight_decay: float = 0.0):
    velocity = 0.0
    for g in gradients:
        velocity = momentum * velocity + (g + weight_decay * theta)
        theta -= lr * velocity
    return theta


def adamw_by_hand(
    theta: float,
    gradients: list[float],
    lr: float,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
    weight_decay: float = 0.01,
):
    m = v = 0.0
    for t, g in enumerate(gradients, start=1):
        theta -= lr * weight_decay * theta
        m = beta_1 * m + (1 - beta_1) * g
        v = beta_2 * v + (1 - beta_2) * g * g
        theta -= lr * (m / (1 - beta_1**t)) / (math.sqrt(v / (1 - beta_2**t)) + epsilon)
    return theta


def adam_by_hand(theta: float, gradients: list[float], lr: float, **options: float):
    return adamw_by_hand(theta, gradients, lr, weight_decay=0.0, **options)


@pytest.mark.parametrize(("name", "options"), [(n, o) for n, o in ALL if n in FIRST_ORDER])
@pytest.mark.parametrize("n_steps", [1, 3, 20])
def test_published_formulas(name: str, options: dict[str, float], n_steps: int) -> None:
    by_hand = {"sgd": sgd_by_hand, "adam": adam_by_hand, "adamw": adamw_by_hand}[name]
    start = np.random.default_rng(1).normal(size=5)
    steps = gradients(n_steps, 5)
    optimizer, parameters = OPTIMIZERS[name](5, **options), start
    for gradient in steps:
        before = parameters.copy(), gradient.copy()
        following = optimizer.step(parameters, gradient, 0.05)
        assert np.array_equal(parameters, before[0]) and np.array_equal(gradient, before[1])
        parameters = following
    expected = [by_hand(start[i], steps[:, i].tolist(), 0.05, **options) for i in range(5)]
    np.testing.assert_allclose(parameters, expected, rtol=1e-13)


def test_closed_forms() -> None:
    """A constant gradient: Adam's corrected moments are g and g^2 at every step, so it moves lr sign(g) each time."""
    gradient = np.array([3.0, -0.02])
    for name in ("adam", "adamw"):
        options = {"weight_decay": 0.0} if name == "adamw" else {}
        optimizer, parameters = OPTIMIZERS[name](2, epsilon=1e-300, **options), np.zeros(2)
        for step in range(1, 4):
            parameters = optimizer.step(parameters, gradient, 0.1)
            np.testing.assert_allclose(parameters, [-0.1 * step, 0.1 * step], rtol=1e-12)
    optimizer, parameters = OPTIMIZERS["sgd"](2, momentum=0.5), np.zeros(2)
    for _ in range(3):
        parameters = optimizer.step(parameters, gradient, 0.1)
    np.testing.assert_allclose(parameters, -0.1 * gradient * (1 + 1.5 + 1.75), rtol=1e-14)
    decayed = OPTIMIZERS["adamw"](1, weight_decay=0.5).step(np.ones(1), np.zeros(1), 0.1)
    np.testing.assert_allclose(decayed, [0.95], rtol=1e-15)


def test_the_learning_rate_is_that_of_the_step() -> None:
    """Momentum holds gradients, not steps: a learning rate of 0 stops at once and loses nothing."""
    optimizer = OPTIMIZERS["sgd"](1, momentum=0.9)
    first = optimizer.step(np.zeros(1), np.ones(1), 1.0)
    assert np.array_equal(optimizer.step(first, np.ones(1), 0.0), first)


@pytest.mark.parametrize(("name", "options"), ALL)
def test_resumed_steps_have_the_same_bits(name: str, options: dict[str, float]) -> None:
    whole, parameters = OPTIMIZERS[name](7, **options), np.linspace(-2.0, 2.0, 7)
    snapshots, trajectory = [(whole.state(), parameters)], []
    for gradient in gradients(12, 7):
        if whole.full_batch:
            parameters = whole.step(parameters, quartic).parameters_P
        else:
            parameters = whole.step(parameters, gradient, 0.1)
        snapshots.append((whole.state(), parameters.copy()))
        trajectory.append(parameters)
    for start in range(12):
        resumed, parameters = OPTIMIZERS[name](7, **options), snapshots[start][1]
        state = {key: value.copy() for key, value in snapshots[start][0].items()}
        resumed.load_state(state)
        for value in state.values():
            value[...] = 0  # what was loaded is the optimiser's own
        for gradient, expected in list(zip(gradients(12, 7), trajectory, strict=True))[start:]:
            if resumed.full_batch:
                parameters = resumed.step(parameters, quartic).parameters_P
            else:
                parameters = resumed.step(parameters, gradient, 0.1)
            assert np.array_equal(parameters, expected)
        for key, value in resumed.state().items():
            assert np.array_equal(value, snapshots[-1][0][key]), key


@pytest.mark.parametrize(("name", "options"), [(n, o) for n, o in ALL if OPTIMIZERS[n](3, **o).state()])
def test_states_that_do_not_fit_are_refused(name: str, options: dict[str, float]) -> None:
    optimizer = OPTIMIZERS[name](3, **options)
    if optimizer.full_batch:
        optimizer.step(np.zeros(3), quartic)
    state = optimizer.state()
    for key in state:
        with pytest.raises(StorageError, match="optimizer state"):
            OPTIMIZERS[name](3, **options).load_state({k: v for k, v in state.items() if k != key})
        with pytest.raises(StorageError, match=key):
            OPTIMIZERS[name](3, **options).load_state(state | {key: np.zeros((5, 5, 5))})
        with pytest.raises(StorageError, match=key):
            OPTIMIZERS[name](3, **options).load_state(state | {key: state[key].astype(np.float32)})
    with pytest.raises(StorageError, match="unknown"):
        OPTIMIZERS[name](3, **options).load_state(state | {"unknown": np.zeros(3)})
    with pytest.raises(StorageError):
        OPTIMIZERS[name](4, **options).load_state(state)


def test_a_state_of_another_optimizer_is_refused() -> None:
    with pytest.raises(StorageError, match=r"found first_moment.*sgd needs nothing"):
        OPTIMIZERS["sgd"](3).load_state(OPTIMIZERS["adam"](3).state())


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("sgd", {"momentum": 1.0}),
        ("sgd", {"momentum": -0.1}),
        ("sgd", {"weight_decay": -1.0}),
        ("adam", {"beta_1": 1.0}),
        ("adam", {"beta_2": math.nan}),
        ("adam", {"epsilon": 0.0}),
        ("adam", {"epsilon": math.inf}),
        ("adamw", {"weight_decay": math.inf}),
        ("adamw", {"beta_2": 1.5}),
    ],
)
def test_impossible_options_are_refused(name: str, options: dict[str, float]) -> None:
    with pytest.raises(InputError, match=f"optimizer.{next(iter(options))}: .* is not possible; choose"):
        OPTIMIZERS[name](3, **options)


@pytest.mark.parametrize("name", FIRST_ORDER)
def test_arrays_of_another_shape_or_type_are_refused(name: str) -> None:
    optimizer = OPTIMIZERS[name](3)
    for parameters, gradient in [
        (np.zeros(3), np.zeros(4)),
        (np.zeros(4), np.zeros(3)),
        (np.zeros(3), np.zeros(3, dtype=np.float32)),
        (np.zeros((3, 1)), np.zeros(3)),
    ]:
        with pytest.raises(ValueError, match="expected float64"):
            optimizer.step(parameters, gradient, 0.1)
