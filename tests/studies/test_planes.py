"""Losses on a line and on a plane, judged by dense states at the points themselves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from qmltrain.circuit.library.assemble import assemble, assemble_observables
from qmltrain.errors import InputError
from qmltrain.studies import ensemble as ensembles
from qmltrain.studies.ensemble import Draws, Ensemble, Plane
from qmltrain.studies.planes import unit_directions
from tests.studies import dense_draws
from tests.studies.small_studies import a_model, a_study, engines, evaluate, of_some, random_study, some_draws
from tests.training.small_models import make


def on_a_plane(plane: Plane, rows: int = 1, **changes):  # noqa: ANN201
    return a_study(make("regression"), rows, plane=plane, **changes)


def expected_values(study, draws: Draws, draw: int) -> np.ndarray:
    """Loss at theta + a u + b v, with u and v written out."""
    plane, model, theta = study.plane, study.model, draws.theta_DP[draw]
    circuit = model.circuit if study.circuit_of is None else study.circuit_of(int(draws.seeds_D[draw]))
    rows = study.features_RF, study.targets_R
    axes = []
    for number, direction in enumerate(plane.directions):
        if isinstance(direction, str):
            given = {
                "random": draws.directions_DKP[draw, number],
                "gradient": dense_draws.loss_and_gradient(model, circuit, theta, *rows)[1],
            }[direction]
        else:
            given = direction
        axes.append(np.array(given))
    u = axes[0] / np.linalg.norm(axes[0])
    points = [theta + a * u for a in plane.offsets]
    if len(axes) == 2:
        v = axes[1] - (axes[1] @ u) * u
        v /= np.linalg.norm(v)
        points = [point + b * v for point in points for b in plane.offsets]
    losses = [dense_draws.loss(model, circuit, point, *rows) for point in points]
    return np.array(losses).reshape((plane.resolution,) * len(axes))


FIXED = np.random.default_rng(2).normal(size=make("regression").n_parameters)
DIRECTIONS = [("random",), ("gradient",), (FIXED,), ("random", "gradient"), (FIXED, "random"), ("gradient", FIXED)]


def planes() -> list:
    """Every direction with few rows; lines and one plane with more than are taken alone. The rest in the long set."""
    return [
        pytest.param(directions, rows, id=f"{name}-{rows}", marks=pytest.mark.slow if rows == 17 and k > 3 else [])
        for k, directions in enumerate(DIRECTIONS)
        for name in ["-".join(x if isinstance(x, str) else "own" for x in directions)]
        for rows in (1, 3, 17)
    ]


@pytest.mark.parametrize(("directions", "rows"), planes())
def test_losses_at_the_points(monkeypatch, directions, rows):
    monkeypatch.setattr(ensembles, "ROWS_ALONE", 17)
    monkeypatch.setattr(ensembles, "ANGLES_ALONE", 0)
    study = on_a_plane(Plane(directions, 1.5, 4), rows)
    draws = some_draws(study, 2)
    values = evaluate(study, draws)["value"]
    for draw in range(2):
        np.testing.assert_allclose(values[draw], expected_values(study, draws, draw), atol=1e-8)


@pytest.mark.parametrize("ansatz", ["pauli_two_design", "random_layers"])
def test_each_draw_goes_along_its_own_circuit(ansatz):
    study = random_study(ansatz, 3, plane=Plane(("random", "gradient"), 1.0, 3))
    draws = some_draws(study, 2)
    values = evaluate(study, draws)["value"]
    for draw in range(2):
        np.testing.assert_allclose(values[draw], expected_values(study, draws, draw), atol=1e-8)


@pytest.mark.parametrize("engine", engines(), ids=lambda engine: engine.name)
def test_points_have_their_bits_whatever_the_portions(monkeypatch, engine):
    study = on_a_plane(Plane(("random", "random"), 1.5, 9), engine=engine)
    draws = some_draws(study, 3)
    whole = evaluate(study, draws)["value"]
    assert np.array_equal(evaluate(study, of_some(draws, slice(2, 3)))["value"], whole[2:])
    monkeypatch.setattr(ensembles, "PORTION_BYTES", 1)
    assert np.array_equal(evaluate(study, draws)["value"], whole)


def test_a_product_circuit_has_cosines():
    circuit = assemble(2, 0, "none", {}, "hea", {"layers": 1, "rotations": ["rx"], "entangler": "none"})
    plane = Plane((np.array([1.0, 0.0]), np.array([0.0, 1.0])), np.pi, 5)
    study = replace(
        a_study(a_model(circuit, observables=assemble_observables(2, "pauli", {"terms": ["Z0 Z1"]})), plane=plane),
        chosen=(),
    )
    theta = np.array([[0.3, -0.4]])
    a, b = np.meshgrid(plane.offsets, plane.offsets, indexing="ij")
    found = evaluate(study, Draws(theta))["value"][0]
    np.testing.assert_allclose(found, np.cos(0.3 + a) * np.cos(-0.4 + b), atol=1e-12)


def test_directions_are_orthogonal_unit_vectors():
    one, two = np.random.default_rng(0).normal(size=(2, 5))
    found = unit_directions([one, two])
    np.testing.assert_allclose(found @ found.T, np.eye(2), atol=1e-15)
    np.testing.assert_allclose(found[0], one / np.linalg.norm(one))


def test_what_is_no_plane_is_refused():
    one = np.arange(3.0)
    for given, message in (
        ([np.zeros(3)], "direction 0 has length 0; choose another one"),
        ([one, 2 * one], "the second direction lies along the first; a plane needs two"),
        ([one, np.full(3, np.nan)], "direction 1 has length nan"),
    ):
        with pytest.raises(InputError, match=message):
            unit_directions(given)
    for plane, message in (
        (Plane((), 1.0, 5), "scan.plane: 0 directions; a line has one, a plane two"),
        (Plane(("random",), 1.0, 1), "scan.resolution: 1 is not possible"),
        (Plane(("random",), 0.0, 5), "scan.span: 0.0 is not possible"),
    ):
        with pytest.raises(InputError, match=message):
            Ensemble(on_a_plane(plane))
