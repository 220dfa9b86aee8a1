"""What stands before and after a gate: against dense states and operators of the parts themselves."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.circuit.angle import parameter
from qmltrain.circuit.circuit import Circuit, Gate
from qmltrain.circuit.gates import pauli_product
from qmltrain.circuit.library.assemble import assemble
from qmltrain.circuit.observables import pauli_string
from qmltrain.studies.starts import Start
from qmltrain.studies.surroundings import LONGEST, expectations_before, rotations, weights_after
from tests.circuit.dense import run, unitary
from tests.studies.haar_states import within_4_errors

LETTER = {"rx": "X", "ry": "Y", "rz": "Z"}


def generator_of(gate, n):
    letters = ["I"] * n
    for qubit, letter in zip(gate.qubits, gate.pauli or LETTER.get(gate.name) or "ZZ", strict=False):
        letters[qubit] = letter
    return pauli_product("".join(letters))


def test_before_against_draws_of_the_part_before():
    gates = (
        Gate("h", (0,)),
        Gate("rz", (0,), (parameter(0),)),
        Gate("ry", (1,), (parameter(1),)),
        Gate("rzz", (0, 1), (parameter(2),)),
        Gate("rx", (2,), (parameter(3),)),
        Gate("ry", (2,), (parameter(4, 2.0),)),
        Gate("rx", (0,), (parameter(5),)),
    )
    circuit = Circuit(3, gates, tuple("abcdef"))
    start = Start.of("normal", 0.6)
    found = expectations_before(circuit, start)
    assert set(found) == {0, 1, 2, 3, 4}  # the last is behind RZZ
    generator = np.random.default_rng(3)
    theta = generator.normal(0, 0.6, (800, 6))
    for position, gate in enumerate(gates[:-1]):
        if not gate.angles:
            continue
        part = Circuit(3, gates[:position], tuple("abcdef"))
        P = generator_of(gate, 3)
        psi = np.array([run(part, row, np.zeros(0), tangents=False)[0] for row in theta])
        squares = np.einsum("di,ij,dj->d", psi.conj(), P, psi).real ** 2
        expected = found[gate.angles[0].weight]
        if np.ptp(squares) < 1e-12:
            assert squares[0] == pytest.approx(expected, abs=1e-12)
        else:
            within_4_errors(squares, expected)


def test_shared_parameters_and_what_follows_them_are_left_out():
    gates = (Gate("rx", (0,), (parameter(0),)), Gate("rx", (1,), (parameter(0),)), Gate("ry", (0,), (parameter(1),)))
    assert expectations_before(Circuit(2, gates, ("a", "b")), Start.of("uniform")) == {}


@pytest.mark.parametrize("seed", range(8))
def test_after_against_the_evolved_observable(seed):
    """Of random circuits that end in fixed gates: Tr(O'^2) - Tr(P O' P O') of the part after, at drawn parameters."""
    generator = np.random.default_rng(seed)
    n, gates = 3, []
    for k in range(12):
        choice = generator.integers(6)
        a, b = (int(q) for q in generator.permutation(n)[:2])
        gates.append(
            [
                Gate("rx", (a,), (parameter(k),)),
                Gate("rz", (a,), (parameter(k),)),
                Gate("pauli_rot", (a, b), (parameter(k),), "XZ"),
                Gate("cx", (a, b)),
                Gate("cz", (a, b)),
                Gate(("h", "s", "t")[seed % 3], (a,)),
            ][choice]
        )
    circuit = Circuit(n, tuple(gates), tuple(f"p{k}" for k in range(12)))
    terms = [(0.7, pauli_string({0: "Z", 1: "Z"})), (-0.4, pauli_string({2: "X"})), (0.3, pauli_string({0: "Y"}))]
    O = 0.7 * pauli_product("ZZI") - 0.4 * pauli_product("IIX") + 0.3 * pauli_product("YII")  # noqa: E741
    found = weights_after(circuit, terms)
    theta = generator.uniform(-np.pi, np.pi, 12)
    for position, gate in enumerate(gates):
        if not gate.angles or gate.angles[0].weight not in found:
            continue
        U = unitary(Circuit(n, tuple(gates[position + 1 :]), circuit.parameter_names), theta)
        evolved = U.conj().T @ O @ U
        P = generator_of(gate, n)
        expected = (np.trace(evolved @ evolved) - np.trace(P @ evolved @ P @ evolved)).real / (2 * 2**n)
        assert found[gate.angles[0].weight] == pytest.approx(expected, abs=1e-12)
    trainable = [gate.angles[0].weight for gate in gates if gate.angles]
    assert trainable[-1] in found or seed % 3 == 2  # behind the last rotation T may stand


def test_wide_sums_are_not_followed():
    circuit = assemble(13, 0, "none", {}, "hea", {"layers": 1})
    terms = [(1.0, pauli_string({q: "Z" for q in range(13) if k >> q & 1})) for k in range(1, LONGEST + 2)]
    assert weights_after(circuit, terms) == {}


def test_rotations_of_gates():
    assert rotations(Gate("h", (0,))) == []
    assert rotations(Gate("crx", (0, 1), (parameter(0),))) is None
    assert rotations(Gate("rzz", (0, 1), (parameter(0, 0.5),))) == [(0, 0.5, "ZZ")]
    u = Gate("u", (0,), tuple(parameter(k) for k in range(3)))
    assert rotations(u) == [(2, 1.0, "Z"), (0, 1.0, "Y"), (1, 1.0, "Z")]
