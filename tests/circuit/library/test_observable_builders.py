"""Observables from names and options, each judged by its dense matrix."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from qmltrain.circuit.library.assemble import assemble_observables
from qmltrain.circuit.library.observable_builders import OBSERVABLES
from qmltrain.circuit.observables import Observables, PauliString
from qmltrain.errors import InputError
from tests.circuit.library.dense_observables import matrix
from tests.circuit.library.user_modules import importable

USER_MODULE = """
from qmltrain.circuit.angle import parameter
from qmltrain.circuit.circuit import Gate
from qmltrain.circuit.observables import Observables, from_sums, pauli_string

def parity(n_qubits):
    return from_sums([("parity", [(1.0, pauli_string({q: "Z" for q in range(n_qubits)}))])])

def beyond(n_qubits):
    return from_sums([("X", [(1.0, pauli_string({n_qubits: "X"}))])])

def nothing(n_qubits):
    return Observables((), (), ())

def turned(n_qubits):
    return from_sums([("X", [(1.0, pauli_string({0: "Z"}))])], (Gate("ry", (0,), (parameter(0),)),))

def wrong(n_qubits):
    return [1.0]
"""


@pytest.fixture(scope="module", autouse=True)
def user_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("user")
    with importable(folder, "user_observables_for_tests", USER_MODULE):
        yield


@pytest.fixture(scope="module", autouse=True)
def hamiltonian_file(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("files") / "molecule.txt"
    np.save(path.with_name("bell.npy"), np.array([1, 0, 0, 1j]) / np.sqrt(2))
    EXAMPLES["target_state"]["path"] = str(path.with_name("bell.npy"))
    path.write_text("# two qubits\n-0.5\n0.25 X0 X1  # comment\n\n-1e-1*Y0 Z1 + Z0\n")
    EXAMPLES["hamiltonian"]["path"] = str(path)


EXAMPLES = {
    "parity": {},
    "hamiltonian": {},
    "ising": {},
    "heisenberg": {},
    "maxcut": {},
    "target_state": {},
    "z": {},
    "pauli": {"terms": ["Z0", "0.5*X0 Y1 - Z1"]},
    "projector": {"states": ["00", "10"]},
    "python": {"function": "user_observables_for_tests:parity"},
    "local_projector": {},
}


@pytest.mark.parametrize("name", OBSERVABLES)
def test_every_entry_builds(name: str) -> None:
    observables = assemble_observables(2, name, EXAMPLES[name])
    assert len(observables.names) == observables.n_observables == len(observables.coefficients) >= 1
    assert len(set(observables.strings)) == len(observables.strings)
    for number in range(observables.n_observables):
        dense = matrix(observables, number, 2)
        np.testing.assert_allclose(dense, dense.conj().T)


def test_z() -> None:
    assert assemble_observables(3, "z", {}) == Observables(
        (PauliString(0, 1), PauliString(0, 2), PauliString(0, 4)), ({0: 1.0}, {1: 1.0}, {2: 1.0}), ("Z0", "Z1", "Z2")
    )
    chosen = assemble_observables(3, "z", {"qubits": [2, 0]})
    assert chosen.names == ("Z2", "Z0") and chosen.strings[0] == PauliString(0, 4)


def test_products_of_z() -> None:
    of_pairs = assemble_observables(3, "z", {"max_weight": 2, "scale": -2.0})
    assert of_pairs.names == ("Z0", "Z1", "Z2", "Z0 Z1", "Z0 Z2", "Z1 Z2")
    signs = np.array([[1 - 2 * (index >> qubit & 1) for index in range(8)] for qubit in range(3)])
    expected = [*signs, signs[0] * signs[1], signs[0] * signs[2], signs[1] * signs[2]]
    for number, diagonal in enumerate(expected):
        np.testing.assert_array_equal(matrix(of_pairs, number, 3), np.diag(-2.0 * diagonal))
    chosen = assemble_observables(4, "z", {"max_weight": 3, "qubits": [3, 0, 2]})
    assert chosen.names == ("Z3", "Z0", "Z2", "Z3 Z0", "Z3 Z2", "Z0 Z2", "Z3 Z0 Z2")
    assert assemble_observables(3, "z", {"max_weight": 1, "scale": 1.0}) == assemble_observables(3, "z", {})


def test_a_projector_is_on_0_by_default() -> None:
    assert assemble_observables(3, "projector", {}) == assemble_observables(3, "projector", {"states": [0]})


@pytest.mark.parametrize("chosen", [None, [1], [2, 0]])
def test_local_projector_is_the_mean_of_probabilities(chosen: list[int] | None) -> None:
    observables = assemble_observables(3, "local_projector", {"qubits": chosen})
    qubits = [0, 1, 2] if chosen is None else chosen
    zeros = [np.mean([not index >> qubit & 1 for qubit in qubits]) for index in range(8)]
    np.testing.assert_allclose(matrix(observables, 0, 3), np.diag(zeros), atol=1e-15)
    assert observables.names == ("local_projector",)


def test_pauli_measures_equal_strings_once() -> None:
    observables = assemble_observables(2, "pauli", {"terms": ["Z0 + X1", "2*X1", "  Z0   -  Z0 "]})
    assert observables.strings == (PauliString(0, 1), PauliString(2, 0))
    assert observables.coefficients == ({0: 1.0, 1: 1.0}, {1: 2.0}, {0: 0.0})
    assert observables.names == ("Z0 + X1", "2*X1", "Z0 - Z0")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("z", {"qubits": []}, r"^observable\.qubits: a list of qubits"),
        ("z", {"qubits": [3]}, r"^observable\.qubits: 3 is not in 0\.\.2"),
        ("z", {"qubits": [-1]}, r"^observable\.qubits: -1 is not"),
        ("z", {"qubits": [1, 1]}, r"^observable\.qubits: \[1, 1\] lists a qubit twice"),
        ("z", {"qubits": ["0"]}, r"^observable\.qubits: '0' is not"),
        ("z", {"max_weight": 4}, r"^observable\.max_weight: 4 is more than the 3 qubits that are measured"),
        ("pauli", {"terms": []}, r"^observable\.terms: a list of texts"),
        ("pauli", {"terms": "Z0"}, r"^observable\.terms: a list of texts"),
        ("pauli", {"terms": ["Z0", 3]}, r"^observable\.terms\[1\]: a text"),
        ("pauli", {"terms": ["Z0", "Z3"]}, r"^observable\.terms\[1\]: position 1 of \"Z3\": qubit 3 is not in 0\.\.2"),
        ("pauli", {}, r"^observable\.terms: needed by pauli"),
        ("projector", {"states": []}, r"^observable\.states: a list"),
        ("projector", {"states": "000"}, r"^observable\.states: a list"),
        ("projector", {"states": ["00"]}, r"^observable\.states\[0\]: '00' is not a string of 3 bits"),
        ("projector", {"states": ["00a"]}, r"^observable\.states\[0\]: '00a'"),
        ("projector", {"states": [1, 8]}, r"^observable\.states\[1\]: outcome 8 is not in 0\.\.7 .*quotes"),
        ("projector", {"states": [1.0]}, r"^observable\.states\[0\]: a bit string or a whole number"),
        ("projector", {"states": [1, "001"]}, r"^observable\.states\[1\]: outcome 001 is listed twice"),
        ("projector", {"states": ["00"], "qubits": [2, 0]}, r"^observable\.qubits: .*write \[0, 2\]"),
        ("python", {"function": "user_observables_for_tests:wrong"}, r"returned list; return Observables"),
        ("python", {"function": "user_observables_for_tests:beyond"}, r"uses qubits beyond 0\.\.2"),
        ("python", {"function": "user_observables_for_tests:turned"}, r"diagonalizing gate ry on \(0,\); its angles"),
        ("python", {"function": "user_observables_for_tests:nothing"}, r"returned no observables"),
    ],
)
def test_bad_input_is_refused(name: str, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        assemble_observables(3, name, options)


def test_too_many_products_of_z_are_refused() -> None:
    with pytest.raises(InputError, match=r"^observable\.max_weight: 10 on 20 qubits makes 616,665 observables"):
        assemble_observables(20, "z", {"max_weight": 10})
