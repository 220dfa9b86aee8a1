"""Every registered ansatz and encoding, from the smallest number of qubits up, on every engine that runs here:
the reference's numbers to 1e-10, finite differences to 1e-7, and all gradient modes alike."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.circuit.circuit import Circuit
from qmltrain.circuit.library.ansatze import ANSATZE
from qmltrain.circuit.library.assemble import assemble
from qmltrain.circuit.library.encodings import ENCODINGS
from qmltrain.circuit.observables import PauliString
from qmltrain.engines.interpreter import InterpreterEngine
from qmltrain.engines.protocol import GradientOptions
from qmltrain.engines.reference import ReferenceEngine
from qmltrain.engines.selection import select_engine
from qmltrain.errors import EngineUnavailableError
from qmltrain.training.angles import AngleMap
from tests.circuit.library.documented_ansaetze import DOCUMENTED as ANSATZ_SIZES
from tests.circuit.library.documented_ansaetze import ONE_DEPTH
from tests.circuit.library.documented_encodings import DOCUMENTED as ENCODING_SIZES
from tests.circuit.strategies import random_states
from tests.engines.comparison import assert_close, begin, forward, run

USERS_OWN = {"python", "qasm"}  # functions and files of the user's: their tests make them
MODES = [GradientOptions("reversible"), GradientOptions("reversible", 1), GradientOptions("checkpoint", 2)]
LARGEST = 5


def registered_circuits() -> list:
    cases = []
    for name in sorted(set(ANSATZE) - USERS_OWN):
        for n in ANSATZ_SIZES[name][0]:
            if n <= LARGEST:
                cases.append(pytest.param("angle", n, n, name, id=f"{name}-{n}"))
    for name in sorted(set(ENCODINGS) - USERS_OWN):
        for n, n_features in ENCODING_SIZES[name][0]:
            cases.append(pytest.param(name, n, n_features, "hea", id=f"{name}-{n}-{n_features}"))
    return cases


def build(encoding: str, n_qubits: int, n_features: int, ansatz: str) -> Circuit:
    layers = 1 if ansatz in ONE_DEPTH else 2
    options = {"repeats": n_features} if encoding == "reuploading" else {}
    return assemble(n_qubits, n_features, encoding, options, ansatz, {"layers": layers})


def inputs(circuit: Circuit, encoding: str, batch: int):  # noqa: ANN201
    generator = np.random.default_rng(11)
    theta = generator.uniform(-np.pi, np.pi, circuit.n_parameters)
    x = generator.uniform(-0.9, 0.9, (batch, circuit.n_features))
    if encoding == "basis":
        x = (x > 0).astype(float)
    return theta, x, random_states(circuit.n_qubits, batch) if circuit.amplitude_encoded else None


def strings(n_qubits: int) -> tuple[PauliString, ...]:
    full = (1 << n_qubits) - 1
    return (*(PauliString(0, 1 << q) for q in range(n_qubits)), PauliString(1, full), PauliString(full, 0))


def engines() -> list:
    return [pytest.param(name, id=name) for name in ("interpreter", "cpu")]


def make(name: str):  # noqa: ANN201
    if name == "interpreter":
        return InterpreterEngine()
    try:
        return select_engine(name).engine
    except EngineUnavailableError as error:
        pytest.skip(str(error))


def test_every_entry_is_here():
    assert set(ANSATZ_SIZES) == set(ANSATZE)
    assert set(ENCODING_SIZES) == set(ENCODINGS)


@pytest.mark.parametrize("engine", engines())
@pytest.mark.parametrize(("encoding", "n_qubits", "n_features", "ansatz"), registered_circuits())
def test_registered_circuits_agree_with_the_reference(engine, encoding, n_qubits, n_features, ansatz):
    circuit = build(encoding, n_qubits, n_features, ansatz)
    for batch in (1, 3):
        theta, x, initial = inputs(circuit, encoding, batch)
        expected = run(ReferenceEngine(), circuit, strings(n_qubits), theta, x, initial)
        for gradient in MODES:
            found = run(make(engine), circuit, strings(n_qubits), theta, x, initial, gradient=gradient)
            assert_close(found, expected, "complex128")


@pytest.mark.parametrize(("encoding", "n_qubits", "n_features", "ansatz"), registered_circuits())
def test_gradients_are_finite_differences(encoding, n_qubits, n_features, ansatz):
    circuit = build(encoding, n_qubits, n_features, ansatz)
    theta, x, initial = inputs(circuit, encoding, 2)
    observed = strings(n_qubits)
    program = InterpreterEngine().compile(circuit, observed, "complex128")
    angles = AngleMap(circuit)
    weight = np.random.default_rng(5).normal(size=(2, len(observed)))

    def value(theta):  # noqa: ANN001, ANN202
        return float(np.sum(weight * forward(program, circuit, theta, x, initial).expectations_BM))

    step, per_sample = begin(program, circuit, theta, x)
    back = step.forward(per_sample, initial).backward(weight)
    gradient = angles.shared_gradient(step.slot_gradient(back.block_sums_GR.sum(axis=0)))
    if angles.has_trainable_encoding:
        gradient = gradient + angles.encoding_gradient(angles.encoding_sums(back.per_sample_BS, x).sum(axis=0))
    step = 1e-5
    for k in range(min(circuit.n_parameters, 24)):
        move = step * (np.arange(circuit.n_parameters) == k)
        assert abs((value(theta + move) - value(theta - move)) / (2 * step) - gradient[k]) < 1e-7
