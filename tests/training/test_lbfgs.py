"""L-BFGS: minima found, the conditions of its line search, its direction, exact resume, refusals."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmltrain.errors import NonFiniteError
from qmltrain.training.lbfgs import HISTORY
from qmltrain.training.optimizers import OPTIMIZERS
from tests.examples import examples
from tests.training.objectives import quartic, rosenbrock


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


@settings(max_examples=examples(50), deadline=None)
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


@settings(max_examples=examples(50), deadline=None)
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
