"""The interpreter against the reference: proves lowering, frames, passes and the gradient algebra."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmltrain.circuit.angle import parameter
from qmltrain.circuit.circuit import Circuit, Gate
from qmltrain.circuit.observables import PauliString
from qmltrain.engines.interpreter import InterpreterEngine
from qmltrain.engines.protocol import GradientOptions
from qmltrain.engines.reference import ReferenceEngine
from qmltrain.fusion.cost import backward_cost, forward_cost
from tests.circuit.strategies import circuits, random_inputs, random_states
from tests.engines.comparison import assert_close, begin, random_cotangents, run
from tests.examples import examples

MODES = [
    GradientOptions("reversible"),
    GradientOptions("reversible", 2),
    GradientOptions("checkpoint", 1),
    GradientOptions("checkpoint", 3),
    GradientOptions("checkpoint"),
]


def some_strings(n_qubits: int) -> tuple[PauliString, ...]:
    """Diagonal and not, one Y, one on all qubits."""
    full = (1 << n_qubits) - 1
    found = {PauliString(0, 1), PauliString(0, full), PauliString(1, 0), PauliString(full, 1), PauliString(1, full)}
    return tuple(sorted(found, key=lambda s: (s.x_mask, s.z_mask)))


def physical_to_logical(program, bra_BN):
    """At the start the frame is the identity."""
    return bra_BN


@settings(max_examples=examples(120), deadline=None)
@given(circuits(min_qubits=1, max_qubits=4, max_gates=14), st.sampled_from(MODES), st.sampled_from([1, 3, 17]))
def test_random_circuits_agree_with_the_reference(circuit, gradient, batch):
    theta, x = random_inputs(circuit, batch)
    strings = some_strings(circuit.n_qubits)
    expected = run(ReferenceEngine(), circuit, strings, theta, x)
    found = run(InterpreterEngine(), circuit, strings, theta, x, gradient=gradient)
    assert_close(found, expected, "complex128")
    # a bra is known up to the global phases that the lowering drops
    overlap = np.abs(np.sum(found.initial_BN.conj() * expected.initial_BN, axis=1))
    norms = np.linalg.norm(expected.initial_BN, axis=1) * np.linalg.norm(found.initial_BN, axis=1)
    np.testing.assert_allclose(overlap, norms, atol=1e-9)


@settings(max_examples=examples(60), deadline=None)
@given(circuits(min_qubits=3, max_qubits=6, max_gates=16), st.integers(2, 4), st.integers(0, 1))
def test_tiled_plans_agree_with_the_reference(circuit, tile_bits, low_bits):
    theta, x = random_inputs(circuit, 2)
    strings = some_strings(circuit.n_qubits)
    expected = run(ReferenceEngine(), circuit, strings, theta, x)
    found = run(InterpreterEngine(tile_bits, low_bits), circuit, strings, theta, x)
    assert_close(found, expected, "complex128")


def test_every_short_sequence_of_bookkeeping_gates():
    """CX, X and SWAP in all orders, from a state without symmetry: each acts on what the ones before it left behind."""
    moves = [("x", (0,)), ("x", (1,)), ("cx", (0, 1)), ("cx", (1, 0)), ("cx", (1, 2)), ("swap", (0, 2))]
    turns = tuple(Gate("ry", (q,), (parameter(q),)) for q in range(3))
    strings = (*(PauliString(0, 1 << q) for q in range(3)), PauliString(3, 5))
    for sequence in product(moves, repeat=3):
        gates = (*turns, *(Gate(name, qubits) for name, qubits in sequence), *turns)
        circuit = Circuit(3, gates, ("a", "b", "c"))
        theta, x = random_inputs(circuit, 1)
        found = run(InterpreterEngine(), circuit, strings, theta, x)
        expected = run(ReferenceEngine(), circuit, strings, theta, x)
        np.testing.assert_allclose(found.expectations_BM, expected.expectations_BM, atol=1e-12, err_msg=str(sequence))
        np.testing.assert_allclose(found.slots_S, expected.slots_S, atol=1e-12, err_msg=str(sequence))


@settings(max_examples=examples(25), deadline=None)
@given(circuits(min_qubits=1, max_qubits=4, max_gates=12, amplitude_encoded=True))
def test_amplitude_encoded_states(circuit):
    theta, x = random_inputs(circuit, 3)
    initial = random_states(circuit.n_qubits, 3)
    strings = some_strings(circuit.n_qubits)
    expected = run(ReferenceEngine(), circuit, strings, theta, x, initial)
    found = run(InterpreterEngine(), circuit, strings, theta, x, initial)
    assert_close(found, expected, "complex128")


@settings(max_examples=examples(40), deadline=None)
@given(circuits(min_qubits=1, max_qubits=4, max_gates=12), st.sampled_from(MODES))
def test_single_precision(circuit, gradient):
    theta, x = random_inputs(circuit, 2)
    strings = some_strings(circuit.n_qubits)
    expected = run(ReferenceEngine(), circuit, strings, theta, x)
    found = run(InterpreterEngine(), circuit, strings, theta, x, precision="complex64", gradient=gradient)
    assert found.initial_BN.dtype == np.complex64
    assert_close(found, expected, "complex64")


@settings(max_examples=examples(40), deadline=None)
@given(circuits(min_qubits=1, max_qubits=5, max_gates=16), st.integers(2, 6))
def test_counted_work_equals_the_cost_model(circuit, tile_bits):
    theta, x = random_inputs(circuit, 3)
    strings = some_strings(circuit.n_qubits)
    program = InterpreterEngine(tile_bits, 1).compile(circuit, strings, "complex128")
    plan, passes = program.plan, program.passes
    forward, backward = forward_cost(plan, passes, 16), backward_cost(plan, passes, 16)
    step, angles = begin(program, circuit, theta, x)
    tape = step.forward(angles)
    assert (program.count.multiply_adds, program.count.bytes) == (3 * forward.multiply_adds, 3 * forward.bytes)
    tape.backward(random_cotangents(3, len(strings)))
    both = forward + backward
    assert (program.count.multiply_adds, program.count.bytes) == (3 * both.multiply_adds, 3 * both.bytes)


@pytest.mark.parametrize("batch", [1, 15, 16, 17, 33])
def test_block_sums_are_sums_of_sixteen(batch):
    from tests.engines.cases import hea

    circuit = hea(3, 2)
    theta, x = random_inputs(circuit, batch)
    program = InterpreterEngine().compile(circuit, (PauliString(0, 1),), "complex128")
    step, angles = begin(program, circuit, theta, x)
    cotangent = random_cotangents(batch, 1)
    whole = step.forward(angles).backward(cotangent).block_sums_GR
    assert whole.shape == (-(-batch // 16), program.plan_values.n_raw)
    for block in range(len(whole)):
        rows = slice(16 * block, 16 * block + 16)
        part = step.forward(angles[rows]).backward(cotangent[rows])
        np.testing.assert_array_equal(part.block_sums_GR[0], whole[block])
