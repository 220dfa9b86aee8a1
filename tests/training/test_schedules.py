"""Every registered schedule: end points, warm-up, purity, refusals."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmltrain.errors import InputError
from qmltrain.training.schedules import SCHEDULES, Horizon, learning_rate_schedule

every_schedule = pytest.mark.parametrize("name", sorted(SCHEDULES))


def rates(name: str, n_steps: int, **arguments: float) -> list[float]:
    schedule = learning_rate_schedule(name, 0.2, **{"steps_per_epoch": 5, "total_steps": n_steps} | arguments)
    return [schedule(step) for step in range(n_steps)]


@every_schedule
@pytest.mark.parametrize("total_steps", [1, 2, 37])
def test_starts_at_the_learning_rate_and_stays_within_it(name: str, total_steps: int) -> None:
    values = rates(name, total_steps)
    assert values[0] == pytest.approx(0.2, rel=1e-15)
    assert all(0.0 < value <= 0.2 for value in values)
    assert all(after <= before for before, after in pairwise(values))


@every_schedule
@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 19))
def test_warm_up_is_linear_and_never_zero(name: str, steps_per_epoch: int, n_epochs: int, warmup_steps: int) -> None:
    total_steps = steps_per_epoch * n_epochs
    warmup_steps = min(warmup_steps, total_steps - 1)
    arguments = {"steps_per_epoch": steps_per_epoch, "total_steps": total_steps}
    schedule = learning_rate_schedule(name, 0.2, **arguments, warmup_steps=warmup_steps)
    fraction = SCHEDULES[name](Horizon(steps_per_epoch, total_steps, warmup_steps))
    for step in range(total_steps):
        expected = 0.2 * fraction(step) * (min(step + 1, warmup_steps + 1) / (warmup_steps + 1))
        assert schedule(step) == pytest.approx(expected, rel=1e-14)
        assert schedule(step) > 0.0
    if name != "step":
        assert schedule(warmup_steps) == pytest.approx(0.2, rel=1e-15)


@every_schedule
def test_any_order_of_steps_gives_the_same(name: str) -> None:
    arguments = {"steps_per_epoch": 3, "total_steps": 30, "warmup_steps": 4}
    schedule = learning_rate_schedule(name, 0.1, **arguments)
    forward = [schedule(step) for step in range(30)]
    again = learning_rate_schedule(name, 0.1, **arguments)
    assert [again(step) for step in reversed(range(30))] == forward[::-1]


def test_cosine() -> None:
    schedule = learning_rate_schedule("cosine", 1.0, steps_per_epoch=10, total_steps=100, final_fraction=0.1)
    assert schedule(50) == pytest.approx(0.55)
    assert schedule(25) == pytest.approx(0.1 + 0.45 * (1 + math.sqrt(0.5)))
    assert 0.1 < schedule(99) < 0.101
    assert schedule(100) == schedule(1000) == pytest.approx(0.1)
    assert learning_rate_schedule("cosine", 1.0, steps_per_epoch=1, total_steps=10)(10) == pytest.approx(0.0, abs=1e-16)
    warm = learning_rate_schedule("cosine", 1.0, steps_per_epoch=10, total_steps=100, warmup_steps=20)
    assert warm(20) == 1.0 and warm(60) == pytest.approx(0.5) and warm(0) == pytest.approx(1 / 21)


def test_step() -> None:
    values = rates("step", 30, step_epochs=2, factor=0.5)
    assert values == [0.2] * 10 + [0.1] * 10 + [0.05] * 10
    assert rates("step", 60)[49:51] == [0.2, pytest.approx(0.02)]
    assert rates("step", 60, step_epochs=None, factor=None) == rates("step", 60)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("linear", {}, "schedule.name: 'linear' is not known; choose one of constant, cosine, step"),
        ("constant", {"warmup_steps": -1}, "schedule.warmup_steps: -1"),
        ("cosine", {"warmup_steps": 20}, "choose 0 to 19, or more train.epochs"),
        ("cosine", {"final_fraction": 1.5}, "schedule.final_fraction: 1.5"),
        ("cosine", {"final_fraction": math.nan}, "schedule.final_fraction"),
        ("step", {"step_epochs": 0}, "schedule.step_epochs: 0"),
        ("step", {"factor": 0.0}, "schedule.factor: 0.0"),
        ("step", {"factor": math.inf}, "schedule.factor"),
        ("constant", {"factor": 0.5}, "schedule.factor: not used by constant; it takes no options"),
        ("constant", {"steps_per_epoch": 0}, "needs 1 or more"),
        ("constant", {"total_steps": 0}, "needs 1 or more"),
    ],
)
def test_impossible_schedules_are_refused(name: str, arguments: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        learning_rate_schedule(name, 0.1, **{"steps_per_epoch": 5, "total_steps": 20} | arguments)


@pytest.mark.parametrize("learning_rate", [0.0, -0.1, math.nan, math.inf])
def test_impossible_learning_rates_are_refused(learning_rate: float) -> None:
    with pytest.raises(InputError, match=r"optimizer\.learning_rate"):
        learning_rate_schedule("constant", learning_rate, steps_per_epoch=1, total_steps=1)


def test_negative_steps_are_refused() -> None:
    with pytest.raises(ValueError, match="step -1 is negative"):
        learning_rate_schedule("constant", 0.1, steps_per_epoch=1, total_steps=1)(-1)


@pytest.mark.parametrize("warmup_steps", [0, 3])
def test_where_the_rate_is_one_number(warmup_steps):
    options = {"steps_per_epoch": 5, "total_steps": 20, "warmup_steps": warmup_steps}
    rate = learning_rate_schedule("constant", 0.3, **options)
    assert rate.constant_from == warmup_steps
    assert {rate(step) for step in range(warmup_steps, 20)} == {0.3}
    assert warmup_steps == 0 or rate(warmup_steps - 1) < 0.3
    assert learning_rate_schedule("cosine", 0.3, **options).constant_from == float("inf")
