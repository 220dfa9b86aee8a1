"""Generators of circuits: exp(-i theta G / 2) of each, then the fixed gates, is the circuit's own unitary."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import expm

from qmltrain.circuit.angle import Angle, constant, feature, parameter
from qmltrain.circuit.circuit import Circuit, Gate
from qmltrain.circuit.gates import pauli_product
from qmltrain.circuit.library.assemble import assemble
from qmltrain.studies.generators import generators
from qmltrain.studies.lie_algebra import dimension
from tests.circuit.dense import assert_same_up_to_phase, unitary


def dense(string, n):
    x, z, _ = string
    return pauli_product("".join("IXZY"[(x >> q & 1) + 2 * (z >> q & 1)] for q in range(n)))


def matrix(generator, n):
    return sum(c * dense(string, n) for c, string in generator)


def names(circuit):
    """Generators as texts, without factors."""
    return [
        "+".join(
            "".join("IXZY"[(x >> q & 1) + 2 * (z >> q & 1)] for q in range(circuit.n_qubits)) for _, (x, z, _) in one
        )
        for one in generators(circuit)
    ]


ONE_EACH = [
    (Gate("rx", (1,), (parameter(0),)), "IX"),
    (Gate("p", (0,), (parameter(0),)), "ZI"),
    (Gate("rzz", (0, 1), (parameter(0),)), "ZZ"),
    (Gate("multi_rz", (1, 0), (parameter(0),)), "ZZ"),
    (Gate("pauli_rot", (1, 0), (parameter(0),), "XY"), "YX"),
    (Gate("rx", (0,), (Angle(bias=0, offset=0.3),)), "XI"),
]


@pytest.mark.parametrize(("gate", "expected"), ONE_EACH)
def test_one_rotation(gate, expected):
    assert names(Circuit(2, (gate,), ("a",))) == [expected]


@pytest.mark.parametrize("name", ["crx", "cry", "crz", "cp"])
def test_controlled_rotations_are_sums(name):
    """Against the gate's own matrix, up to a factor and a phase."""
    circuit = Circuit(2, (Gate(name, (0, 1), (parameter(0),)),), ("a",))
    [generator] = generators(circuit)
    found = matrix(generator, 2)
    expected = 2j * (unitary(circuit, [1e-6]) - unitary(circuit, [-1e-6])) / 2e-6
    expected = expected - np.trace(expected) / 4 * np.eye(4)
    np.testing.assert_allclose(found / np.linalg.norm(found), expected / np.linalg.norm(expected), atol=1e-8)


def test_fixed_gates_are_moved_to_the_end():
    """The whole circuit as a product of exponentials, each of a generator, and what is left at theta = 0."""
    gates = (
        Gate("rx", (0,), (parameter(0),)),
        Gate("cx", (0, 1)),
        Gate("ry", (1,), (parameter(1),)),
        Gate("s", (1,)),
        Gate("cz", (1, 2)),
        Gate("rx", (1,), (constant(np.pi / 2),)),
        Gate("rzz", (1, 2), (parameter(2),)),
        Gate("sx", (0,)),
        Gate("ry", (0,), (parameter(3),)),
    )
    circuit = Circuit(3, gates, ("a", "b", "c", "d"))
    theta = np.array([0.3, -0.7, 1.1, 0.4])
    product = np.eye(8)
    for value, generator in zip(theta, generators(circuit), strict=True):
        [(_, string)] = generator
        signs = [expm(-0.5j * value * sign * dense(string, 3)) @ product for sign in (1, -1)]
        single = np.where(np.arange(4) == list(theta).index(value), value, 0.0)
        expected = np.linalg.solve(unitary(circuit, np.zeros(4)), unitary(circuit, single))
        one = [expm(-0.5j * value * sign * dense(string, 3)) for sign in (1, -1)]
        errors = [abs(abs(np.vdot(expected, u)) / 8 - 1) for u in one]
        assert min(errors) < 1e-12  # up to its sign, which no algebra depends on
        product = signs[int(np.argmin(errors))]
    assert_same_up_to_phase(unitary(circuit, np.zeros(4)) @ product, unitary(circuit, theta))


def test_equal_generators_are_one():
    circuit = assemble(4, 0, "none", {}, "hea", {"layers": 3, "rotations": ["rx"], "entangler": "none"})
    assert len(names(circuit)) == 4
    assert dimension(generators(circuit)).value == 4


def test_qaoa_has_two_sums():
    """Ring of four, two layers: sum ZZ and sum X of |+>, whose algebra is that of its two generators."""
    circuit = assemble(4, 0, "none", {}, "qaoa", {"layers": 2, "graph": "ring"})
    found = names(circuit)
    assert len(found) == 2
    assert sorted(found[0].split("+")) == sorted(["ZZII", "IZZI", "IIZZ", "ZIIZ"])
    assert sorted(found[1].split("+")) == sorted(["XIII", "IXII", "IIXI", "IIIX"])


def test_a_parameter_again_behind_what_does_not_commute_counts_again():
    gates = tuple(Gate(name, (0,), (parameter(k),)) for name, k in (("rx", 0), ("rz", 1), ("ry", 0)))
    assert names(Circuit(1, gates, ("a", "b"))) == ["X", "Z", "Y"]


def test_opening_gates_of_no_clifford_are_the_initial_state():
    circuit = assemble(4, 0, "none", {}, "pauli_two_design", {"layers": 3, "seed": 1})
    assert circuit.gates[0].name == "ry"
    assert not isinstance(generators(circuit), str)


@pytest.mark.parametrize(
    ("gates", "parameters", "n_features", "reason"),
    [
        ((Gate("rx", (0,), (feature(0),)),), (), 1, "features"),
        ((Gate("h", (0,)), Gate("rx", (0,), (parameter(0),)), Gate("t", (0,))), ("a",), 0, "t is no Clifford gate"),
        ((Gate("rx", (0,), (Angle(weight=0, bias=1),)),), ("a", "b"), 0, "rx"),
        ((Gate("cu", (0, 1), tuple(parameter(k) for k in range(4))),), tuple("abcd"), 0, "cu"),
    ],
)
def test_what_has_no_generators_is_said(gates, parameters, n_features, reason):
    found = generators(Circuit(2, gates, parameters, n_features=n_features))
    assert isinstance(found, str) and found.startswith(reason)
