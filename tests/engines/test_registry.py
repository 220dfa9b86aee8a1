"""Every registered ansatz and encoding, from the smallest number of qubits up, on every engine that runs here:
the reference's numbers to 1e-10, finite differences to 1e-7, and all gradient modes alike."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.circuit.library.ansatze import ANSATZE
from qmltrain.circuit.library.encodings import ENCODINGS
from qmltrain.circuit.observables import PauliString
from qmltrain.engines.interpreter import InterpreterEngine
from qmltrain.engines.protocol import GradientOptions
from qmltrain.training.angles import AngleMap
from tests.circuit.library.documented_ansaetze import DOCUMENTED as ANSATZ_SIZES
from tests.circuit.library.documented_encodings import DOCUMENTED as ENCODING_SIZES
from tests.engines.comparison import assert_close, begin, by_reference, forward, run
from tests.engines.registered import build, engines, inputs, make, registered_circuits
from tests.pairwise import covering

MODES = [GradientOptions("reversible"), GradientOptions("reversible", 1), GradientOptions("checkpoint", 2)]


def strings(n_qubits: int) -> tuple[PauliString, ...]:
    full = (1 << n_qubits) - 1
    return (*(PauliString(0, 1 << q) for q in range(n_qubits)), PauliString(1, full), PauliString(full, 0))


def test_every_entry_is_here():
    assert set(ANSATZ_SIZES) == set(ANSATZE)
    assert set(ENCODING_SIZES) == set(ENCODINGS)


@pytest.mark.parametrize(
    ("encoding", "n_qubits", "n_features", "ansatz", "batch", "engine", "gradient"),
    covering(registered_circuits(), (1, 3), engines(), MODES),
)
def test_registered_circuits_agree_with_the_reference(encoding, n_qubits, n_features, ansatz, batch, engine, gradient):
    circuit = build(encoding, n_qubits, n_features, ansatz)
    theta, x, initial = inputs(circuit, encoding, batch)
    expected = by_reference(circuit, strings(n_qubits), theta, x, initial)
    found = run(make(engine), circuit, strings(n_qubits), theta, x, initial, gradient=gradient)
    assert_close(found, expected, "complex128")


@pytest.mark.parametrize("most", [8, pytest.param(24, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("encoding", "n_qubits", "n_features", "ansatz"), registered_circuits())
def test_gradients_are_finite_differences(encoding, n_qubits, n_features, ansatz, most):
    """Of parameters from the first to the last one, at most so many."""
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
    for k in range(0, circuit.n_parameters, -(-circuit.n_parameters // most) or 1):
        move = step * (np.arange(circuit.n_parameters) == k)
        assert abs((value(theta + move) - value(theta - move)) / (2 * step) - gradient[k]) < 1e-7
