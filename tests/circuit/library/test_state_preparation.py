"""States taken back to |0...0>: by as few gates as their structure allows."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.circuit.circuit import Circuit
from qmltrain.circuit.library.state_preparation import unprepare
from tests.circuit.dense import unitary


@pytest.mark.parametrize(
    ("amplitudes", "n_gates"),
    [
        ([1, 0, 0, 0, 0, 0, 0, 0], 0),  # there already
        ([0, 0, 0, 0, 0, 1, 0, 0], 6),  # a basis state: a turn of each qubit that is 1
        ([1, 0, 0, 0, 0, 0, 0, 1], 12),  # GHZ
        ([1, 1, 1, 1, 1, 1, 1, 1], 9),  # a product
        ([1, -1, 1, -1, 1, -1, 1, -1], 9),
    ],
)
def test_structure_leaves_out_gates(amplitudes: list[int], n_gates: int) -> None:
    state = np.array(amplitudes, dtype=complex) / np.linalg.norm(amplitudes)
    gates = unprepare(state)
    assert len(gates) == n_gates
    final = unitary(Circuit(3, gates), np.empty(0), np.empty(0)) @ state
    assert abs(final[0]) == pytest.approx(1, abs=1e-14)


@pytest.mark.parametrize("n", [1, 4, 9])
def test_the_number_of_gates_is_bounded(n: int) -> None:
    generator = np.random.default_rng(0)
    real = generator.normal(size=2**n)
    assert len(unprepare(real / np.linalg.norm(real) + 0j)) == 2**n - 1 + 2 * n
    phased = real * np.exp(1j * generator.uniform(-3, 3, 2**n))
    assert len(unprepare(phased / np.linalg.norm(phased))) == 2 * (2**n - 1) + 2 * n
