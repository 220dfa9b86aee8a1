"""Real states in the C++ engine against the reference, over random circuits of every admissible gate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmltrain.circuit.observables import PauliString
from qmltrain.engines.cpu import CpuEngine, unavailable_reason
from qmltrain.engines.cpu.extension import VARIABLE
from qmltrain.engines.cpu.setting import COMMON
from qmltrain.engines.interpreter import InterpreterEngine
from qmltrain.engines.protocol import EngineOptions, GradientOptions
from qmltrain.engines.reference import ReferenceEngine
from qmltrain.fusion.reductions import real_states
from qmltrain.fusion.reductions.planner import ReducedPlanner
from qmltrain.fusion.reductions.setting import Setting
from tests.circuit.real_circuits import real_circuits
from tests.circuit.strategies import random_inputs, random_states
from tests.engines.comparison import assert_close, begin, by_reference, random_cotangents, run
from tests.engines.cpu.layouts import LANES, MODES, TILES, available_sets, some_strings
from tests.engines.real_cases import layered
from tests.examples import examples
from tests.pairwise import covering

pytestmark = pytest.mark.skipif(unavailable_reason() is not None, reason="the C++ extension is not built")

REAL = EngineOptions(threads=1, planner=ReducedPlanner(("real_states",), Setting(16, "complex64")))
SHARES = st.sampled_from([None, 4])


@pytest.fixture(autouse=True, scope="module")
def real_plans_whatever_they_cost():
    most, real_states.MOST_WORK = real_states.MOST_WORK, 1e9
    yield
    real_states.MOST_WORK = most


def assert_real_bra(found, expected):
    """What is real of the bra at the start; its imaginary part is of no derivative by real amplitudes."""
    assert not found.initial_BN.imag.any()
    np.testing.assert_allclose(found.initial_BN.real, expected.initial_BN.real, atol=1e-10)


@settings(max_examples=examples(200), deadline=None)
@given(
    real_circuits(max_qubits=6),
    st.sampled_from(MODES),
    st.sampled_from([1, 3, 16, 17, 40]),
    LANES,
    TILES,
    SHARES,
    st.sampled_from(["complex64", "complex128"]),
    st.booleans(),
)
def test_random_circuits_agree_with_the_reference(circuit, gradient, batch, lanes, tile, share, precision, fusion):
    theta, x = random_inputs(circuit, batch)
    strings = some_strings(circuit.n_qubits)
    expected = run(ReferenceEngine(), circuit, strings, theta, x)
    found = run(
        CpuEngine(tile, lanes, share),
        circuit,
        strings,
        theta,
        x,
        precision=precision,
        gradient=gradient,
        engine_options=replace(REAL, fusion=fusion),
    )
    assert_close(found, expected, precision, factor=4)
    if precision == "complex128":
        assert_real_bra(found, expected)
    for k, string in enumerate(strings):
        if (string.x_mask & string.z_mask).bit_count() % 2:
            np.testing.assert_allclose(found.expectations_BM[:, k], 0, atol=1e-6)


@settings(max_examples=examples(80), deadline=None)
@given(
    real_circuits(amplitude_encoded=True),
    st.sampled_from(MODES),
    st.sampled_from([1, 3, 17]),
    LANES,
    TILES,
)
def test_amplitude_encoded_states(circuit, gradient, batch, lanes, tile):
    theta, x = random_inputs(circuit, batch)
    initial = random_states(circuit.n_qubits, batch)
    strings = some_strings(circuit.n_qubits)
    expected = run(ReferenceEngine(), circuit, strings, theta, x, initial)
    found = run(CpuEngine(tile, lanes), circuit, strings, theta, x, initial, gradient=gradient, engine_options=REAL)
    assert_close(found, expected, "complex128")
    assert_real_bra(found, expected)


@settings(max_examples=examples(60), deadline=None)
@given(real_circuits(max_qubits=4), st.sampled_from([1, 5]))
def test_a_real_plan_is_a_plan_for_every_engine(circuit, batch):
    theta, x = random_inputs(circuit, batch)
    strings = some_strings(circuit.n_qubits)
    expected = run(ReferenceEngine(), circuit, strings, theta, x)
    found = run(InterpreterEngine(), circuit, strings, theta, x, engine_options=REAL)
    assert_close(found, expected, "complex128")


@pytest.mark.parametrize(
    ("n_qubits", "entangler", "name", "precision", "gradient"),
    covering(range(1, 14), ("cz", "cx", "ccx"), available_sets(), ["complex64", "complex128"], MODES[:4]),
)
def test_layered_circuits_on_each_instruction_set(monkeypatch, n_qubits, entangler, name, precision, gradient):
    monkeypatch.setenv(VARIABLE, name)
    circuit, strings = layered(n_qubits, 3, entangler), some_strings(n_qubits)
    theta, x = random_inputs(circuit, [1, 3, 16, 17, 40][n_qubits % 5] if n_qubits < 10 else 3)
    program = CpuEngine().compile(circuit, strings, precision, gradient, REAL)
    assert program.plan.real
    found = run(CpuEngine(), circuit, strings, theta, x, precision=precision, gradient=gradient, engine_options=REAL)
    assert_close(found, by_reference(circuit, strings, theta, x), precision, factor=4)


@pytest.mark.parametrize("entangler", ["cz", "cx"])
@pytest.mark.parametrize("n_qubits", [4, 9, 13])
def test_threads_and_chunks_are_equal_to_the_bit(n_qubits, entangler):
    circuit = layered(n_qubits, 3, entangler)
    theta, x = random_inputs(circuit, 40)
    strings = (PauliString(0, 1), PauliString(3, 0), PauliString(0, 6))
    cotangents = random_cotangents(40, len(strings))
    results = []
    for threads, bounds in ((1, (0, 40)), (2, (0, 40)), (3, (0, 16, 32, 40))):
        options = replace(REAL, threads=threads)
        program = CpuEngine(share_row_bits=6).compile(circuit, strings, "complex64", options=options)
        step, per_sample = begin(program, circuit, theta, x)
        sums, samples, values = [], [], []
        for first, last in zip(bounds, bounds[1:], strict=False):
            tape = step.forward(per_sample[first:last])
            back = tape.backward(cotangents[first:last])
            sums.append(back.block_sums_GR), samples.append(back.per_sample_BS), values.append(tape.expectations_BM)
        results.append([np.concatenate(part) for part in (sums, samples, values)])
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("n_qubits", [3, 8, 12, 14, 18])
@pytest.mark.parametrize("entangler", ["cz", "cx"])
def test_states_take_half_the_memory(n_qubits, entangler):
    circuit = layered(n_qubits, 4, entangler)
    forecasts = [
        CpuEngine()
        .compile(circuit, (PauliString(0, 1),), gradient=GradientOptions("reversible"), options=options)
        .forecast
        for options in (EngineOptions(threads=1), REAL)
    ]
    assert forecasts[1].block_bytes * 2 == forecasts[0].block_bytes


def test_diagonals_too_long_for_a_table_are_made_tile_by_tile(monkeypatch):
    without = replace(COMMON, table_bytes=0)
    monkeypatch.setattr("qmltrain.engines.cpu.program.cache_sizes", lambda instruction_set: without)
    circuit = layered(7, 3, "ccx")
    theta, x = random_inputs(circuit, 3)
    strings = some_strings(7)
    expected = run(ReferenceEngine(), circuit, strings, theta, x)
    for lanes, tile in ((0, None), (2, 3), (3, 2)):
        found = run(CpuEngine(tile, lanes), circuit, strings, theta, x, engine_options=REAL)
        assert_close(found, expected, "complex128")
