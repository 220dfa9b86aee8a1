"""Projectors on basis states, as dense matrices."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.circuit.library.assemble import assemble_observables
from qmltrain.errors import InputError
from tests.circuit.library.dense_observables import matrix


@pytest.mark.parametrize("n", [1, 2, 3])
def test_projectors_project(n: int) -> None:
    observables = assemble_observables(n, "projector", {"states": list(range(2**n))})
    for outcome in range(2**n):
        expected = np.zeros((2**n, 2**n))
        expected[outcome, outcome] = 1
        np.testing.assert_allclose(matrix(observables, outcome, n), expected, atol=1e-15)
    assert observables.names[-1] == f"P(|{'1' * n}>)"


def test_projector_on_some_qubits() -> None:
    observables = assemble_observables(3, "projector", {"qubits": [0, 2], "states": ["01", 2]})
    assert observables.names == ("P(|01>)", "P(|10>)")
    # "01": qubit 2 is 0 and qubit 0 is 1, qubit 1 is anything
    np.testing.assert_allclose(np.diag(matrix(observables, 0, 3)), [0, 1, 0, 1, 0, 0, 0, 0], atol=1e-15)
    np.testing.assert_allclose(np.diag(matrix(observables, 1, 3)), [0, 0, 0, 0, 1, 0, 1, 0], atol=1e-15)


def test_projector_of_sixteen_qubits_is_the_largest() -> None:
    assert len(assemble_observables(16, "projector", {"states": [0]}).strings) == 2**16 - 1  # and a constant
    with pytest.raises(InputError, match=r"^observable\.qubits: a projector on 17 qubits .* 131072 strings"):
        assemble_observables(17, "projector", {"states": [0]})
    assert len(assemble_observables(17, "projector", {"states": ["00"], "qubits": [0, 16]}).strings) == 3
