"""Parameter vectors as a batch, judged by the reference one vector at a time and by finite differences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmltrain.circuit.angle import Angle, Feature, constant, parameter
from qmltrain.circuit.circuit import Circuit, Gate
from qmltrain.circuit.observables import PauliString
from qmltrain.engines.cpu import CpuEngine, unavailable_reason
from qmltrain.engines.interpreter import InterpreterEngine
from qmltrain.engines.protocol import EngineOptions
from qmltrain.engines.reference import ReferenceEngine
from qmltrain.errors import InputError, MemoryLimitError, NonFiniteError
from qmltrain.training import parameter_vectors
from qmltrain.training.angles import AngleMap
from qmltrain.training.parameter_vectors import ROTATIONS, ParameterVectors
from tests.circuit.strategies import circuits, random_inputs, random_states
from tests.engines.cases import hea
from tests.engines.comparison import assert_same_states, states
from tests.examples import examples

needs_cpu = pytest.mark.skipif(unavailable_reason() is not None, reason="the C++ extension is not built")


def some_strings(n_qubits: int) -> tuple[PauliString, ...]:
    full = (1 << n_qubits) - 1
    return (PauliString(0, 1), PauliString(1, full), PauliString(full, 0))


def engines() -> list:
    return [ReferenceEngine(), InterpreterEngine(), *([] if unavailable_reason() else [CpuEngine()])]


def vectors(circuit: Circuit, batch: int, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-3, 3, (batch, circuit.n_parameters))


def one_at_a_time(circuit, strings, theta_BP, x_BF, cotangent_BM, initial_BN=None):
    """Expectations and gradients of a vector after the other: the reference and the chain rule of a training."""
    program, angles = ReferenceEngine().compile(circuit, strings, "complex128"), AngleMap(circuit)
    expectations, gradients = [], []
    for row, theta_P in enumerate(theta_BP):
        x = x_BF[row : row + 1]
        step = program.begin_step(angles.shared(theta_P))
        slots = angles.per_sample(theta_P, x) if angles.features else np.zeros((1, 0))
        tape = step.forward(slots, None if initial_BN is None else initial_BN[row : row + 1])
        back = tape.backward(cotangent_BM[row : row + 1])
        gradient = angles.shared_gradient(step.slot_gradient(back.block_sums_GR.sum(axis=0)))
        if angles.features:
            gradient = gradient + angles.encoding_gradient(angles.encoding_sums(back.per_sample_BS, x)[0])
        expectations.append(np.array(tape.expectations_BM)[0])
        gradients.append(gradient)
    return np.array(expectations), np.array(gradients)


@settings(max_examples=examples(60), deadline=None)
@given(circuits(min_qubits=1, max_qubits=4, max_gates=16), st.sampled_from([1, 3, 17]), st.booleans())
def test_one_at_a_time_says_the_same(circuit, batch, one_row):
    theta = vectors(circuit, batch)
    x = random_inputs(circuit, 1 if one_row else batch)[1]
    strings = some_strings(circuit.n_qubits)
    cotangent = np.random.default_rng(1).normal(size=(batch, len(strings)))
    expected = one_at_a_time(circuit, strings, theta, np.broadcast_to(x, (batch, x.shape[1])), cotangent)
    for engine in engines():
        many = ParameterVectors(circuit, strings, engine, "complex128")
        found = many.gradients(theta, cotangent, x)
        np.testing.assert_allclose(found.expectations_BM, expected[0], atol=1e-10)
        np.testing.assert_allclose(found.gradient_BP, expected[1], atol=1e-9)
        np.testing.assert_allclose(many.expectations(theta, x), expected[0], atol=1e-10)


def trainable() -> Circuit:
    """Every form of an angle: scale, weight, bias, offset; one angle twice; a parameter in several angles."""
    angles = (
        Angle(0.5, weight=0, bias=1, offset=0.3),
        Angle(2.0, Feature("linear", (0,)), weight=1, bias=2, offset=-0.2),
        Angle(1.0, Feature("product", (0, 1), np.pi), weight=3),
        Angle(-1.0, Feature("arccos", (1,))),
        parameter(4, -0.7),
        Angle(0.5, weight=0, bias=1, offset=0.3),
        Angle(bias=4, offset=1.0),
        constant(0.4),
    )
    names = ("rx", "ry", "rz", "ry", "rx", "rz", "ry", "rx")
    gates = [Gate(name, (k % 3,), (angle,)) for k, (name, angle) in enumerate(zip(names, angles, strict=True))]
    gates[4:4] = [Gate("cz", (0, 1)), Gate("cx", (1, 2)), Gate("crx", (0, 2), (parameter(0),))]
    return Circuit(3, tuple(gates), tuple("abcde"), n_features=2)


@pytest.mark.parametrize("axes", [False, True])
def test_gradients_are_finite_differences(axes):
    circuit, width = trainable(), 1e-6
    theta, x = vectors(circuit, 5), random_inputs(circuit, 5)[1]
    for engine in engines():
        many = ParameterVectors(circuit, some_strings(3), engine, "complex128")
        chosen = np.random.default_rng(0).integers(0, 3, (5, many.n_rotations)) if axes else None
        gradient = many.gradients(theta, None, x, axes=chosen).gradient_BP
        for k in range(circuit.n_parameters):
            shift = width * np.eye(circuit.n_parameters)[k]
            above, below = (many.expectations(theta + s, x, axes=chosen).sum(axis=1) for s in (shift, -shift))
            np.testing.assert_allclose(gradient[:, k], (above - below) / (2 * width), atol=1e-7)


@settings(max_examples=examples(40), deadline=None)
@given(circuits(min_qubits=1, max_qubits=4, max_gates=16), st.integers(0, 2**31))
def test_axes_are_those_of_circuits_written_so(circuit, seed):
    """Each vector has axes of its own; equal angles are one slot in some of the circuits, three each here."""
    batch, strings = 4, some_strings(circuit.n_qubits)
    theta, x = vectors(circuit, batch), random_inputs(circuit, batch)[1]
    cotangent = np.random.default_rng(1).normal(size=(batch, len(strings)))
    for engine in engines()[1:]:
        many = ParameterVectors(circuit, strings, engine, "complex128")
        axes = np.random.default_rng(seed).integers(0, 3, (batch, many.n_rotations))
        found = many.gradients(theta, cotangent, x, axes=axes)
        for row in range(batch):
            gates = list(circuit.gates)
            for position, axis in zip(many.rotations, axes[row], strict=True):
                gates[position] = replace(gates[position], name=ROTATIONS[axis])
            rows = slice(row, row + 1)
            expected = one_at_a_time(
                replace(circuit, gates=tuple(gates)), strings, theta[rows], x[rows], cotangent[rows]
            )
            np.testing.assert_allclose(found.expectations_BM[rows], expected[0], atol=1e-10)
            np.testing.assert_allclose(found.gradient_BP[rows], expected[1], atol=1e-9)


@pytest.mark.parametrize("one", [True, False])
def test_amplitude_encoded_circuits(one):
    circuit = replace(hea(3, 2), gates=hea(3, 2).gates[3:], amplitude_encoded=True)
    theta, x = vectors(circuit, 4), np.zeros((4, 3))
    initial = random_states(3, 1 if one else 4)
    cotangent = np.ones((4, 3))
    expected = one_at_a_time(circuit, some_strings(3), theta, x, cotangent, np.broadcast_to(initial, (4, 8)))
    for engine in engines():
        found = ParameterVectors(circuit, some_strings(3), engine, "complex128").gradients(
            theta, None, x, initial=initial
        )
        np.testing.assert_allclose(found.expectations_BM, expected[0], atol=1e-10)
        np.testing.assert_allclose(found.gradient_BP, expected[1], atol=1e-9)


@needs_cpu
@pytest.mark.parametrize("n_qubits", [4, 9])
def test_chunks_and_threads_change_no_bit(monkeypatch, n_qubits):
    circuit, strings = hea(n_qubits, 2), some_strings(n_qubits)
    theta, x = vectors(circuit, 70), random_inputs(circuit, 70)[1]
    results = []
    for threads, chunk in ((1, 4096), (1, 16), (2, 32), (3, 48)):
        monkeypatch.setattr(parameter_vectors, "chunk_size", lambda forecast, n_strings, chunk=chunk: chunk)
        many = ParameterVectors(circuit, strings, CpuEngine(), options=EngineOptions(threads=threads))
        found = many.gradients(theta, None, x)
        results.append((found.expectations_BM.tobytes(), found.gradient_BP.tobytes()))
    assert len(set(results)) == 1


@settings(max_examples=examples(40), deadline=None)
@given(circuits(min_qubits=1, max_qubits=4, max_gates=16), st.sampled_from([1, 3, 17]), st.booleans())
def test_states_are_those_of_one_vector_after_the_other(circuit, batch, axes):
    theta, x = vectors(circuit, batch), random_inputs(circuit, batch)[1]
    for engine in engines()[1:]:
        many = ParameterVectors(circuit, (), engine, "complex128")
        chosen = np.random.default_rng(4).integers(0, 3, (batch, many.n_rotations)) if axes else None
        found = many.states(theta, x, axes=chosen)
        for row in range(batch):
            gates = list(circuit.gates)
            for position, axis in zip(many.rotations, chosen[row] if chosen is not None else (), strict=axes):
                gates[position] = replace(gates[position], name=ROTATIONS[axis])
            one = replace(circuit, gates=tuple(gates))
            expected = states(ReferenceEngine(), one, theta[row], x[row : row + 1])
            assert_same_states(found[row : row + 1], expected)


def test_states_of_vectors_that_are_measured_are_refused():
    with pytest.raises(ValueError, match="without strings"):
        ParameterVectors(hea(2, 1), some_strings(2), InterpreterEngine()).states(vectors(hea(2, 1), 3), np.zeros(2))


@needs_cpu
@pytest.mark.parametrize("n_qubits", [4, 9])
def test_chunks_and_threads_change_no_bit_of_states(monkeypatch, n_qubits):
    circuit = hea(n_qubits, 2)
    theta, x = vectors(circuit, 70), random_inputs(circuit, 70)[1]
    results = []
    for threads, chunk in ((1, 4096), (1, 16), (2, 32), (3, 48)):
        monkeypatch.setattr(parameter_vectors, "states_chunk", lambda forecast, n_qubits, chunk=chunk: chunk)
        many = ParameterVectors(circuit, (), CpuEngine(), options=EngineOptions(threads=threads))
        results.append(many.states(theta, x).tobytes())
    assert len(set(results)) == 1


@needs_cpu
def test_results_are_fetched_before_they_pile_up(monkeypatch):
    monkeypatch.setattr(parameter_vectors, "PENDING_BYTES", 0)
    monkeypatch.setattr(parameter_vectors, "chunk_size", lambda forecast, n_strings: 16)
    circuit = hea(3, 1)
    theta, x = vectors(circuit, 40), random_inputs(circuit, 40)[1]
    found = ParameterVectors(circuit, some_strings(3), CpuEngine(), "complex128").gradients(theta, None, x)
    expected = one_at_a_time(circuit, some_strings(3), theta, x, np.ones((40, 3)))
    np.testing.assert_allclose(found.gradient_BP, expected[1], atol=1e-9)


def test_a_planner_of_the_caller_is_kept():
    calls = []

    def planner(circuit, strings):
        calls.append(circuit)
        return parameter_vectors.compile_plan(circuit, strings)

    many = ParameterVectors(hea(2, 1), some_strings(2), InterpreterEngine(), options=EngineOptions(planner=planner))
    many.expectations(vectors(hea(2, 1), 2), np.zeros(2))
    assert len(calls) == 1


def test_what_does_not_match_is_refused():
    circuit = hea(2, 1)
    many = ParameterVectors(circuit, some_strings(2), InterpreterEngine())
    theta = vectors(circuit, 3)
    with pytest.raises(InputError, match=r"parameter vectors of shape \(3, 2\): rows of 6 parameters"):
        many.expectations(theta[:, :2], np.zeros(2))
    with pytest.raises(InputError, match=r"parameter vectors of shape \(0, 6\)"):
        many.expectations(theta[:0], np.zeros(2))
    with pytest.raises(InputError, match=r"features: the circuit needs 2 for every vector"):
        many.expectations(theta)
    with pytest.raises(InputError, match=r"features of shape \(2, 2\): \(1, 2\) or \(3, 2\) is needed"):
        many.expectations(theta, np.zeros((2, 2)))
    with pytest.raises(InputError, match=r"cotangents of shape \(1, 2\)"):
        many.gradients(theta, np.ones(2), np.zeros(2))
    with pytest.raises(InputError, match=r"axes: 0, 1 and 2 stand for x, y and z"):
        many.expectations(theta, np.zeros(2), axes=np.full(many.n_rotations, 3))
    theta[1, 4] = np.nan
    with pytest.raises(NonFiniteError, match="angle 6 of parameter vector 1 is nan"):
        many.expectations(theta, np.zeros(2))


@needs_cpu
def test_what_does_not_fit_is_refused():
    many = ParameterVectors(
        hea(8, 1), some_strings(8), CpuEngine(), options=EngineOptions(threads=1, memory_bytes=1 << 16)
    )
    with pytest.raises(MemoryLimitError):
        many.expectations(vectors(hea(8, 1), 2), np.zeros(8))


def test_a_circuit_without_rotations_or_parameters():
    gates = (Gate("h", (0,)), Gate("cx", (0, 1)))
    circuit = Circuit(2, gates, ("unused",))
    for engine in engines():
        many = ParameterVectors(circuit, (PauliString(0, 3),), engine, "complex128")
        found = many.gradients(np.zeros((3, 1)), axes=np.zeros(0))
        np.testing.assert_allclose(found.expectations_BM, 1.0)
        np.testing.assert_allclose(found.gradient_BP, 0.0)
