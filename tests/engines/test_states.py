"""`Step.states`: final states in the order of basis states, against the reference, on every engine that runs here."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmltrain.circuit.observables import PauliString
from qmltrain.engines.cpu import CpuEngine, unavailable_reason
from qmltrain.engines.cpu.extension import VARIABLE
from qmltrain.engines.interpreter import InterpreterEngine
from qmltrain.engines.protocol import BLOCK, EngineOptions, GradientOptions
from qmltrain.engines.reference import ReferenceEngine
from qmltrain.fusion.reductions.planner import PLAN_REDUCTIONS, ReducedPlanner
from qmltrain.fusion.reductions.setting import Setting
from tests.circuit import dense
from tests.circuit.real_circuits import real_circuits
from tests.circuit.strategies import circuits, random_inputs, random_states
from tests.engines.cases import hea
from tests.engines.comparison import assert_same_states, begin, states
from tests.engines.cpu.layouts import LANES, MODES, TILES, available_sets
from tests.engines.registered import build, engines, inputs, make, registered_circuits
from tests.examples import examples
from tests.pairwise import covering

needs_cpu = pytest.mark.skipif(unavailable_reason() is not None, reason="the C++ extension is not built")


def planner(precision: str, batch: int) -> ReducedPlanner:
    return ReducedPlanner(tuple(PLAN_REDUCTIONS), Setting(batch, precision))  # type: ignore[arg-type]


@settings(max_examples=examples(60), deadline=None)
@given(circuits(min_qubits=1, max_qubits=4, max_gates=10))
def test_the_reference_gives_amplitudes_by_basis_index(circuit):
    theta, x = random_inputs(circuit, 2)
    found = states(ReferenceEngine(), circuit, theta, x)
    for row in range(2):
        np.testing.assert_allclose(found[row], dense.unitary(circuit, theta, x[row])[:, 0], atol=1e-12)


@pytest.mark.parametrize(
    ("encoding", "n_qubits", "n_features", "ansatz", "batch", "engine", "precision"),
    covering(registered_circuits(), (1, 3), engines(), ("complex64", "complex128")),
)
def test_registered_circuits_agree_with_the_reference(encoding, n_qubits, n_features, ansatz, batch, engine, precision):
    circuit = build(encoding, n_qubits, n_features, ansatz)
    theta, x, initial = inputs(circuit, encoding, batch)
    found = states(make(engine), circuit, theta, x, initial, precision)
    assert found.dtype == np.dtype(precision)
    assert_same_states(found, states(ReferenceEngine(), circuit, theta, x, initial), precision)


@settings(max_examples=examples(80), deadline=None)
@given(circuits(min_qubits=1, max_qubits=5, max_gates=20), st.sampled_from([1, 3, 17]))
def test_the_interpreter_over_random_circuits(circuit, batch):
    theta, x = random_inputs(circuit, batch)
    assert_same_states(states(InterpreterEngine(), circuit, theta, x), states(ReferenceEngine(), circuit, theta, x))


@needs_cpu
@settings(max_examples=examples(200), deadline=None)
@given(
    circuits(min_qubits=1, max_qubits=6, max_gates=20),
    st.sampled_from(MODES),
    st.sampled_from([1, 3, 16, 17, 35]),
    LANES,
    TILES,
    st.sampled_from(["complex64", "complex128"]),
    st.booleans(),
    st.booleans(),
)
def test_random_circuits_on_the_cpu(circuit, gradient, batch, lanes, tile, precision, fusion, reduced):
    theta, x = random_inputs(circuit, batch)
    expected = states(ReferenceEngine(), circuit, theta, x)
    options = {"planner": planner(precision, 1000)} if reduced else {}
    found = states(
        CpuEngine(tile, lanes), circuit, theta, x, None, precision, gradient, threads=1, fusion=fusion, **options
    )
    assert_same_states(found, expected, precision)


@needs_cpu
@settings(max_examples=examples(60), deadline=None)
@given(circuits(min_qubits=1, max_qubits=5, max_gates=14, amplitude_encoded=True), st.sampled_from([1, 5, 17]), LANES)
def test_amplitude_encoded_states(circuit, batch, lanes):
    theta, x = random_inputs(circuit, batch)
    initial = random_states(circuit.n_qubits, batch)
    expected = states(ReferenceEngine(), circuit, theta, x, initial)
    for engine in (CpuEngine(None, lanes), InterpreterEngine()):
        assert_same_states(states(engine, circuit, theta, x, initial), expected)


@needs_cpu
@settings(max_examples=examples(60), deadline=None)
@given(real_circuits(), st.sampled_from([1, 5, 17]), LANES, TILES)
def test_real_states(circuit, batch, lanes, tile):
    theta, x = random_inputs(circuit, batch)
    plans = planner("complex128", batch)
    found = states(CpuEngine(tile, lanes), circuit, theta, x, threads=1, planner=plans)
    assert_same_states(found, states(ReferenceEngine(), circuit, theta, x))


@needs_cpu
def test_shared_blocks_of_a_deep_circuit():
    circuit = hea(4, 12, "cx")
    theta, x = random_inputs(circuit, 100)
    plans = planner("complex128", 5000)
    found = states(CpuEngine(), circuit, theta, x, planner=plans)
    assert plans.plans[0].shared_blocks
    assert_same_states(found, states(ReferenceEngine(), circuit, theta, x))


@needs_cpu
@pytest.mark.parametrize("name", available_sets())
@pytest.mark.parametrize("n_qubits", [1, 2, 5, 9, 12])
def test_each_instruction_set(monkeypatch, name, n_qubits):
    monkeypatch.setenv(VARIABLE, name)
    for entangler in ("cz", "cx"):
        circuit = hea(n_qubits, 3, entangler)
        theta, x = random_inputs(circuit, 19)
        expected = states(ReferenceEngine(), circuit, theta, x)
        for precision in ("complex64", "complex128"):
            assert_same_states(states(CpuEngine(), circuit, theta, x, None, precision), expected, precision)


@needs_cpu
@pytest.mark.parametrize("reduced", [False, True])
@pytest.mark.parametrize("n_qubits", [3, 6, 11])
def test_neither_chunks_nor_threads_change_a_bit(n_qubits, reduced):
    circuit = hea(n_qubits, 3, "cx")
    theta, x = random_inputs(circuit, 75)
    for precision in ("complex64", "complex128"):
        found = []
        for threads in (1, 2, 3):
            options = {"planner": planner(precision, 75)} if reduced else {}
            program = CpuEngine(3 if n_qubits > 6 else None).compile(
                circuit, (), precision, GradientOptions(), EngineOptions(threads=threads, **options)
            )
            step, per_sample = begin(program, circuit, theta, x)
            for chunk in (BLOCK, 3 * BLOCK, 75):
                found.append(np.concatenate([step.states(per_sample[i : i + chunk]) for i in range(0, 75, chunk)]))
        for other in found[1:]:
            np.testing.assert_array_equal(other, found[0])


@pytest.mark.parametrize("engine", [*engines(), pytest.param("reference", id="reference")])
def test_a_program_for_strings_has_no_states(engine):
    circuit = hea(2, 1)
    program = (ReferenceEngine() if engine == "reference" else make(engine)).compile(circuit, (PauliString(0, 1),))
    step, per_sample = begin(program, circuit, *random_inputs(circuit, 2))
    with pytest.raises(ValueError, match="without strings"):
        step.states(per_sample)
