"""Finite shots: what is measured together, what chooses the outcomes, and that estimates approach exact values."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.circuit.angle import constant
from qmltrain.circuit.circuit import Gate, from_gates
from qmltrain.circuit.observables import from_sums, pauli_string
from qmltrain.engines.reference import ReferenceEngine
from qmltrain.training.heads import HEADS
from qmltrain.training.losses import LOSSES
from qmltrain.training.model import Model
from qmltrain.training.shots import ShotSampler
from tests.engines.comparison import forward


def bell_model(letters: list[dict[int, str]]) -> Model:
    """(|00> + |11>)/sqrt 2 after an RX of a feature on a third qubit that nothing reads unless asked."""
    gates = [Gate("h", (0,)), Gate("cx", (0, 1)), Gate("ry", (2,), (constant(0.7),))]
    observables = from_sums([(str(k), [(1.0, pauli_string(one))]) for k, one in enumerate(letters)])
    return Model(
        from_gates(3, gates), observables, HEADS["raw"](len(letters), len(letters)), LOSSES["cross_entropy"](2)
    )


@pytest.mark.parametrize("precision", ["complex64", "complex128"])
def test_strings_of_z_share_their_measurements(precision):
    """In a Bell state Z0 and Z1 agree in every shot, and so do their estimates; Z0 Z1 is 1 in every shot."""
    model = bell_model([{0: "Z"}, {1: "Z"}, {0: "Z", 1: "Z"}, {2: "Z"}])
    sampler = ShotSampler(model, precision)
    estimates = sampler.expectations(np.zeros(0), np.zeros((50, 0)), np.arange(50), 11, 0)
    np.testing.assert_array_equal(estimates[:, 0], estimates[:, 1])
    np.testing.assert_array_equal(estimates[:, 2], 1.0)
    assert len(np.unique(estimates[:, 0])) > 3
    assert np.mean(estimates[:, 3]) == pytest.approx(np.cos(0.7), abs=5 * np.sin(0.7) / np.sqrt(550))


def test_other_strings_have_measurements_of_their_own():
    model = bell_model([{0: "X", 1: "X"}, {0: "X"}, {1: "X"}, {0: "Y", 1: "Y"}])
    estimates = ShotSampler(model, "complex128").expectations(np.zeros(0), np.zeros((400, 0)), np.arange(400), 100, 7)
    np.testing.assert_array_equal(estimates[:, 0], 1.0)
    np.testing.assert_array_equal(estimates[:, 3], -1.0)
    for column in (1, 2):  # 100 fair coins: mean 0, standard deviation 0.1
        assert abs(np.mean(estimates[:, column])) < 5 * 0.1 / 20
        assert np.std(estimates[:, column]) == pytest.approx(0.1, rel=0.2)
    assert abs(np.corrcoef(estimates[:, 1], estimates[:, 2])[0, 1]) < 0.25


def test_a_samples_shots_depend_on_its_row_alone():
    model = bell_model([{0: "Z"}, {2: "X"}])
    sampler = ShotSampler(model, "complex128")
    all_rows = sampler.expectations(np.zeros(0), np.zeros((20, 0)), np.arange(20), 9, 3)
    some = sampler.expectations(np.zeros(0), np.zeros((2, 0)), np.array([17, 4]), 9, 3)
    np.testing.assert_array_equal(some, all_rows[[17, 4]])


@pytest.mark.parametrize("seed", range(4))
def test_estimates_approach_the_exact_values_where_bits_are_moved(seed):
    """CX, SWAP and X move no data in the interpreter: strings are read through its frame."""
    generator = np.random.default_rng(seed)
    gates = []
    for _ in range(30):
        name = str(generator.choice(["ry", "rx", "cx", "swap", "x", "rzz"]))
        qubits = tuple(generator.permutation(4)[: 1 if name in ("ry", "rx", "x") else 2].tolist())
        angles = (constant(float(generator.normal())),) if name in ("ry", "rx", "rzz") else ()
        gates.append(Gate(name, qubits, angles))
    letters = [{0: "Z"}, {1: "Z", 3: "Z"}, {0: "Z", 1: "Z", 2: "Z"}, {}, {2: "X"}, {0: "Y", 3: "Z"}]
    observables = from_sums([(str(k), [(1.0, pauli_string(one))]) for k, one in enumerate(letters)])
    model = Model(from_gates(4, gates), observables, HEADS["raw"](6, 6), LOSSES["cross_entropy"](6))
    nothing = np.zeros((1, 0))
    program = ReferenceEngine().compile(model.circuit, observables.strings)
    exact = forward(program, model.circuit, np.zeros(0), nothing)
    shots = 200_000
    found = ShotSampler(model, "complex128").expectations(np.zeros(0), nothing, np.arange(1), shots, seed)
    np.testing.assert_allclose(found, model.expectations(exact.expectations_BM), rtol=0, atol=5 / np.sqrt(shots))
    assert found[0, 3] == 1.0  # a constant is not measured
