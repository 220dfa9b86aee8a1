"""Means, variances, quantiles, slopes: against NumPy, known distributions, and how often intervals hold the truth."""

from __future__ import annotations

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from qmltrain.errors import InputError
from qmltrain.studies import statistics


def test_columns_are_numpys():
    values = np.random.default_rng(1).normal(2.0, 3.0, (50, 4))
    found = statistics.columns(values)
    np.testing.assert_array_equal(found.mean_G, values.mean(axis=0))
    np.testing.assert_allclose(found.variance_G, np.var(values, axis=0, ddof=1), rtol=1e-14)
    np.testing.assert_allclose(found.mean_error_G, np.std(values, axis=0, ddof=1) / np.sqrt(50), rtol=1e-14)


def test_one_draw_has_no_variance():
    found = statistics.columns([[1.0, 2.0]])
    assert np.isnan(found.variance_G).all() and np.isnan(found.mean_error_G).all()
    estimate = statistics.variance([1.0])
    assert np.isnan([estimate.value, estimate.low, estimate.high]).all()


def test_no_draws_are_refused():
    with pytest.raises(InputError):
        statistics.columns(np.empty((0, 3)))


@pytest.mark.parametrize("n_draws", [2, 3, 200, 1_000, 1_003, 5_000])
def test_resamples_are_those_of_draws_taken_again(n_draws):
    """Against variances of resamples written out, with the same counts: a group of several draws is taken whole."""
    values = np.random.default_rng(n_draws).normal(1.0, 1.0, (n_draws, 2))
    n_groups = min(n_draws, statistics.GROUPS)
    counts = statistics._counts(n_groups, statistics.SEED)
    groups = np.split(np.arange(n_draws), (np.arange(n_groups) * n_draws // n_groups)[1:])
    found = statistics.variance_resamples(values)
    for row in (0, 1, 999):
        taken = np.concatenate([np.tile(g, int(c)) for g, c in zip(groups, counts[row], strict=True)])
        expected = np.mean(np.var(values[taken], axis=0)) * (n_draws / (n_draws - 1)) ** 2
        np.testing.assert_allclose(found[row], expected, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("n_draws", [3, 1_003, 5_000])
def test_resamples_of_a_mean_have_its_error(n_draws):
    values = np.random.default_rng(n_draws).normal(2.0, 1.0, n_draws)
    found = statistics.mean_resamples(values)
    error = np.std(values, ddof=1) / np.sqrt(n_draws)
    assert abs(found.mean() - values.mean()) < 4 * error / np.sqrt(1_000)
    assert np.std(found) == pytest.approx(error * np.sqrt((n_draws - 1) / n_draws), rel=0.1)


def test_a_variance_is_over_draws_and_not_over_columns():
    values = np.array([[0.0, 100.0], [1.0, 101.0], [2.0, 102.0]])
    assert statistics.variance(values).value == 1.0


NORMAL, HEAVY = 1.0, 1 / 16  # a product of four sines, as gradients of a global cost


@pytest.mark.parametrize(("name", "true"), [("normal", NORMAL), ("heavy", HEAVY)])
@pytest.mark.slow
@pytest.mark.parametrize("n_draws", [50, 2_000])
def test_intervals_hold_the_variance_as_often_as_they_say(name, true, n_draws):
    generator = np.random.default_rng(7)
    held = 0
    for _ in range(300):
        if name == "normal":
            values = generator.standard_normal(n_draws)
        else:
            values = np.prod(np.sin(generator.uniform(-np.pi, np.pi, (n_draws, 4))), axis=1)
        found = statistics.variance(values)
        assert found.low < found.value < found.high
        held += found.low <= true <= found.high
    assert 0.90 <= held / 300 <= 0.98  # 95 %, with a deviation of 1.3 % of 300 trials


def test_the_width_of_ten_thousand_draws_is_that_of_theory():
    """Relative deviation of a variance: sqrt((kurtosis - 1) / D), 3 for a normal distribution."""
    found = statistics.variance(np.random.default_rng(3).standard_normal(10_000))
    assert (found.high - found.low) / (2 * 1.96) == pytest.approx(np.sqrt(2 / 10_000), rel=0.1)


def test_equal_draws_have_variance_zero_for_certain():
    assert statistics.variance(np.full((20, 3), 0.25)) == statistics.Estimate(0.0, 0.0, 0.0)


def test_the_same_draws_give_the_same_bits_with_any_number_of_threads():
    values = np.random.default_rng(4).standard_normal((3_000, 40))
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads, user_api="blas"):
            found.append(statistics.variance_resamples(values))
    assert found[0].tobytes() == found[1].tobytes()


def test_quantiles_of_known_numbers():
    np.testing.assert_allclose(statistics.quantiles(np.arange(101.0)), [0, 5, 25, 50, 75, 95, 100])


def test_zero_is_zero_in_every_draw():
    gradient = np.array([[0.0, 1e-9, 0.0], [0.0, -2e-9, 1.0]])
    assert statistics.identically_zero(gradient, 1e-8).tolist() == [True, True, False]
    assert statistics.identically_zero(gradient, 0.0).tolist() == [True, False, False]


def test_slope_of_an_exponential_and_its_interval():
    generator = np.random.default_rng(5)
    x = np.array([2.0, 4.0, 6.0, 8.0])
    held, slopes = 0, []
    for _ in range(100):
        draws = [generator.normal(0.0, np.exp(-0.5 * k / 2), 400) for k in x]  # ln variance = -0.5 x
        resamples = [statistics.variance_resamples(d, seed) for seed, d in enumerate(draws)]
        found = statistics.slope(x, [np.var(d, ddof=1) for d in draws], resamples)
        held += found.low <= -0.5 <= found.high
        slopes.append(found.value)
    assert 0.88 <= held / 100 <= 1.0
    assert np.mean(slopes) == pytest.approx(-0.5, abs=4 * np.std(slopes) / 10)


def test_a_slope_needs_two_places_and_variances_above_zero():
    resamples = np.ones((2, 10))
    with pytest.raises(InputError):
        statistics.slope([3, 3], [1.0, 1.0], resamples)
    assert np.isnan(statistics.slope([1, 2], [0.0, 1.0], resamples).value)
