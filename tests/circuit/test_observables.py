"""Observables: equal strings once, identities as constants, against dense matrices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmltrain.circuit.library.assemble import assemble_observables
from qmltrain.circuit.observables import Observables, PauliString, from_sums
from tests.circuit.library.dense_observables import letters_matrix, matrix

STRINGS = st.builds(PauliString, st.integers(0, 7), st.integers(0, 7))
SUMS = st.lists(st.lists(st.tuples(st.floats(-100, 100), STRINGS), min_size=1, max_size=6), min_size=1, max_size=3)


@given(SUMS)
def test_no_identity_is_measured_and_every_sum_is_what_was_written(sums) -> None:
    observables = from_sums([(str(k), terms) for k, terms in enumerate(sums)])
    assert all(string.x_mask | string.z_mask for string in observables.strings)
    assert len(set(observables.strings)) == len(observables.strings)
    for number, terms in enumerate(sums):
        expected = sum(value * letters_matrix(string, 3) for value, string in terms)
        np.testing.assert_allclose(matrix(observables, number, 3), expected, rtol=0, atol=1e-12)
        identities = [value for value, string in terms if string == PauliString(0, 0)]
        assert observables.constants[number] == pytest.approx(sum(identities), abs=1e-12)


def test_identities_given_by_hand_become_constants_too() -> None:
    """As a function of the user's own may give them."""
    strings = (PauliString(0, 1), PauliString(0, 0), PauliString(2, 0))
    found = Observables(strings, ({0: 1.0, 1: -7.0}, {1: 2.0}, {2: 3.0}), ("a", "b", "c"))
    assert found.strings == (PauliString(0, 1), PauliString(2, 0))
    assert found.coefficients == ({0: 1.0}, {}, {1: 3.0}) and found.constants == (-7.0, 2.0, 0.0)


@pytest.mark.parametrize(
    ("name", "options", "constant"),
    [
        ("maxcut", {"graph": "ring"}, -1.5),
        ("projector", {"states": ["010"]}, 0.125),
        ("projector", {"states": ["1"], "qubits": [2]}, 0.5),
        ("pauli", {"terms": ["-1000 + 0.5*Z0 + 2*I1"]}, -998.0),
        ("ising", {}, 0.0),
        ("z", {}, 0.0),
    ],
)
def test_constants_of_named_observables(name: str, options: dict, constant: float) -> None:
    observables = assemble_observables(3, name, options)
    assert observables.constants[0] == constant
    assert PauliString(0, 0) not in observables.strings
    assert np.trace(matrix(observables, 0, 3)).real / 8 == pytest.approx(constant, abs=1e-15)
