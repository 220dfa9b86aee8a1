"""Every registered optimiser: the published formulas, exact resume, refusals."""

from __future__ import annotations

import inspect
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmltrain.errors import InputError, NonFiniteError, StorageError
from qmltrain.training.gradient_norm import clip_by_global_norm, global_norm
from qmltrain.training.lbfgs import HISTORY
from qmltrain.training.optimizers import OPTIMIZERS

FIRST_ORDER = ("sgd", "adam", "adamw")
OPTIONS = {  # beside the defaults, which every registered optimiser is tested with
    "sgd": [{"momentum": 0.9}, {"momentum": 0.5, "weight_decay": 0.1}],
    "adam": [{"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3}],
    "adamw": [{"beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-5, "weight_decay": 0.3}],
}
ALL = [(name, {}) for name in OPTIMIZERS] + [(n, o) for n, choices in OPTIONS.items() for o in choices]


def gradients(n_steps: int, n_parameters: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n_steps, n_parameters))


def quartic(parameters: np.ndarray) -> tuple[float, np.ndarray]:
    """Smooth, bounded below, not convex, coupled."""
    shifted = parameters - np.arange(len(parameters)) / 3
    coupled = np.roll(shifted, 1)
    value = np.sum(shifted**4) + 0.5 * np.sum((shifted - coupled) ** 2) - np.sum(np.cos(3 * shifted))
    gradient = 4 * shifted**3 + (shifted - coupled) - (np.roll(shifted, -1) - shifted) + 3 * np.sin(3 * shifted)
    return float(value), gradient


def rosenbrock(parameters: np.ndarray) -> tuple[float, np.ndarray]:
    x, y = parameters[:-1], parameters[1:]
    gradient = np.zeros_like(parameters)
    gradient[:-1] = -400 * x * (y - x**2) - 2 * (1 - x)
    gradient[1:] += 200 * (y - x**2)
    return float(np.sum(100 * (y - x**2) ** 2 + (1 - x) ** 2)), gradient


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


# Clipping


@given(st.integers(0, 1000), st.floats(1e-3, 1e3), st.sampled_from([1e-200, 1.0, 1e200]))
def test_clipping(seed: int, limit: float, scale: float) -> None:
    gradient = gradients(1, 6, seed)[0] * scale
    clipped, norm = clip_by_global_norm(gradient, limit)
    np.testing.assert_allclose(norm / scale, np.linalg.norm(gradient / scale), rtol=1e-14)
    if norm <= limit:
        assert np.array_equal(clipped, gradient)
    else:
        np.testing.assert_allclose(clipped, gradient * (limit / norm), rtol=1e-14)
        np.testing.assert_allclose(global_norm(clipped), limit, rtol=1e-12)


def test_clipping_at_the_edges() -> None:
    assert clip_by_global_norm(np.zeros(4), 1.0)[1] == 0.0
    assert clip_by_global_norm(np.empty(0), 1.0)[1] == 0.0
    unclipped, norm = clip_by_global_norm(np.array([3.0, 4.0]), None)
    assert norm == 5.0 and np.array_equal(unclipped, [3.0, 4.0])
    for bad in (np.nan, np.inf, -np.inf):
        with pytest.raises(NonFiniteError):
            clip_by_global_norm(np.array([1.0, bad]), 1.0)
    for limit in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(InputError, match=r"optimizer\.clip_norm"):
            clip_by_global_norm(np.ones(2), limit)


# L-BFGS


def minimise(function, start: np.ndarray, limit: int = 500) -> tuple[list, int]:
    optimizer, parameters, steps, evaluations = OPTIMIZERS["lbfgs"](len(start)), start, [], 0
    while not steps or (steps[-1].finished is None and len(steps) < limit):
        steps.append(optimizer.step(parameters, function))
        parameters = steps[-1].parameters_P
        evaluations += steps[-1].evaluations
    return steps, evaluations


@pytest.mark.parametrize("n_parameters", [2, 5, 31])
def test_lbfgs_finds_the_minimum_of_rosenbrock(n_parameters: int) -> None:
    steps, evaluations = minimise(rosenbrock, np.full(n_parameters, 0.5))
    assert "largest entry of the gradient" in steps[-1].finished or "loss fell by less" in steps[-1].finished
    assert steps[-1].loss < 1e-7
    np.testing.assert_allclose(steps[-1].parameters_P, 1.0, atol=1e-3)
    assert evaluations < 6 * len(steps)
    losses = [step.loss for step in steps]
    assert all(after <= before for before, after in pairwise(losses))


def test_lbfgs_does_about_as_well_as_scipy() -> None:
    from scipy.optimize import minimize

    start = np.linspace(-2.0, 2.0, 40)
    peer = minimize(rosenbrock, start, jac=True, method="L-BFGS-B", options={"maxiter": 2000, "maxcor": HISTORY})
    steps, evaluations = minimise(rosenbrock, start, limit=2000)
    assert steps[-1].loss < peer.fun + 1e-6
    assert evaluations < 2 * peer.nfev


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 12))
def test_lbfgs_solves_quadratics(seed: int, n_parameters: int) -> None:
    generator = np.random.default_rng(seed)
    basis, _ = np.linalg.qr(generator.normal(size=(n_parameters, n_parameters)))
    matrix = basis @ np.diag(10.0 ** generator.uniform(-1, 2, size=n_parameters)) @ basis.T
    target = generator.normal(size=n_parameters)

    def quadratic(x: np.ndarray) -> tuple[float, np.ndarray]:
        return float(0.5 * (x - target) @ matrix @ (x - target)), matrix @ (x - target)

    steps, _ = minimise(quadratic, np.zeros(n_parameters))
    assert steps[-1].finished is not None
    assert steps[-1].loss < 1e-5  # it ends where the loss falls by less than 2e-9


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000))
def test_each_iteration_meets_the_strong_wolfe_conditions(seed: int) -> None:
    generator = np.random.default_rng(seed)
    parameters = generator.uniform(-3, 3, size=6)
    optimizer = OPTIMIZERS["lbfgs"](6)
    loss, gradient = quartic(parameters)
    for _ in range(8):
        step = optimizer.step(parameters, quartic)
        assert step.loss == quartic(step.parameters_P)[0]
        assert np.array_equal(step.gradient_P, quartic(step.parameters_P)[1])
        if step.finished:
            break
        move = step.parameters_P - parameters
        assert step.loss <= loss + 1e-4 * (gradient @ move) + 1e-12
        assert abs(step.gradient_P @ move) <= 0.9 * abs(gradient @ move) + 1e-12
        parameters, loss, gradient = step.parameters_P, step.loss, step.gradient_P


@pytest.mark.parametrize("n_parameters", [3, 12])
def test_the_direction_is_that_of_the_bfgs_matrix(n_parameters: int) -> None:
    """Equation 7.19 of Nocedal and Wright multiplied out, from gamma I (7.20), with the pairs of the state."""
    optimizer, parameters = OPTIMIZERS["lbfgs"](n_parameters), np.linspace(-1.0, 1.5, n_parameters)
    for _ in range(HISTORY + 3):
        parameters = optimizer.step(parameters, rosenbrock).parameters_P
    state = optimizer.state()
    steps, changes = state["steps"], state["changes"]
    inverse = np.eye(n_parameters) * (steps[-1] @ changes[-1]) / (changes[-1] @ changes[-1])
    for s, y in zip(steps, changes, strict=True):
        left = np.eye(n_parameters) - np.outer(s, y) / (s @ y)
        inverse = left @ inverse @ left.T + np.outer(s, s) / (s @ y)
    after = optimizer.step(parameters, rosenbrock)
    move, expected = after.parameters_P - parameters, -inverse @ state["gradient"]
    length = np.linalg.norm(move) / np.linalg.norm(expected)
    np.testing.assert_allclose(move, length * expected, rtol=1e-6, atol=1e-9 * length * np.linalg.norm(expected))


def test_lbfgs_has_the_same_bits_for_any_number_of_blas_threads() -> None:
    """OpenBLAS divides dot products of more than 10,000 numbers among its threads."""
    from threadpoolctl import threadpool_limits

    start = np.random.default_rng(0).uniform(-1.5, 1.5, size=30_001)
    found = []
    for n_threads in (1, 2, 3):
        optimizer, parameters = OPTIMIZERS["lbfgs"](len(start)), start
        with threadpool_limits(n_threads, user_api="blas"):
            for _ in range(4):
                parameters = optimizer.step(parameters, quartic_alone).parameters_P
        found.append(parameters.tobytes())
    assert found[0] == found[1] == found[2]


def quartic_alone(parameters: np.ndarray) -> tuple[float, np.ndarray]:
    return float(np.sum(parameters**4 - np.cos(3 * parameters))), 4 * parameters**3 + 3 * np.sin(3 * parameters)


def test_lbfgs_keeps_a_bounded_history_and_is_done_at_a_minimum() -> None:
    steps, _ = minimise(rosenbrock, np.full(9, -1.0))
    optimizer, parameters = OPTIMIZERS["lbfgs"](9), np.full(9, -1.0)
    for _ in range(25):
        parameters = optimizer.step(parameters, rosenbrock).parameters_P
    assert optimizer.state()["steps"].shape == optimizer.state()["changes"].shape == (HISTORY, 9)
    again = OPTIMIZERS["lbfgs"](9).step(np.ones(9), rosenbrock)
    assert again.finished is not None and again.evaluations == 1 and np.array_equal(again.parameters_P, np.ones(9))
    assert steps[-1].finished is not None


def test_lbfgs_ends_where_rounding_hides_the_loss() -> None:
    """In complex64 the loss has steps of about 1e-7: no endless search, no worse point."""

    def rounded(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        loss, gradient = quartic(parameters)
        return float(np.float32(loss)), gradient.astype(np.float32).astype(np.float64)

    steps, evaluations = minimise(rounded, np.linspace(-1, 2, 5))
    assert steps[-1].finished is not None and evaluations < 200
    assert np.max(np.abs(quartic(steps[-1].parameters_P)[1])) < 1e-2

    def uphill(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        return float(np.sum(parameters**2)), -2 * parameters  # a wrong gradient

    result = OPTIMIZERS["lbfgs"](3).step(np.ones(3), uphill)
    assert "limit of the precision" in result.finished and np.array_equal(result.parameters_P, np.ones(3))


def test_an_abandoned_iteration_leaves_the_state_as_it_was() -> None:
    """At whichever evaluation the run is stopped, going on gives the bits of the run that was not."""

    def stopping_after(n_evaluations: int):
        left = [n_evaluations]

        def evaluate(parameters: np.ndarray) -> tuple[float, np.ndarray]:
            left[0] -= 1
            if left[0] < 0:
                raise InterruptedError
            return rosenbrock(parameters)

        return evaluate

    reference = OPTIMIZERS["lbfgs"](5)
    parameters = np.linspace(-1.0, 1.5, 5)
    for _ in range(30):
        state = reference.state()
        expected = reference.step(parameters, rosenbrock)
        for n_evaluations in range(expected.evaluations):
            other = OPTIMIZERS["lbfgs"](5)
            other.load_state(state)
            with pytest.raises(InterruptedError):
                other.step(parameters, stopping_after(n_evaluations))
            assert all(np.array_equal(other.state()[key], state[key], equal_nan=True) for key in state)
            assert np.array_equal(other.step(parameters, rosenbrock).parameters_P, expected.parameters_P)
        parameters = expected.parameters_P


def test_lbfgs_bad_input() -> None:
    optimizer = OPTIMIZERS["lbfgs"](3)
    with pytest.raises(ValueError, match="expected float64"):
        optimizer.step(np.zeros(4), quartic)
    optimizer.step(np.zeros(3), quartic)
    with pytest.raises(ValueError, match="not those the last iteration ended at"):
        optimizer.step(np.zeros(3), quartic)
    for bad in ((math.nan, np.zeros(3)), (0.0, np.array([0.0, np.inf, 0.0]))):
        with pytest.raises(NonFiniteError):
            OPTIMIZERS["lbfgs"](3).step(np.zeros(3), lambda _, bad=bad: bad)
