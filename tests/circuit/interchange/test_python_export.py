"""Source for PennyLane and Qiskit: every gate means there what it means here, to 1e-10."""

from __future__ import annotations

import math

import numpy as np
import pytest

from qmltrain.circuit.angle import Angle, Feature
from qmltrain.circuit.circuit import Circuit, Gate
from qmltrain.circuit.gates import GATES
from qmltrain.circuit.interchange.python_export import state_source, to_pennylane, to_qiskit
from qmltrain.circuit.observables import from_sums, pauli_string
from qmltrain.engines.reference import ReferenceEngine
from tests.circuit.interchange.pennylane_stand_in import execute_in_numpy
from tests.circuit.interchange.python_sources import execute
from tests.engines.comparison import forward


def random_circuit(seed: int) -> Circuit:
    """Three qubits, every registered gate once, on random angles."""
    generator = np.random.default_rng(seed)
    kinds = [
        lambda: Angle(weight=int(generator.integers(4)), scale=0.7, offset=0.2),
        lambda: Angle(feature=Feature("linear", (int(generator.integers(3)),)), scale=1.3, weight=1, bias=2),
        lambda: Angle(feature=Feature("arccos", (1,)), scale=2.0),
        lambda: Angle(feature=Feature("product", (0, 2), math.pi), scale=0.5),
    ]
    listed = []
    for name, definition in GATES.items():
        width = definition.n_qubits or int(generator.integers(1, 4))
        qubits = tuple(generator.permutation(3)[:width].tolist())
        angles = tuple(kinds[int(generator.integers(4))]() for _ in range(definition.n_angles))
        pauli = "".join(generator.choice(list("XYZ"), width)) if name == "pauli_rot" else ""
        listed.append(Gate(name, qubits, angles, pauli))
    order = generator.permutation(len(listed))
    names = tuple(f"t{k}" for k in range(4))
    return Circuit(3, tuple(listed[k] for k in order), names, n_features=3)


OBSERVABLES = from_sums(
    [
        ("a", [(1.0, pauli_string({0: "Z"}))]),
        ("b", [(0.5, pauli_string({0: "X", 2: "Y"})), (-2.0, pauli_string({1: "Z", 2: "Z"}))]),
        ("c", [(1.0, pauli_string({})), (1.0, pauli_string({1: "Y"}))]),
    ]
)


def exact(circuit: Circuit, theta: np.ndarray, x_BF: np.ndarray) -> np.ndarray:
    program = ReferenceEngine().compile(circuit, OBSERVABLES.strings)
    strings_BM = forward(program, circuit, theta, x_BF).expectations_BM
    terms_of = zip(OBSERVABLES.coefficients, OBSERVABLES.constants, strict=True)
    rows = [constant + sum(v * strings_BM[:, k] for k, v in terms.items()) for terms, constant in terms_of]
    return np.array(rows).T


@pytest.mark.field
@pytest.mark.parametrize("writer", [to_pennylane, to_qiskit])
@pytest.mark.parametrize("seed", range(3))
def test_every_gate_arrives(writer, seed):
    pytest.importorskip("pennylane" if writer is to_pennylane else "qiskit")
    circuit = random_circuit(seed)
    theta, x_BF = np.random.default_rng(seed).normal(size=4), np.random.default_rng(seed).uniform(-0.9, 0.9, (2, 3))
    expectations = execute(writer(circuit, OBSERVABLES, theta.tolist(), ""))["expectations"]
    found = [expectations(x_F) for x_F in x_BF]
    np.testing.assert_allclose(found, exact(circuit, theta, x_BF), rtol=0, atol=1e-10)


@pytest.mark.parametrize("seed", range(3))
def test_every_gate_arrives_in_numpy(seed):
    """The source for PennyLane on a stand-in, wherever the tests run."""
    circuit = random_circuit(seed)
    theta, x_BF = np.random.default_rng(seed).normal(size=4), np.random.default_rng(seed).uniform(-0.9, 0.9, (2, 3))
    expectations = execute_in_numpy(to_pennylane(circuit, OBSERVABLES, theta.tolist(), ""))["expectations"]
    np.testing.assert_allclose([expectations(x_F) for x_F in x_BF], exact(circuit, theta, x_BF), rtol=0, atol=1e-10)


def test_every_gate_has_a_name_in_both_languages():
    """Without the packages: the sources at least compile, and name every gate."""
    circuit = random_circuit(0)
    for writer, constant in ((to_pennylane, "qml.dot([1.0, 1.0], [qml.I(0), qml.Y(1)])"), (to_qiskit, "('', [], 1.0)")):
        assert constant in writer(circuit, OBSERVABLES, [0.1] * 4, "")
        compile(writer(circuit, OBSERVABLES, [0.1] * 4, ""), "exported", "exec")
    amplitudes = Circuit(2, (), n_features=3, amplitude_encoded=True)
    source = to_pennylane(amplitudes, OBSERVABLES, [], state_source(2, 0.5, True))
    space = execute(source.partition("def circuit")[0].replace("import pennylane as qml", ""))
    state = space["initial_state"]([1.0, 2.0, 3.0])
    np.testing.assert_allclose(state, np.array([1.0, 2.0, 3.0, 0.5]) / np.sqrt(14.25))
