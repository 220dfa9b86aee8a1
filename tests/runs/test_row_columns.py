"""Rows as columns: which steps store what, and what does not fit is refused before anything is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmltrain.runs.store import RunStore
from tests.runs.small_store import create

STEPS = {"loss": [1.0, 2.0, 3.0]}
NORMS, ROWS = np.ones((3, 2)), np.ones((2, 3))  # of steps 1, 2, 3: gradients of 1 and 3, parameters after 2


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return create(tmp_path, gradients="full", gradients_every=2, parameters_every=2)


@pytest.mark.parametrize("gradients", ["norms", "full"])
@pytest.mark.parametrize("every", [None, 1, 2, 3, 7])
def test_the_steps_of_a_span_are_those_that_are_wanted_one_by_one(
    tmp_path: Path, gradients: str, every: int | None
) -> None:
    store = create(tmp_path, gradients=gradients, gradients_every=every or 1, parameters_every=every, n_steps=30)

    @given(first=st.integers(1, 30), count=st.integers(0, 30))
    def check(first: int, count: int) -> None:
        steps = range(first, first + count)
        gradients_of = store.gradients_of(first, first + count - 1)
        assert gradients_of.dtype == np.int64
        assert gradients_of.tolist() == [step for step in steps if store.wants_gradient(step)]
        parameters_of = store.parameters_of(first, first + count - 1).tolist()
        assert parameters_of == [step for step in steps if store.wants_parameters(step)]

    check()
    wanted = [step for step in range(1, 9) if store.wants_gradient(step)]
    assert wanted == ([] if gradients == "norms" else [step for step in range(1, 9) if (step - 1) % (every or 1) == 0])
    assert [step for step in range(1, 9) if store.wants_parameters(step)] == list(range(every or 9, 9, every or 9))


@pytest.mark.parametrize(
    ("first", "given", "message"),
    [
        (2, {}, "step 2 after step 0: each is stored once, in order, from 1"),
        (0, {}, "step 0 after step 0"),
        (1, {"metrics": {"loss": [0.0] * 6}}, "step 6: the run was laid out for 5"),
        (1, {"metrics": {}}, r"metrics: found \[\], the run was laid out for \['loss'\]"),
        (1, {"metrics": {**STEPS, "other": [1.0, 2.0, 3.0]}}, r"metrics: found \['loss', 'other'\]"),
        (1, {"metrics": {"other": [1.0, 2.0, 3.0]}}, r"metrics: found \['other'\]"),
        (
            1,
            {"metrics": {"loss": 1.0}},
            r"metrics: one number a step and quantity, found shapes {'loss': \(\)}",
        ),
        (1, {"metrics": {"loss": [[1.0], [2.0]]}}, r"one number a step and quantity, found shapes {'loss': \(2, 1\)}"),
        (1, {"layer_norms": None}, "layer_norms: the run's settings ask for them, but they were not given"),
        (1, {"layer_norms": NORMS[:2]}, r"layer_norms: found shape \(2, 2\), the run stores \(3, 2\) of these steps"),
        (1, {"layer_norms": NORMS[0]}, r"layer_norms: found shape \(2,\), the run stores \(3, 2\)"),
        (1, {"gradients": None}, "gradients: the run's settings ask for them"),
        (1, {"gradients": np.ones((3, 3))}, r"gradients: found shape \(3, 3\), the run stores \(2, 3\)"),
        (1, {"gradients": np.ones((2, 2))}, r"gradients: found shape \(2, 2\), the run stores \(2, 3\)"),
        (1, {"parameters": None}, "parameters: the run's settings ask for them"),
        (1, {"parameters": np.ones((2, 3))}, r"parameters: found shape \(2, 3\), the run stores \(1, 3\)"),
    ],
)
def test_a_span_that_does_not_fit_is_refused_and_does_no_harm(
    store: RunStore, first: int, given: dict[str, Any], message: str
) -> None:
    good = {"metrics": STEPS, "layer_norms": NORMS, "gradients": ROWS, "parameters": ROWS[:1]}
    before = {path.name: path.read_bytes() for path in store.directory.iterdir()}
    with pytest.raises(ValueError, match=message):
        store.append_steps(first, **{**good, **given})
    assert store.steps == 0 and {path.name: path.read_bytes() for path in store.directory.iterdir()} == before
    store.append_steps(1, STEPS, NORMS, ROWS, ROWS[:1])
    assert store.steps == 3


def test_columns_of_several_lengths_are_refused(tmp_path: Path) -> None:
    store = create(tmp_path, metrics=["a", "b"])
    with pytest.raises(ValueError, match=r"found shapes {'a': \(2,\), 'b': \(3,\)}"):
        store.append_steps(1, {"a": [1.0, 2.0], "b": [1.0, 2.0, 3.0]})
    store.append_steps(1, {"b": [1.0, 2.0], "a": np.arange(8.0)[::4]})  # in any order, from anywhere in memory
    assert store._file.read("metrics")["a"].tolist() == [0.0, 4.0]


def test_steps_that_store_no_gradient_need_none_and_may_not_have_any(store: RunStore) -> None:
    store.append_steps(1, STEPS, NORMS, ROWS, ROWS[:1])
    with pytest.raises(ValueError, match=r"gradients: found shape \(1, 3\), the run stores \(0, 3\)"):
        store.append_steps(4, {"loss": [4.0]}, NORMS[:1], ROWS[:1], ROWS[:1])
    store.append_steps(4, {"loss": [4.0]}, NORMS[:1], np.ones((0, 3)), ROWS[:1])
    store.append_steps(5, {"loss": [5.0]}, NORMS[:1], ROWS[:1])
    assert (store.steps, store._file.rows["gradients"], store._file.rows["parameters"]) == (5, 3, 2)


def test_what_the_settings_do_not_ask_for_is_passed_over(tmp_path: Path) -> None:
    store = create(tmp_path)
    store.append_steps(1, STEPS, "no norms", "no gradients", "no parameters")
    assert store.steps == 3


def test_nothing_happens_without_steps(store: RunStore) -> None:
    before = {path.name: path.read_bytes() for path in store.directory.iterdir()}
    store.append_steps(1, {"loss": []}, np.ones((0, 2)))
    assert {path.name: path.read_bytes() for path in store.directory.iterdir()} == before


def test_a_span_needs_a_metric(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="metrics: the run has none, whose lengths would say how many steps"):
        create(tmp_path, metrics=[]).append_steps(1, {})
