"""Merged gate runs and what goes with them, on every plan engine: the reference judges values and all gradients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmltrain.circuit.angle import Angle, Feature, constant, feature, parameter
from qmltrain.circuit.circuit import Circuit, Gate
from qmltrain.circuit.observables import PauliString
from qmltrain.engines.cpu import CpuEngine, unavailable_reason
from qmltrain.engines.cpu.extension import VARIABLE
from qmltrain.engines.interpreter import InterpreterEngine
from qmltrain.engines.protocol import EngineOptions, GradientOptions
from qmltrain.engines.reference import ReferenceEngine
from qmltrain.fusion.compile import compile_plan
from qmltrain.fusion.cost import backward_cost, forward_cost
from qmltrain.fusion.plan import Plan
from qmltrain.fusion.reductions.sample_angles import line, reduce
from qmltrain.fusion.reductions.setting import Setting
from qmltrain.training.reduction import tree_sum
from tests.circuit.strategies import circuits, random_inputs, random_states
from tests.engines.comparison import assert_close, begin, by_reference, random_cotangents, run
from tests.engines.cpu.layouts import LANES, MODES, TILES, available_sets, some_strings
from tests.examples import examples
from tests.fusion.reductions.merged_plans import dense_runs, merged
from tests.pairwise import covering

needs_cpu = pytest.mark.skipif(unavailable_reason() is not None, reason="the C++ extension is not built")
SETTING = Setting(16, "complex64")


def with_start(circuit: Circuit, strings: tuple[PauliString, ...]) -> Plan:
    """As its start the gates of one bit before anything entangles that are not of merged runs."""
    return replace(merged(circuit, strings), product_start=True)


def planned(circuit: Circuit) -> Plan:
    return compile_plan(circuit, (), sample_angles=True)


def options(threads: int = 1, planner=merged) -> EngineOptions:
    return EngineOptions(threads=threads, planner=planner)


def own_hea(n: int, layers: int, entangler: str = "cz") -> Circuit:
    """A hardware-efficient ansatz all of whose angles are features."""
    sequence = [Gate("ry", (q,), (feature(q),)) for q in range(n)]
    count = n
    for _ in range(layers):
        for q in range(n):
            for name in ("rx", "ry", "rz"):
                sequence.append(Gate(name, (q,), (feature(count),)))
                count += 1
        sequence += [Gate(entangler, (q, (q + 1) % n)) for q in range(n if n > 2 else n - 1)]
    return Circuit(n, tuple(sequence), n_features=count)


def with_cx(n: int, layers: int) -> Circuit:
    return own_hea(n, layers, "cx")


def reuploading(n: int, layers: int) -> Circuit:
    """RX(w x + b) and RY(theta); every second layer another encoding and RZ(theta): runs of both kinds occur."""
    sequence: list[Gate] = []
    count = 0
    for layer in range(layers):
        for q in range(n):
            encoding = Angle(1.5, Feature("linear", (q,)), weight=count, bias=count + 1)
            sequence += [Gate("rx", (q,), (encoding,)), Gate("ry", (q,), (parameter(count + 2),))]
            if layer % 2:
                sequence += [Gate("rx", (q,), (feature(q, 0.7),)), Gate("rz", (q,), (parameter(count),))]
            count += 3
        sequence += [Gate("cz", (q, (q + 1) % n)) for q in range(n if n > 2 else n - 1)]
    return Circuit(n, tuple(sequence), tuple(f"theta.{k}" for k in range(count)), n_features=n)


def test_what_is_merged():
    plan = planned(own_hea(3, 2))
    assert [len(one.rotations) for one in plan.gate_runs] == [
        3,
        3,
        3,
        2,
        2,
        2,
    ]  # RZ before CZ and at the end are phases
    assert all(one.per_sample for one in plan.gate_runs)
    assert plan.depth == 2 and planned(own_hea(3, 2, "cx")).depth == 2
    assert compile_plan(own_hea(3, 2), ()).depth == 5


def test_an_encoding_before_a_shared_run_is_left_alone():
    gates = (Gate("ry", (0,), (feature(0),)), Gate("rx", (0,), (parameter(0),)), Gate("ry", (0,), (parameter(1),)))
    plan = planned(Circuit(1, gates, ("a", "b"), n_features=1))
    assert [one.per_sample for one in plan.gate_runs] == [True, False]


@pytest.mark.parametrize("n_qubits, runs", [(5, 2 * 5 + 5), (6, 6)])
def test_shared_angles_are_merged_where_states_are_long(n_qubits, runs):
    """RX(x) RY(x) RX(theta): one run a qubit, or two rotations per sample and a shared one."""
    gates = [
        Gate(name, (q,), (angle,))
        for name, angle in (("rx", feature(0)), ("ry", feature(1)), ("rx", parameter(0)))
        for q in range(n_qubits)
    ]
    plan = planned(Circuit(n_qubits, tuple(gates), ("a",), n_features=2))
    assert len(plan.gate_runs) == runs


def test_y_rotations_are_added_up():
    gates = (Gate("ry", (0,), (feature(0),)), Gate("ry", (0,), (parameter(0),)), Gate("ry", (0,), (constant(0.3),)))
    (run_,) = planned(Circuit(1, gates, ("a",), n_features=1)).gate_runs
    assert run_.real and run_.per_sample and len(run_.rotations) == 3


def test_reduce_leaves_what_gains_nothing():
    encoded = Circuit(2, (Gate("ry", (0,), (feature(0),)), Gate("rx", (1,), (parameter(0),))), ("a",), n_features=1)
    plan = compile_plan(encoded, ())
    assert reduce(plan, encoded, (), SETTING) is plan
    assert line(plan) == "no angle per sample after the initial product state"
    circuit = own_hea(3, 2)
    reduced = reduce(compile_plan(circuit, ()), circuit, (), SETTING)
    assert reduced.sample_angles
    assert line(reduced) == "15 gates merged to 6 of 6 rotations per sample; phases as products"


@settings(max_examples=examples(80), deadline=None)
@given(dense_runs(max_qubits=4, max_layers=3), st.sampled_from(MODES), st.sampled_from([1, 3, 17]))
def test_the_interpreter_agrees_with_the_reference(circuit, gradient, batch):
    theta, x = random_inputs(circuit, batch)
    strings = some_strings(circuit.n_qubits)
    expected = run(ReferenceEngine(), circuit, strings, theta, x)
    found = run(InterpreterEngine(), circuit, strings, theta, x, gradient=gradient, engine_options=options())
    assert_close(found, expected, "complex128", factor=4)


@settings(max_examples=examples(40), deadline=None)
@given(dense_runs(max_qubits=4, max_layers=2))
def test_counted_work_equals_the_cost_model(circuit):
    theta, x = random_inputs(circuit, 3)
    strings = some_strings(circuit.n_qubits)
    program = InterpreterEngine().compile(circuit, strings, "complex128", options=options())
    cost = forward_cost(program.plan, program.passes, 16) + backward_cost(program.plan, program.passes, 16)
    step, slots = begin(program, circuit, theta, x)
    step.forward(slots).backward(random_cotangents(3, len(strings)))
    assert program.count.multiply_adds == 3 * cost.multiply_adds


@needs_cpu
@settings(max_examples=examples(200), deadline=None)
@given(
    st.one_of(dense_runs(max_qubits=5, max_layers=3), circuits(min_qubits=1, max_qubits=6, max_gates=20)),
    st.sampled_from(MODES),
    st.sampled_from([1, 3, 16, 17]),
    LANES,
    TILES,
    st.sampled_from(["complex64", "complex128"]),
    st.sampled_from([merged, with_start]),
)
def test_random_circuits_agree_with_the_reference(circuit, gradient, batch, lanes, tile, precision, planner):
    theta, x = random_inputs(circuit, batch)
    strings = some_strings(circuit.n_qubits)
    expected = run(ReferenceEngine(), circuit, strings, theta, x)
    engine = CpuEngine(tile, lanes)
    found = run(
        engine,
        circuit,
        strings,
        theta,
        x,
        precision=precision,
        gradient=gradient,
        engine_options=options(planner=planner),
    )
    assert_close(found, expected, precision, factor=4)


@needs_cpu
@settings(max_examples=examples(40), deadline=None)
@given(
    circuits(min_qubits=1, max_qubits=5, max_gates=14, amplitude_encoded=True),
    st.sampled_from(MODES),
    st.sampled_from([None, 0, 1, 2]),
    st.sampled_from([None, 1, 2]),
)
def test_amplitude_encoded_states(circuit, gradient, lanes, tile):
    theta, x = random_inputs(circuit, 5)
    initial = random_states(circuit.n_qubits, 5)
    strings = some_strings(circuit.n_qubits)
    expected = run(ReferenceEngine(), circuit, strings, theta, x, initial)
    engine = CpuEngine(tile, lanes)
    found = run(engine, circuit, strings, theta, x, initial, gradient=gradient, engine_options=options())
    assert_close(found, expected, "complex128")


@pytest.mark.parametrize(
    ("n_qubits", "make", "name", "precision", "gradient"),
    covering(range(1, 10), [own_hea, with_cx, reuploading], available_sets(), ["complex64", "complex128"], MODES[:4]),
)
def test_layered_circuits_on_each_instruction_set(monkeypatch, n_qubits, make, name, precision, gradient):
    monkeypatch.setenv(VARIABLE, name)
    circuit, strings = make(n_qubits, 3), some_strings(n_qubits)
    theta, x = random_inputs(circuit, [1, 3, 16, 17, 33][n_qubits % 5])
    expected = by_reference(circuit, strings, theta, 3 * x)
    found = run(
        CpuEngine(), circuit, strings, theta, 3 * x, precision=precision, gradient=gradient, engine_options=options()
    )
    assert_close(found, expected, precision, factor=4)


@needs_cpu
@pytest.mark.parametrize("precision", ["complex64", "complex128"])
@pytest.mark.parametrize("angle", [0.0, np.pi, -np.pi, np.pi / 2, 2 * np.pi, 3 * np.pi, 1e-9, np.pi - 1e-9])
def test_angles_where_euler_angles_are_singular(angle, precision):
    """cos(beta / 2) = 0, which the factored rotations divide by, and everything near it."""
    circuit = own_hea(5, 3)
    x = np.full((3, circuit.n_features), angle)
    x[1] += np.random.default_rng(0).choice([0, np.pi], x.shape[1])
    strings = some_strings(5)
    expected = by_reference(circuit, strings, np.zeros(0), x)
    for lanes in (0, 2):
        found = run(
            CpuEngine(None, lanes), circuit, strings, np.zeros(0), x, precision=precision, engine_options=options()
        )
        assert_close(found, expected, precision, factor=4)


@needs_cpu
def test_rotations_by_pi_keep_their_accuracy():
    """RY(pi) of every qubit, layer after layer: cosines of 1e-8 multiplied in again and again."""
    gates = [Gate("ry", (q,), (feature(0),)) for _ in range(40) for q in range(8)]
    gates = [gate if (k // 8) % 2 == 0 else Gate("rz", gate.qubits, (feature(1),)) for k, gate in enumerate(gates)]
    circuit = Circuit(8, tuple(gates), n_features=2)
    x = np.array([[np.pi, 0.4], [np.pi * (1 - 1e-7), 1.0], [-np.pi, 2.0]])
    strings = some_strings(8)
    expected = run(ReferenceEngine(), circuit, strings, np.zeros(0), x)
    found = run(CpuEngine(None, 0), circuit, strings, np.zeros(0), x, precision="complex64", engine_options=options())
    assert_close(found, expected, "complex64", factor=8)


@needs_cpu
@pytest.mark.parametrize("make", [own_hea, reuploading])
def test_threads_change_no_bit(make):
    circuit = make(9, 2)
    theta, x = random_inputs(circuit, 21)
    strings = some_strings(9)
    for tile, lanes in ((None, None), (3, None), (3, 2)):
        results = [
            run(
                CpuEngine(tile, lanes),
                circuit,
                strings,
                theta,
                x,
                precision="complex64",
                gradient=GradientOptions("reversible"),
                engine_options=options(threads),
            )
            for threads in (1, 2, 3)
        ]
        for other in results[1:]:
            for name in ("expectations_BM", "slots_S", "per_sample_BS", "shared_BS"):
                assert getattr(results[0], name).tobytes() == getattr(other, name).tobytes(), name


@pytest.mark.parametrize("name", available_sets())
@pytest.mark.parametrize("make", [own_hea, reuploading])
@pytest.mark.parametrize("n_qubits, lanes", [(5, None), (5, 1), (9, None)])
def test_chunks_change_no_bit_and_one_call_equals_three(monkeypatch, name, make, n_qubits, lanes):
    monkeypatch.setenv(VARIABLE, name)
    circuit, n = make(n_qubits, 2), 50
    theta, x = random_inputs(circuit, n)
    strings = some_strings(n_qubits)
    program = CpuEngine(None, lanes).compile(circuit, strings, options=options())
    step, slots = begin(program, circuit, theta, x)
    cotangent = random_cotangents(n, len(strings))
    whole = step.forward(slots).backward(cotangent)
    for size in (16, 32):
        parts = [
            step.forward(slots[first : first + size]).backward(cotangent[first : first + size])
            for first in range(0, n, size)
        ]
        for field in ("block_sums_GR", "per_sample_BS"):
            assert np.concatenate([getattr(part, field) for part in parts]).tobytes() == getattr(whole, field).tobytes()
    _, gradient, per_sample = step.expectation_gradient(slots, cotangent)
    assert gradient.tobytes() == step.slot_gradient(tree_sum(whole.block_sums_GR)).tobytes()
    assert per_sample.tobytes() == whole.per_sample_BS.tobytes()
    without = step.expectation_gradient(slots, cotangent, per_sample=False)
    assert without[1].tobytes() == gradient.tobytes() and without[2] is None


@needs_cpu
@pytest.mark.parametrize("lanes", [None, 0, 3])
@pytest.mark.parametrize("make", [own_hea, reuploading])
def test_long_states(make, lanes):
    """States in shares of rows, and in tiles."""
    circuit = make(10, 2)
    theta, x = random_inputs(circuit, 3)
    strings = some_strings(10)
    expected = by_reference(circuit, strings, theta, x)
    for engine in (CpuEngine(None, lanes, 4), CpuEngine(4, lanes), CpuEngine(7, lanes)):
        found = run(engine, circuit, strings, theta, x, precision="complex64", engine_options=options(2))
        assert_close(found, expected, "complex64", factor=4)


@needs_cpu
def test_no_plan_without_it_has_other_bits():
    """compile_plan is what it was: no merged run, nothing that rounds differently."""
    circuit = own_hea(5, 2)
    plan = compile_plan(circuit, ())
    assert not plan.sample_angles
    assert all(len(one.rotations) == 1 for one in plan.gate_runs if one.per_sample)
