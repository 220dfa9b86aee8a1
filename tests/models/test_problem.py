"""From a config to objects: what is fitted is fitted on the training split alone."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.errors import InputError
from qmltrain.models.problem import build_problem
from tests.small_configs import ising_chain, moons

NOT_MOONS = {"dataset__n_samples": None, "dataset__noise": None, "dataset__generator_seed": None}


@pytest.mark.parametrize(
    ("task", "options"),
    [
        ("regression", {"loss__name": "mean_squared_error", "preprocess__scale": "standard"}),
        ("classification", {"loss__class_weights": "balanced", "preprocess__scale": "min_max"}),
    ],
)
def test_rows_that_are_not_for_training_leave_no_trace_in_preprocessing(tmp_path, task, options):
    generator = np.random.default_rng(5)
    split = np.array(["train"] * 40 + ["val"] * 10 + ["test"] * 10)
    x = generator.normal(size=(60, 3))
    y = generator.normal(size=60) if task == "regression" else generator.integers(2, size=60)
    outside = split != "train"
    states = []
    for number, held_out_are in enumerate(("as they are", "outliers")):
        if held_out_are == "outliers":
            x[outside] = 100 * x[outside] + 1000
            y[outside] = 50 * y[outside] - 70 if task == "regression" else 1
        path = tmp_path / f"{number}.npz"
        np.savez(path, x=x, y=y, split=split)
        config = moons(
            tmp_path, **NOT_MOONS, dataset__name="npz", dataset__path=str(path), preprocess__pca=2, **options
        )
        states.append(build_problem(config).preprocessing_state())
    assert states[0].keys() == states[1].keys() and len(states[0]) > 5
    for name, before in states[0].items():
        np.testing.assert_array_equal(before, states[1][name], err_msg=name)


@pytest.mark.parametrize(("encoding", "reason"), [("basis", "is neither 0 nor 1"), ("chebyshev", "is outside")])
def test_features_that_an_encoding_cannot_take_are_found_before_the_training(tmp_path, encoding, reason):
    x = np.random.default_rng(0).integers(2, size=(60, 2)).astype(float)
    x[41, 1] = 1.5
    np.savez(tmp_path / "data.npz", x=x, y=np.arange(60) % 2)
    config = moons(tmp_path, **NOT_MOONS, dataset__name="npz", dataset__path=str(tmp_path / "data.npz"),
                   encoding__name=encoding, encoding__repeats=None, preprocess__scale="none")  # fmt: skip
    with pytest.raises(InputError, match=f"sample 41, feature 1: 1.5 {reason}"):
        build_problem(config)


def test_coefficients_that_add_up_to_infinity(tmp_path):
    config = ising_chain(tmp_path, observable__field=1e308, observable__coupling=1e308)
    with pytest.raises(InputError, match="observable: its coefficients add up to more than 1.8e308"):
        build_problem(config)
