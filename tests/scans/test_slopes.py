"""Slopes of planted variances."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

from qmltrain.scans.slopes import slopes


def point(values, variance, exact=None):
    """A point whose loss has this variance, known to a few per cent."""
    generator = np.random.default_rng(list(json.dumps(values).encode()))
    return SimpleNamespace(
        point=SimpleNamespace(values=values),
        numbers={"loss_variance": variance, "loss_variance_exact": exact, "loss_variance_haar": None},
        resamples={"loss_variance": variance * np.exp(generator.normal(0, 0.02, 1_000))},
    )


def grid(qubits=(2, 4, 6), layers=(1, 2)):
    return [
        point({"circuit.n_qubits": n, "ansatz.layers": m}, np.exp(-0.7 * n - 0.1 * m), np.exp(-0.7 * n - 0.1 * m))
        for n in qubits
        for m in layers
    ]


def test_slopes_against_both_sizes():
    found = slopes(grid())
    of = {(one.against, tuple(one.where.items())): one for one in found}
    assert len(found) == 5
    for m in (1, 2):
        one = of["circuit.n_qubits", (("ansatz.layers", m),)]
        assert one.estimate.value == pytest.approx(-0.7) and one.exact == pytest.approx(-0.7) and one.haar is None
        assert one.estimate.low < -0.7 < one.estimate.high and one.n_points == 3
    for n in (2, 4, 6):
        assert of["ansatz.layers", (("circuit.n_qubits", n),)].estimate.value == pytest.approx(-0.1)


def test_other_keys_make_curves_of_their_own():
    points = [
        point({"circuit.n_qubits": n, "ansatz": name}, np.exp(-k * n))
        for n in (2, 3)
        for k, name in ((1, "hea"), (2, "ttn"))
    ]
    assert [(one.where, round(one.estimate.value, 6)) for one in slopes(points)] == [
        ({"ansatz": "hea"}, -1.0),
        ({"ansatz": "ttn"}, -2.0),
    ]


def test_no_slope_without_two_sizes():
    assert slopes(grid(qubits=(2,), layers=(1,))) == []
    assert slopes([point({"train.initial": "normal"}, 1.0), point({"train.initial": "uniform"}, 2.0)]) == []


def test_points_without_a_variance_are_left_out():
    points = grid(layers=(1,))
    del points[0].resamples["loss_variance"]
    [one] = slopes(points)
    assert one.n_points == 2


def test_zero_variances_have_no_slope_and_no_exact_one():
    points = [point({"circuit.n_qubits": n}, 0.0, 0.0) for n in (2, 3)]
    [one] = slopes(points)
    assert np.isnan(one.estimate.value) and one.exact is None
