"""The product start: the same values and gradients as gate by gate, whatever the layout, and the same bits whoever
computes them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmltrain.circuit.angle import feature, parameter
from qmltrain.circuit.circuit import Circuit, Gate
from qmltrain.circuit.observables import PauliString
from qmltrain.engines.cpu import CpuEngine, unavailable_reason
from qmltrain.engines.cpu.extension import VARIABLE
from qmltrain.engines.interpreter import InterpreterEngine
from qmltrain.engines.protocol import EngineOptions, GradientOptions
from qmltrain.engines.reference import ReferenceEngine
from qmltrain.fusion.compile import compile_plan
from qmltrain.fusion.product_starts import split
from qmltrain.fusion.reductions import real_states
from qmltrain.fusion.reductions.setting import Setting
from qmltrain.training.reduction import tree_sum
from tests.circuit.real_circuits import real_circuits
from tests.circuit.strategies import circuits, random_inputs, random_states
from tests.engines.cases import hea
from tests.engines.comparison import assert_close, begin, by_reference, random_cotangents, run
from tests.engines.cpu.layouts import LANES, MODES, TILES, available_sets, some_strings
from tests.examples import examples
from tests.pairwise import covering
from tests.training.step_cases import StepCase, check_equal

pytestmark = pytest.mark.skipif(unavailable_reason() is not None, reason="the C++ extension is not built")

GRADIENTS = ("expectations_BM", "slots_S", "per_sample_BS", "shared_BS")


def marked(circuit, strings):
    return replace(compile_plan(circuit, strings), product_start=True)


def options(threads: int = 1) -> EngineOptions:
    return EngineOptions(threads=threads, planner=marked)


@st.composite
def behind_single_qubit_gates(draw: st.DrawFn, min_qubits: int, max_qubits: int, max_gates: int) -> Circuit:
    """A random circuit behind gates on some of its qubits, several on one, angles shared and per sample."""
    circuit = draw(circuits(min_qubits=min_qubits, max_qubits=max_qubits, max_gates=max_gates))
    angle = st.sampled_from([parameter(0), parameter(3), feature(0), feature(2)])
    gates = []
    for _ in range(draw(st.integers(0, 3 * circuit.n_qubits))):
        name, count = draw(st.sampled_from([("rx", 1), ("ry", 1), ("rz", 1), ("u", 3), ("x", 0), ("h", 0), ("s", 0)]))
        qubit = draw(st.integers(0, circuit.n_qubits - 1))
        gates.append(Gate(name, (qubit,), tuple(draw(angle) for _ in range(count))))
    return replace(circuit, gates=(*gates, *circuit.gates), layer_starts=())


def mixed(n_qubits: int) -> Circuit:
    """Every kind of start: a qubit without a gate, one flipped between its rotations, runs of shared and per-sample
    angles; then two layers."""
    gates = [Gate("h", (0,)), Gate("rz", (0,), (feature(0),)), Gate("rx", (0,), (parameter(0),))]
    for q in range(2, n_qubits):
        gates += [Gate("ry", (q,), (feature(q),)), Gate("rz", (q,), (parameter(q),)), Gate("x", (q,))]
        gates += [Gate("rx", (q,), (feature(0),)), Gate("ry", (q,), (parameter(0),)), Gate("rz", (q,), (feature(q),))]
    body = hea(n_qubits, 2)
    return replace(body, gates=(*gates, *body.gates[n_qubits:]))


@settings(max_examples=examples(250), deadline=None)
@given(
    behind_single_qubit_gates(min_qubits=1, max_qubits=6, max_gates=12),
    st.sampled_from(MODES),
    st.sampled_from([1, 3, 17]),
    LANES,
    TILES,
    st.sampled_from(["complex64", "complex128"]),
)
def test_random_circuits_agree_with_the_reference(circuit, gradient, batch, lanes, tile, precision):
    theta, x = random_inputs(circuit, batch)
    strings = some_strings(circuit.n_qubits)
    expected = run(ReferenceEngine(), circuit, strings, theta, x)
    engine = CpuEngine(tile, lanes)
    found = run(engine, circuit, strings, theta, x, precision=precision, gradient=gradient, engine_options=options())
    assert_close(found, expected, precision, factor=4)


def real_and_marked(circuit, strings):
    plan = real_states.reduce(compile_plan(circuit, strings), circuit, strings, Setting(16, "complex64"))
    return replace(plan, product_start=True)


@settings(max_examples=examples(150), deadline=None)
@given(
    real_circuits(min_qubits=1, max_qubits=6),
    st.sampled_from(MODES),
    st.sampled_from([1, 3, 17]),
    LANES,
    TILES,
    st.sampled_from([None, 4]),
    st.sampled_from(["complex64", "complex128"]),
)
def test_real_states(circuit, gradient, batch, lanes, tile, shares, precision):
    """RY and H, several on a qubit: phases between them are signs, those after the last one only with others."""
    gates = []
    for q in range(circuit.n_qubits - 1):
        gates += [Gate("h", (q,)), Gate("ry", (q,), (feature(q % 3),))]
    gates += [Gate("ry", (q,), (parameter(q % 4),)) for q in range(1, circuit.n_qubits)]
    circuit = replace(circuit, gates=(*gates, *circuit.gates))
    theta, x = random_inputs(circuit, batch)
    strings = some_strings(circuit.n_qubits)
    expected = run(ReferenceEngine(), circuit, strings, theta, x)
    engine = CpuEngine(tile, lanes, shares)
    for threads in (1, 2):
        found = run(
            engine, circuit, strings, theta, x, precision=precision, gradient=gradient,
            engine_options=EngineOptions(threads=threads, planner=real_and_marked),
        )  # fmt: skip
        assert_close(found, expected, precision, factor=4)


@pytest.mark.parametrize(
    ("n", "name", "precision", "lanes", "gradient"),
    covering((2, 5, 9), available_sets(), ["complex64", "complex128"], (None, 0, 2), MODES[:4]),
)
def test_real_states_on_each_instruction_set(monkeypatch, n, name, precision, lanes, gradient):
    monkeypatch.setenv(VARIABLE, name)
    gates = [Gate("ry", (q,), (feature(q % 3),)) for q in range(n)]
    for layer in range(3):
        gates += [Gate("ry", (q,), (parameter(layer * n + q),)) for q in range(n)]
        gates += [Gate("cz" if layer % 2 else "cx", (q, q + 1)) for q in range(n - 1)]
    circuit = Circuit(n, tuple(gates), tuple(f"t{k}" for k in range(3 * n)), n_features=3)
    theta, x = random_inputs(circuit, 17)
    strings = some_strings(n)
    assert real_and_marked(circuit, strings).real
    found = run(
        CpuEngine(lane_bits=lanes), circuit, strings, theta, x, precision=precision, gradient=gradient,
        engine_options=EngineOptions(threads=1, planner=real_and_marked),
    )  # fmt: skip
    assert_close(found, by_reference(circuit, strings, theta, x), precision, factor=4)


@settings(max_examples=examples(60), deadline=None)
@given(
    behind_single_qubit_gates(min_qubits=6, max_qubits=8, max_gates=16),
    st.sampled_from(MODES[1:]),
    st.sampled_from([0, 1, 2]),
    st.sampled_from(["complex64", "complex128"]),
)
def test_long_states_are_shared_out_by_rows(circuit, gradient, lanes, precision):
    theta, x = random_inputs(circuit, 3)
    strings = some_strings(circuit.n_qubits)
    expected = run(ReferenceEngine(), circuit, strings, theta, x)
    engine = CpuEngine(lane_bits=lanes, share_row_bits=4)
    results = [
        run(engine, circuit, strings, theta, x, precision=precision, gradient=gradient, engine_options=options(threads))
        for threads in (1, 2, 3)
    ]
    assert_close(results[0], expected, precision, factor=4)
    for other in results[1:]:
        for name in GRADIENTS:
            assert getattr(results[0], name).tobytes() == getattr(other, name).tobytes(), name


@pytest.mark.parametrize(
    ("n_qubits", "name", "precision", "lanes", "gradient"),
    covering(range(2, 10), available_sets(), ["complex64", "complex128"], (None, 0, 2), MODES[:4]),
)
def test_each_instruction_set(monkeypatch, n_qubits, name, precision, lanes, gradient):
    monkeypatch.setenv(VARIABLE, name)
    circuit, strings = mixed(n_qubits), some_strings(n_qubits)
    theta, x = random_inputs(circuit, [1, 3, 16, 17, 33][n_qubits % 5])
    found = run(
        CpuEngine(lane_bits=lanes), circuit, strings, theta, x, precision=precision, gradient=gradient,
        engine_options=options(),
    )  # fmt: skip
    assert_close(found, by_reference(circuit, strings, theta, x), precision, factor=4)


@pytest.mark.parametrize("tile, lanes, shares", [(4, 0, None), (4, 2, None), (4, 4, None), (None, 0, 6), (None, 2, 6)])
def test_tiles_and_shares_on_any_threads(tile, lanes, shares):
    """11 qubits: rows of tiled states lie scattered."""
    circuit, strings = mixed(11), some_strings(11)
    theta, x = random_inputs(circuit, 5)
    expected = by_reference(circuit, strings, theta, x)
    reversible = GradientOptions("reversible")
    for precision in ("complex64", "complex128"):
        results = [
            run(
                CpuEngine(tile, lanes, shares), circuit, strings, theta, x, precision=precision, gradient=reversible,
                engine_options=options(threads),
            )
            for threads in (1, 2, 3)
        ]  # fmt: skip
        assert_close(results[0], expected, precision, factor=4)
        for other in results[1:]:
            for name in GRADIENTS:
                assert getattr(results[0], name).tobytes() == getattr(other, name).tobytes(), name


@pytest.mark.parametrize("name", available_sets())
@pytest.mark.parametrize("n_qubits, lanes", [(5, None), (5, 1), (9, 4)])
def test_chunks_change_no_bit_and_one_call_equals_three(monkeypatch, name, n_qubits, lanes):
    monkeypatch.setenv(VARIABLE, name)
    circuit, n, strings = mixed(n_qubits), 50, some_strings(n_qubits)
    theta, x = random_inputs(circuit, n)
    program = CpuEngine(None, lanes).compile(circuit, strings, options=options())
    step, angles = begin(program, circuit, theta, x)
    cotangent = random_cotangents(n, len(strings))
    whole = step.forward(angles)
    blocks = whole.backward(cotangent).block_sums_GR
    for size in (16, 32):
        tapes = [(step.forward(angles[k : k + size]), cotangent[k : k + size]) for k in range(0, n, size)]
        parts = [tape.backward(of_part).block_sums_GR for tape, of_part in tapes]
        assert np.concatenate(parts).tobytes() == blocks.tobytes()
    expectations, gradient, per_sample = step.expectation_gradient(angles, cotangent)
    assert expectations.tobytes() == whole.expectations_BM.tobytes()
    assert gradient.tobytes() == step.slot_gradient(tree_sum(blocks)).tobytes()
    assert per_sample.shape == angles.shape
    without = step.expectation_gradient(angles, cotangent, per_sample=False)
    assert without[1].tobytes() == gradient.tobytes() and without[2] is None


@pytest.mark.parametrize("lanes", [0, 4])
def test_the_drift_is_the_distance_from_the_start(lanes):
    """Nothing after the start but what is undone exactly: no drift. A long circuit drifts by its rounding."""
    for circuit, most in ((mixed(6), 2e-6), (replace(mixed(6), gates=mixed(6).gates[:20]), 1e-6)):
        theta, x = random_inputs(circuit, 3)
        found = run(
            CpuEngine(lane_bits=lanes), circuit, some_strings(6), theta, x, precision="complex64",
            gradient=GradientOptions("reversible"), engine_options=options(),
        )  # fmt: skip
        assert found.drift < most
    deep = hea(6, 60)
    theta, x = random_inputs(deep, 3)
    drifts = []
    for planner in (compile_plan, marked):
        found = run(
            CpuEngine(lane_bits=lanes), deep, some_strings(6), theta, x, precision="complex64",
            gradient=GradientOptions("reversible"), engine_options=EngineOptions(threads=1, planner=planner),
        )  # fmt: skip
        drifts.append(found.drift)
    assert drifts[0] / 3 < drifts[1] < 3 * drifts[0]


@pytest.mark.parametrize("encoding", ["angle", "reuploading", "pauli_feature_map"])
def test_native_steps_are_array_steps(encoding):
    encodings = {"pauli_feature_map": {"paulis": ["X", "YZ"]}, "reuploading": {"repeats": 2, "trainable": "weights"}}
    case = StepCase(n_qubits=4, encoding=encoding, encoding_options=encodings.get(encoding, {}))
    for sizes in ({}, {"lane_bits": 2}):
        for mode in (GradientOptions(), GradientOptions("reversible"), GradientOptions("checkpoint", 2)):
            check_equal(case, 4, planner=marked, mode=mode, threads=3, **sizes)


def test_native_steps_of_real_states():
    case = StepCase(n_qubits=5, n_features=5, ansatz="real_amplitudes")
    for mode in (GradientOptions(), GradientOptions("reversible")):
        check_equal(case, 4, planner=real_and_marked, mode=mode, threads=2)


def test_a_circuit_that_would_be_one_matrix_goes_gate_by_gate():
    case = StepCase(n_qubits=4, n_features=4, layers=12, sizes=(250,))
    model = case.model()
    programs = [case.program(model, planner=planner) for planner in (compile_plan, marked)]
    as_matrix = [case.steps(model, program, True)._steps.as_matrix(250) for program in programs]
    assert as_matrix == [True, False]
    check_equal(case, 2, planner=marked)


def test_other_engines_and_amplitudes_take_no_notice():
    circuit, strings = mixed(4), some_strings(4)
    theta, x = random_inputs(circuit, 3)
    for engine, mark in ((InterpreterEngine(), options()), (CpuEngine(), replace(options(), fusion=False))):
        plain = replace(mark, planner=compile_plan)
        found, expected = (run(engine, circuit, strings, theta, x, engine_options=one) for one in (mark, plain))
        for name in GRADIENTS:
            assert getattr(found, name).tobytes() == getattr(expected, name).tobytes()
    circuit, states = replace(circuit, amplitude_encoded=True), random_states(4, 3)
    found = run(CpuEngine(), circuit, strings, theta, x, states, engine_options=options())
    assert_close(found, run(ReferenceEngine(), circuit, strings, theta, x, states), "complex128")


def test_what_belongs_to_the_start():
    circuit = hea(4, 2)
    start, rest = split(marked(circuit, ()))
    assert [one.bit for one in start] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert rest.depth == 1 and len(rest.moments[1].rotations) == 4
    assert rest.moments[0].diagonal is not None  # the ring of CZ, and what is left of it for the next layer
    # a qubit that another one entangles later waits for nobody; one behind a CX is in no start
    gates = [Gate("ry", (0,), (parameter(0),)), Gate("cx", (0, 1)), Gate("ry", (1,), (parameter(1),))]
    gates += [Gate("rx", (2,), (feature(0),)), Gate("rx", (2,), (parameter(2),)), Gate("cz", (1, 2))]
    plan = marked(Circuit(3, tuple(gates), ("a", "b", "c"), n_features=1), (PauliString(0, 1),))
    start, rest = split(plan)
    assert [one.bit for one in start] == [0, 2, 2]
    assert [len(moment.rotations) for moment in rest.moments] == [0, 1]
