"""Exact values of product circuits: against dense quadrature over the parameters, draws, and published formulas."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest

from qmltrain.circuit.angle import Angle, constant, feature, parameter
from qmltrain.circuit.circuit import Circuit, Gate
from qmltrain.circuit.gates import GATES
from qmltrain.circuit.library.assemble import assemble, assemble_observables
from qmltrain.circuit.observables import from_sums, pauli_string
from qmltrain.studies.product_circuits import ProductCircuit
from qmltrain.studies.starts import Start
from tests.circuit.dense import expectations, run
from tests.studies.haar_states import within_4_errors

UNIFORM = Start.of("uniform")


def rx_on_all(n):
    return assemble(n, 0, "none", {}, "hea", {"layers": 1, "rotations": ["rx"], "entangler": "none"})


def terms_of(observables):
    [row] = observables.coefficients
    return [(c, observables.strings[m]) for m, c in row.items()], observables.constants[0]


def local_cost(n):
    """1/2 - (1/2n) sum Z."""
    return from_sums([("local", [(0.5, pauli_string({})), *((-0.5 / n, pauli_string({q: "Z"})) for q in range(n))])])


@pytest.mark.parametrize(
    "n", [pytest.param(n, marks=[] if n in (2, 3, 9, 16) else pytest.mark.slow) for n in range(2, 17)]
)
def test_global_and_local_cost_at_any_n(n):
    circuit = ProductCircuit.of(rx_on_all(n), UNIFORM)
    wide, _ = terms_of(assemble_observables(n, "projector", {"states": [0]}))
    near, constant = terms_of(local_cost(n))
    for k in (0, n - 1):
        assert circuit.gradient(k, wide).variance == pytest.approx((1 / 8) * (3 / 8) ** (n - 1), rel=1e-10)
        assert circuit.gradient(k, near).variance == pytest.approx(1 / (8 * n**2), rel=1e-10)
        assert circuit.gradient(k, near).mean == pytest.approx(0.0, abs=1e-15)
    assert circuit.expectation(near, constant).mean == pytest.approx(0.5, rel=1e-12)
    assert circuit.expectation(near, constant).variance == pytest.approx(1 / (8 * n), rel=1e-10)
    assert circuit.frame_potential(1) == pytest.approx(0.5**n, rel=1e-10)


def test_local_cost_of_a_thousand_qubits_goes_over_pairs():
    near, _ = terms_of(local_cost(1_000))
    assert ProductCircuit.of(rx_on_all(1_000), UNIFORM).gradient(7, near).variance == pytest.approx(1 / 8e6, rel=1e-10)


def test_what_is_too_long_is_not_said():
    generator = np.random.default_rng(2)
    strings = {pauli_string({q: "IXYZ"[k] for q, k in enumerate(row)}) for row in generator.integers(0, 4, (5_000, 20))}
    assert ProductCircuit.of(rx_on_all(20), UNIFORM).expectation([(1.0, s) for s in strings]) is None


def rich_circuit():
    """Two qubits, kinds of one-qubit gates, angles with scales and offsets, a bias alone, a parameter in no gate."""
    gates = (
        Gate("h", (0,)),
        Gate("pauli_rot", (0,), (Angle(scale=2.0, weight=0, offset=0.3),), "Y"),
        Gate("u", (1,), (parameter(1, -1.0), constant(0.7), Angle(bias=2, offset=-0.4))),
        Gate("t", (0,)),
        Gate("sx", (1,)),
        Gate("rz", (1,), (constant(0.2),)),
    )
    return Circuit(2, gates, ("a", "b", "c", "unused"))


TERMS = [(0.7, pauli_string({0: "Z", 1: "X"})), (-1.1, pauli_string({0: "X"})), (0.5, pauli_string({1: "Y"}))]
NODES = 12  # of each parameter: exact to 1e-12 for the frequencies up to 4 of squares at these scales
STARTS = [
    UNIFORM,
    Start.of("uniform", 0.8),
    Start.of("normal", 0.3),
    Start.of("beta", 1.2, [2.0, 4.0]),
    pytest.param(Start.of("beta", 0.9), marks=pytest.mark.slow),
    Start.of("zeros"),
]


def nodes_of(start):
    if start == UNIFORM:
        return np.arange(NODES) / NODES * 2 * np.pi, np.full(NODES, 1 / NODES)
    if start.name == "zeros":
        return np.zeros(1), np.ones(1)
    if start.name == "normal":
        nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    else:
        nodes, weights = np.polynomial.legendre.leggauss(NODES)
        alpha, beta = start.shape if start.name == "beta" else (1.0, 1.0)
        weights = weights * (1 + nodes) ** (alpha - 1) * (1 - nodes) ** (beta - 1)
    return start.scale * nodes, weights / weights.sum()


@pytest.mark.parametrize("start", STARTS, ids=lambda start: start.description)
def test_against_quadrature_over_dense_circuits(start):
    """Means and variances of the value and of each derivative, summed over a grid of the parameters."""
    observables = from_sums([("O", TERMS)])
    nodes, weights = nodes_of(start)
    circuit = rich_circuit()
    values, gradients, chances = [], [], []
    for index in itertools.product(range(len(nodes)), repeat=3):
        value, gradient = expectations(circuit, observables, np.append(nodes[list(index)], 0.0), np.zeros(0))
        values.append(value[0])
        gradients.append(gradient[0])
        chances.append(np.prod(weights[list(index)]))
    product = ProductCircuit.of(circuit, start)
    for found, draws in [
        (product.expectation(TERMS), np.array(values)),
        *((product.gradient(k, TERMS), np.array(gradients)[:, k]) for k in range(4)),
    ]:
        mean = np.sum(chances * draws)
        assert found.mean == pytest.approx(mean, abs=1e-10)
        assert found.variance == pytest.approx(np.sum(chances * draws**2) - mean**2, abs=1e-10)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("random_axes", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_frame_potential_against_draws(order, random_axes):
    generator = np.random.default_rng(order)
    start = Start.of("normal", 0.7)
    circuit = rich_circuit()
    psi = []
    for _ in range(3_000):
        drawn = circuit
        if random_axes:
            gates = [
                replace(gate, pauli="XYZ"[generator.integers(3)]) if gate.pauli else gate for gate in circuit.gates
            ]
            gates[2:3] = rotations_of_u(circuit.gates[2], generator)
            drawn = replace(circuit, gates=tuple(gates))
        psi.append(run(drawn, generator.normal(0.0, 0.7, 4), np.zeros(0), tangents=False)[0])
    fidelity = np.abs(np.sum(np.conj(psi[:1_500]) * psi[1_500:], axis=1)) ** 2
    within_4_errors(fidelity**order, ProductCircuit.of(circuit, start, random_axes).frame_potential(order))


def rotations_of_u(gate, generator):
    """U(theta, phi, lambda) = RZ(phi) RY(theta) RZ(lambda); those with a parameter turn about a drawn axis."""
    theta, phi, lam = gate.angles
    turned = [("RZ", lam), ("RY", theta), ("RZ", phi)]
    for name, angle in turned:
        letter = name[1] if angle.is_constant else "XYZ"[generator.integers(3)]
        yield Gate("pauli_rot", gate.qubits, (angle,), letter)


def test_hadamard_then_rz_is_a_circle():
    """F = cos^2(delta/2): 1/2, 3/8, 5/16."""
    product = ProductCircuit.of(Circuit(1, (Gate("h", (0,)), Gate("rz", (0,), (parameter(0),))), ("a",)), UNIFORM)
    for order, expected in ((1, 1 / 2), (2, 3 / 8), (3, 5 / 16)):
        assert product.frame_potential(order) == pytest.approx(expected, rel=1e-12)


def test_idle_circuits_have_fidelity_one():
    idle = Circuit(2, (Gate("rz", (0,), (parameter(0),)), Gate("p", (1,), (parameter(1),))), ("a", "b"))
    assert ProductCircuit.of(idle, UNIFORM).frame_potential(2) == pytest.approx(1.0, rel=1e-12)


def test_random_axes_are_the_mean_over_circuits():
    """The first moment of one qubit under three random axes, written out as the mean over 27 circuits."""
    turns = tuple(Gate("rx", (0,), (parameter(k),)) for k in range(3))
    circuit = Circuit(1, (Gate("ry", (0,), (constant(math.pi / 4),)), *turns), ("a", "b", "c"))
    start = Start.of("uniform", 0.9)
    terms = [(1.0, pauli_string({0: "X"}))]
    found = ProductCircuit.of(circuit, start, random_axes=True)
    of_each = []
    for axes in itertools.product("xyz", repeat=3):
        gates = (circuit.gates[0], *(Gate(f"r{a}", (0,), (parameter(k),)) for k, a in enumerate(axes)))
        one = ProductCircuit.of(replace(circuit, gates=gates), start)
        of_each.append([one.expectation(terms), one.gradient(1, terms)])
    for place, value in enumerate((found.expectation(terms), found.gradient(1, terms))):
        mean = np.mean([row[place].mean for row in of_each])
        square = np.mean([row[place].variance + row[place].mean ** 2 for row in of_each])
        assert value.mean == pytest.approx(mean, abs=1e-12)
        assert value.variance == pytest.approx(square - mean**2, abs=1e-12)


@pytest.mark.parametrize(
    "circuit",
    [
        Circuit(2, (Gate("cz", (0, 1)),)),
        Circuit(1, (Gate("rx", (0,), (feature(0),)),), n_features=1),
        Circuit(2, tuple(Gate("rx", (q,), (parameter(0),)) for q in range(2)), ("shared",)),
        Circuit(1, (Gate("rx", (0,), (Angle(weight=0, bias=1),)),), ("a", "b")),
        Circuit(1, (), n_features=2, amplitude_encoded=True),
    ],
)
def test_what_is_no_product_circuit(circuit):
    assert ProductCircuit.of(circuit, UNIFORM) is None


@pytest.mark.parametrize("gate", [name for name, d in GATES.items() if d.n_qubits in (1, None)])
def test_every_one_qubit_gate_is_taken(gate):
    """Against the matrix: the mean over two angles is the matrix's own."""
    n_angles = GATES[gate].n_angles
    circuit = Circuit(
        1,
        (
            Gate("ry", (0,), (constant(0.4),)),
            Gate("rx", (0,), (constant(0.3),)),
            Gate(gate, (0,), tuple(parameter(k) for k in range(n_angles)), "X" if gate == "pauli_rot" else ""),
        ),
        tuple("abc"[:n_angles]),
    )
    terms = [(1.0, pauli_string({0: "Y"})), (0.5, pauli_string({0: "Z"})), (0.2, pauli_string({0: "X"}))]
    found = ProductCircuit.of(circuit, Start.of("uniform")).expectation(terms)
    nodes = np.arange(6) / 6 * 2 * np.pi
    values = [
        expectations(circuit, from_sums([("O", terms)]), np.array(theta), np.zeros(0))[0][0]
        for theta in itertools.product(nodes, repeat=n_angles)
    ]
    assert found.mean == pytest.approx(np.mean(values), abs=1e-12)
    assert found.variance == pytest.approx(np.var(values), abs=1e-12)
