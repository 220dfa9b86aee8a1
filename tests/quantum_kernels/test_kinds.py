"""The kinds of kernels, value by value."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.circuit.circuit import Circuit
from qmltrain.quantum_kernels.kinds import KERNELS, Fidelity, Projected
from tests.circuit.strategies import random_states
from tests.quantum_kernels.kernel_cases import fidelities, projected


def some_states(batch: int, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    states = generator.normal(size=(batch, 8)) + 1j * generator.normal(size=(batch, 8))
    return states / np.linalg.norm(states, axis=1, keepdims=True)


def test_fidelities_are_squared_overlaps():
    a, b = some_states(5), some_states(3, 1)
    np.testing.assert_allclose(Fidelity().tile(a, b), fidelities(a, b), atol=1e-14)
    single = Fidelity().tile(a.astype(np.complex64), b.astype(np.complex64))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, fidelities(a, b), atol=1e-6)


def test_real_states_need_no_imaginary_parts():
    kind = Fidelity()
    kind.real = True
    a, b = (random_states(3, batch).astype(np.complex128) for batch in (4, 6))
    prepared = kind.prepare(a), kind.prepare(b)
    assert prepared[0].dtype == np.float64
    np.testing.assert_allclose(kind.tile(*prepared), fidelities(a, b), atol=1e-14)


def test_states_are_normalised_row_by_row():
    states = 0.3 * some_states(20)
    found = Fidelity().prepare(states.astype(np.complex64))
    assert found.dtype == np.complex64
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    alone = Fidelity().prepare(states[7:8].astype(np.complex64))
    np.testing.assert_array_equal(found[7:8], alone)


def test_projected_kernels_are_gaussians():
    generator = np.random.default_rng(0)
    a, b = generator.normal(size=(5, 6)), generator.normal(size=(4, 6))
    np.testing.assert_allclose(Projected(gamma=0.3).tile(a, b), projected(a, b, 0.3), atol=1e-14)
    assert (Projected(gamma=1.0).tile(a, a) <= 1).all()


@pytest.mark.parametrize("same", [False, True])
def test_gamma_is_chosen_by_the_variance(same):
    vectors = np.ones((7, 6)) if same else np.random.default_rng(0).normal(size=(7, 6))
    kind, given = Projected(), Projected(gamma=2.5)
    kind.choose(vectors)
    given.choose(vectors)
    assert kind.gamma == (1 / 6 if same else 1 / (6 * vectors.var()))
    assert given.gamma == 2.5


def test_strings_are_x_y_z_of_each_qubit():
    texts = [string.text for string in Projected().strings(Circuit(2, ()))]
    assert texts == ["X0", "Y0", "Z0", "X1", "Y1", "Z1"]
    assert Fidelity().strings(Circuit(2, ())) == ()
    assert set(KERNELS) == {"fidelity", "projected"}
