"""Each draw has a stream of its own, and what it is follows from little else."""

from __future__ import annotations

import math

import numpy as np
import pytest

from qmltrain.circuit.library.assemble import assemble
from qmltrain.models.build import build_model
from qmltrain.scans.draws import CIRCUIT, DIRECTIONS, PARTNER, PARTNER_CIRCUIT, START, Drawing, Streams
from qmltrain.training.initialization import InitialParameters
from tests.small_configs import ising_chain
from tests.training.small_models import make


@pytest.fixture
def model(tmp_path):
    return build_model(ising_chain(tmp_path), 0, None)


def drawing(model, **changes) -> Drawing:
    return Drawing(**{"streams": Streams(7, {"a": 1}), "model": model, "start": ("uniform", None, None), **changes})


def arrays(draws) -> dict[str, np.ndarray]:
    return {name: value for name, value in vars(draws).items() if value is not None}


def circuit_of(seed):
    return assemble(3, 0, "none", {}, "pauli_two_design", {"layers": 2, "seed": seed})


def test_a_stream_is_fixed_forever():
    """Another value here changes every scan that was ever made."""
    streams = Streams(7, {"circuit.n_qubits": 4, "ansatz.name": "hea"})
    assert streams.seed(CIRCUIT, 3) == 8807311431058188557
    np.testing.assert_array_equal(
        streams.generator(START, 2**40).uniform(size=2), [0.5835037946790009, 0.7537781213600114]
    )


def test_streams_differ_by_seed_settings_purpose_and_draw():
    given = {"a": 1}
    found = [
        Streams(seed, settings).seed(purpose, draw)
        for seed in (0, 1)
        for settings in (given, {"a": 2}, {})
        for purpose in (START, CIRCUIT, PARTNER, PARTNER_CIRCUIT, DIRECTIONS)
        for draw in (0, 1, 2**32)
    ]
    assert len(set(found)) == len(found) and all(0 <= seed < 2**63 for seed in found)
    assert Streams(0, {"a": 1, "b": [2]}).seed(0, 0) == Streams(0, {"b": [2], "a": 1}).seed(0, 0)


def test_each_number_of_a_draw_comes_from_its_own_stream(model):
    """A pair whose circuits or angles come from one stream has a fidelity of 1, or one that says nothing."""
    model.circuit = circuit_of(0)
    one = drawing(model, partners=True, circuit_of=circuit_of)
    draws, streams = one.draws(2, 5), one.streams
    for row, draw in enumerate(range(2, 5)):
        assert draws.seeds_D[row] == streams.seed(CIRCUIT, draw)
        assert draws.partner_seeds_D[row] == streams.seed(PARTNER_CIRCUIT, draw)
        for found_DP, purpose in ((draws.theta_DP, START), (draws.partners_DP, PARTNER)):
            start = InitialParameters(model.circuit, "uniform", None, None)
            own_P = start.draw(streams.generator(purpose, draw))
            assert np.array_equal(found_DP[row, : len(own_P)], own_P)


@pytest.mark.parametrize("changes", [{}, {"partners": True}, {"directions": 2}, {"circuit_of": circuit_of}])
def test_draws_are_the_same_in_any_portions(model, changes):
    if "circuit_of" in changes:
        model.circuit = circuit_of(0)
        changes = {**changes, "partners": True}
    one = drawing(model, **changes)
    whole = arrays(one.draws(0, 12))
    assert whole.keys() == {
        "theta_DP",
        *(["partners_DP"] if "partners" in changes else []),
        *(["seeds_D", "partner_seeds_D"] if "circuit_of" in changes else []),
        *(["directions_DKP"] if "directions" in changes else []),
    }
    for first, last in ((0, 5), (5, 6), (6, 12)):
        for name, values in arrays(drawing(model, **changes).draws(first, last)).items():
            np.testing.assert_array_equal(values, whole[name][first:last])


def test_a_start_around_which_directions_are_drawn(model):
    fixed = np.arange(model.n_parameters, dtype=np.float64)
    draws = drawing(model, fixed_P=fixed, directions=1).draws(3, 5)
    np.testing.assert_array_equal(draws.theta_DP, [fixed, fixed])
    assert draws.directions_DKP.shape == (2, 1, model.n_parameters)
    assert abs(np.std(drawing(model, directions=1).draws(0, 200).directions_DKP) - 1) < 0.05


def test_starts_are_distributed_as_train_initial_says(model):
    uniform = drawing(model).draws(0, 300).theta_DP
    assert np.abs(uniform).max() <= math.pi and abs(uniform.var() - math.pi**2 / 3) < 0.2
    normal = drawing(model, start=("normal", 0.5, None)).draws(0, 300).theta_DP
    assert abs(normal.std() - 0.5) < 0.02
    columns = np.corrcoef(uniform, rowvar=False)
    assert np.abs(columns - np.eye(len(columns))).max() < 0.3


def test_what_is_trained_beside_the_circuit_is_drawn_behind_it():
    model = make("dressed")  # a head and input layers
    (theta_P,) = drawing(model).draws(3, 4).theta_DP
    generator = Streams(7, {"a": 1}).generator(START, 3)
    circuit_P = InitialParameters(model.circuit, "uniform").draw(generator)
    expected = [circuit_P, model.head.initial(generator), model.input.initial(generator)]
    np.testing.assert_array_equal(theta_P, np.concatenate(expected))
