"""Light cones: which gates and qubits they have, and whether strings are grouped well."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmltrain.circuit.angle import parameter
from qmltrain.circuit.circuit import Circuit, Gate
from qmltrain.circuit.gates import PAULI, gate_matrix
from qmltrain.circuit.library.assemble import assemble, assemble_observables
from qmltrain.circuit.observables import PauliString
from qmltrain.fusion.reductions import light_cones
from qmltrain.fusion.reductions.light_cones import Cone, LightCones, letters
from qmltrain.fusion.reductions.without_effect import idle_parameters, unseen_features
from tests.circuit.dense import apply
from tests.circuit.strategies import gates
from tests.engines.cases import hea
from tests.examples import examples


def z_of_each(n_qubits: int) -> tuple[PauliString, ...]:
    return tuple(PauliString(0, 1 << q) for q in range(n_qubits))


def partitions(items: list[int]):
    """All ways to put items in groups, by recursion: shares nothing with what is tested."""
    if not items:
        yield []
        return
    first, rest = items[0], items[1:]
    for groups in partitions(rest):
        yield [[first], *groups]
        for k, group in enumerate(groups):
            yield [*groups[:k], [first, *group], *groups[k + 1 :]]


def least_cost(cones: LightCones) -> float:
    singles = [cones.cone(k) for k in range(len(cones.strings))]

    def cost(group: list[int]) -> float:
        gates = frozenset().union(*(singles[k].gates for k in group))
        qubits = frozenset().union(*(singles[k].qubits for k in group))
        return cones.cost(len(gates), len(qubits))

    return min(sum(map(cost, groups)) for groups in partitions(list(range(len(singles)))))


@settings(max_examples=examples(150), deadline=None)
@given(gates(3))
def test_a_gate_is_a_function_of_its_letters(gate):
    """It commutes with the Pauli of its letter on each qubit, at any angle."""
    angles = tuple(0.7 + 0.3 * k for k in range(len(gate.angles)))
    matrix = gate_matrix(gate.name, len(gate.qubits), angles, gate.pauli)
    states = np.eye(8, dtype=np.complex128)
    for q, letter in zip(gate.qubits, letters(gate), strict=True):
        if letter != "?":
            pauli = PAULI[letter]
            one = apply(pauli, apply(matrix, states, gate.qubits, 3), (q,), 3)
            other = apply(matrix, apply(pauli, states, (q,), 3), gate.qubits, 3)
            assert abs(one - other).max() < 1e-12


@pytest.mark.parametrize(("n_qubits", "layers"), [(12, 1), (12, 2), (12, 3), (30, 4), (100, 3), (1000, 3)])
def test_a_layer_of_a_ring_adds_two_qubits(n_qubits, layers):
    """The last ring of CZ commutes with Z, and so does the RZ before it."""
    cones = LightCones(hea(n_qubits, layers), z_of_each(n_qubits), 16)
    middle = n_qubits // 2
    assert cones.cone(middle).qubits == set(range(middle - layers + 1, middle + layers))
    assert {(k - layers + 1) % n_qubits for k in range(2 * layers - 1)} == set(cones.cone(0).qubits)
    n_gates = len(cones.circuit.gates)
    of_last_layer = sorted(k for k in cones.cone(middle).gates if k >= n_gates - 4 * n_qubits)
    assert [cones.circuit.gates[k].name for k in of_last_layer] == ["rx", "ry"]


def test_a_ring_of_cx_has_no_cones():
    cones = LightCones(hea(20, 2, "cx"), z_of_each(20), 16)
    assert cones.cut() is None
    assert "has 20 of 20 qubits" in cones.why_whole


def test_parameters_that_cannot_matter():
    circuit = hea(10, 2)
    cones = LightCones(circuit, z_of_each(10), 16)
    last_rz = tuple(range(30 + 2, 60, 3))
    assert idle_parameters(cones) == last_rz
    one = LightCones(circuit, (PauliString(0, 1),), 16)  # Z of the neighbours' operators: their RZ commute
    assert set(range(60)) - set(idle_parameters(one)) == {0, 1, 2, 3, 4, 27, 28, 30, 31}


@pytest.mark.parametrize(
    ("ansatz", "options", "observable", "n_qubits", "most"),
    [
        ("qcnn", {}, {"name": "z", "qubits": [7]}, 8, 8),
        ("ttn", {}, {"name": "z", "qubits": [7]}, 8, 8),
        ("simplified_two_design", {"layers": 2}, {"name": "ising"}, 64, 10),
        ("simplified_two_design", {"layers": 2}, {"name": "heisenberg"}, 40, 10),
        ("mps", {}, {"name": "z", "qubits": [0, 1]}, 30, 3),
    ],
)
def test_the_library(ansatz, options, observable, n_qubits, most):
    circuit = assemble(n_qubits, 0, "none", {}, ansatz, options)
    options = {key: value for key, value in observable.items() if key != "name"}
    strings = assemble_observables(n_qubits, observable["name"], options).strings
    cones = LightCones(circuit, strings, 1)
    assert max(len(cones.cone(k).qubits) for k in range(len(strings))) <= most


def random_cones(draw, n_strings: int, n_qubits: int) -> LightCones:
    """Random brick-like circuits and local strings."""
    sequence, count = [], 0
    for _ in range(draw(st.integers(1, 12))):
        a = draw(st.integers(0, n_qubits - 2))
        sequence += [Gate("ry", (a,), (parameter(count),)), Gate("cz", (a, a + 1))]
        count += 1
    circuit = Circuit(n_qubits, tuple(sequence), tuple(f"p{k}" for k in range(count)))
    masks = draw(st.lists(st.integers(1, (1 << n_qubits) - 1), min_size=n_strings, max_size=n_strings, unique=True))
    return LightCones(circuit, tuple(PauliString(0, mask) for mask in masks), draw(st.sampled_from([1, 16, 10**4])))


@settings(max_examples=examples(60), deadline=None)
@given(st.data(), st.integers(1, 6))
def test_few_strings_are_grouped_at_the_least_cost(data, n_strings):
    cones = random_cones(data.draw, n_strings, 9)
    cost = sum(map(cones.cost_of, cones.groups()))
    assert cost <= least_cost(cones) * (1 + 1e-12) or any(len(one.qubits) == 9 for one in cones.cones)
    assert sorted(m for one in cones.groups() for m in one.members) == sorted(
        m for one in cones.cones for m in one.members
    )


@settings(max_examples=examples(40), deadline=None)
@given(st.data(), st.integers(2, 7))
def test_more_are_grouped_nearly_as_well(data, n_strings):
    """What more than eight strings get, where all groupings can be tried."""
    cones = random_cones(data.draw, n_strings, 12)
    if any(len(one.qubits) == 12 for one in cones.cones):
        return
    found = min(sum(map(cones.cost_of, groups)) for groups in (cones._joined(), cones._in_runs()))
    assert found <= 1.1 * least_cost(cones)


@pytest.mark.parametrize("samples", [1, 16, 256])
@pytest.mark.parametrize(("n_qubits", "layers"), [(20, 2), (100, 3), (31, 1)])
def test_those_of_a_ring_are_grouped_as_well_as_in_equal_runs(samples, n_qubits, layers):
    cones = LightCones(hea(n_qubits, layers), z_of_each(n_qubits), samples)
    singles = [cones.cone(k) for k in range(n_qubits)]

    def in_equal_runs(size: int) -> float:
        bounds = [*range(0, n_qubits, size), n_qubits]
        runs = [light_cones._union(singles[a:b]) for a, b in pairwise(bounds)]
        return sum(map(cones.cost_of, runs))

    assert sum(map(cones.cost_of, cones.groups())) <= 1.1 * min(map(in_equal_runs, range(1, 21)))


def test_equal_cones_are_equal_circuits():
    cut = LightCones(hea(100, 3), z_of_each(100), 16).cut()
    assert len({part.circuit for part in cut.parts}) <= 6  # those around the end of the ring have other orders
    assert sorted(m for part in cut.parts for m in part.members) == list(range(100))


def test_where_it_does_not_pay_there_is_no_cut():
    assert LightCones(hea(3, 1), z_of_each(3), 16).cut() is None  # programs cost more than amplitudes
    assert LightCones(hea(8, 6), z_of_each(8), 16).cut() is None
    assert LightCones(replace(hea(20, 1), amplitude_encoded=True), z_of_each(20), 16).cut() is None
    assert LightCones(hea(20, 1), (), 16).cut() is None


def test_groups_are_joined_in_the_order_of_their_strings():
    a, b = Cone((3, 1), frozenset({1}), frozenset({0})), Cone((0,), frozenset({2}), frozenset({5}))
    assert a.joined(b) == Cone((3, 1, 0), frozenset({1, 2}), frozenset({0, 5}))


def test_features_outside_every_cone():
    """Two qubits that nothing joins, one of them measured; a feature of both is seen."""
    circuit = assemble(3, 3, "angle", {}, "hea", {"layers": 1, "entangler": "none"})
    assert unseen_features(LightCones(circuit, (PauliString(2, 0),), 16)) == (0, 2)
    joined = assemble(3, 3, "angle", {}, "hea", {"layers": 1, "entangler": "cx_ring"})
    assert unseen_features(LightCones(joined, (PauliString(2, 0),), 16)) == ()
