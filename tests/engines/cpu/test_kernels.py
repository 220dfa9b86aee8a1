"""The C++ engine against the reference: every gate, layout of lanes, tile, mode, precision and instruction set."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmltrain.circuit.angle import feature, parameter
from qmltrain.circuit.circuit import Circuit, Gate
from qmltrain.circuit.library.assemble import assemble
from qmltrain.circuit.observables import PauliString
from qmltrain.engines.cpu import CpuEngine, unavailable_reason
from qmltrain.engines.cpu.extension import VARIABLE
from qmltrain.engines.protocol import EngineOptions, GradientOptions
from qmltrain.engines.reference import ReferenceEngine
from qmltrain.errors import MemoryLimitError, NonFiniteError
from qmltrain.training.reduction import tree_sum
from tests.circuit.strategies import circuits, random_inputs, random_states
from tests.engines.cases import hea
from tests.engines.comparison import assert_close, begin, by_reference, random_cotangents, run
from tests.engines.cpu.layouts import LANES, MODES, TILES, available_sets, some_strings
from tests.examples import examples
from tests.pairwise import covering

pytestmark = pytest.mark.skipif(unavailable_reason() is not None, reason="the C++ extension is not built")

ONE_THREAD = EngineOptions(threads=1)


@settings(max_examples=examples(150), deadline=None)
@given(
    circuits(min_qubits=1, max_qubits=6, max_gates=20),
    st.sampled_from(MODES),
    st.sampled_from([1, 3, 17]),
    LANES,
    TILES,
    st.sampled_from(["complex64", "complex128"]),
    st.booleans(),
)
def test_random_circuits_agree_with_the_reference(circuit, gradient, batch, lanes, tile, precision, fusion):
    theta, x = random_inputs(circuit, batch)
    strings = some_strings(circuit.n_qubits)
    expected = run(ReferenceEngine(), circuit, strings, theta, x)
    options = EngineOptions(threads=1, fusion=fusion)
    found = run(
        CpuEngine(tile, lanes),
        circuit,
        strings,
        theta,
        x,
        precision=precision,
        gradient=gradient,
        engine_options=options,
    )
    assert_close(found, expected, precision, factor=4)


@settings(max_examples=examples(60), deadline=None)
@given(
    circuits(min_qubits=1, max_qubits=5, max_gates=14, amplitude_encoded=True),
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
    found = run(
        CpuEngine(tile, lanes), circuit, strings, theta, x, initial, gradient=gradient, engine_options=ONE_THREAD
    )
    assert_close(found, expected, "complex128")
    overlap = np.abs(np.sum(found.initial_BN.conj() * expected.initial_BN, axis=1))  # known up to a phase
    norms = np.linalg.norm(expected.initial_BN, axis=1) * np.linalg.norm(found.initial_BN, axis=1)
    np.testing.assert_allclose(overlap, norms, atol=1e-9)


@pytest.mark.parametrize(
    ("n_qubits", "entangler", "name", "precision", "gradient"),
    covering(range(1, 10), ("cz", "cx"), available_sets(), ["complex64", "complex128"], MODES[:4]),
)
def test_layered_circuits_on_each_instruction_set(monkeypatch, n_qubits, entangler, name, precision, gradient):
    monkeypatch.setenv(VARIABLE, name)
    circuit, strings = hea(n_qubits, 3, entangler), some_strings(n_qubits)
    theta, x = random_inputs(circuit, [1, 3, 16, 17, 33][n_qubits % 5])
    found = run(
        CpuEngine(), circuit, strings, theta, x, precision=precision, gradient=gradient, engine_options=ONE_THREAD
    )
    assert_close(found, by_reference(circuit, strings, theta, x), precision, factor=4)


@pytest.mark.parametrize("precision", ["complex64", "complex128"])
@pytest.mark.parametrize("angle", [1e5, 2e6, 1e9, 1e18])
def test_large_angles(angle, precision):
    """As exact as the angle itself, and on the unit circle where it is nothing but rounding."""
    gates = tuple(Gate(name, (0,), (make(0),)) for name in ("ry", "rz", "rx") for make in (parameter, feature))
    circuit = Circuit(1, gates, ("a",), n_features=1)
    theta, x = np.array([angle]), np.array([[0.3], [angle]])
    strings = (PauliString(0, 1),)
    found = run(CpuEngine(), circuit, strings, theta, x, precision=precision)
    assert np.all(np.abs(found.expectations_BM) <= 1 + 1e-5)
    if angle < 1e10:
        expected = run(ReferenceEngine(), circuit, strings, theta, x)
        np.testing.assert_allclose(found.expectations_BM, expected.expectations_BM, atol=max(1e-6, angle * 1e-15))


@pytest.mark.parametrize("angle", [0.0, np.pi, -np.pi, np.pi / 2, 2 * np.pi, 3 * np.pi])
def test_angles_where_euler_angles_are_singular(angle):
    circuit = hea(4, 3)
    theta, x = np.full(circuit.n_parameters, angle), random_inputs(circuit, 3)[1]
    strings = some_strings(4)
    expected = run(ReferenceEngine(), circuit, strings, theta, x)
    for lanes in (0, 2):
        assert_close(run(CpuEngine(None, lanes), circuit, strings, theta, x), expected, "complex128")


@pytest.mark.parametrize("entangler", ["cz", "cx"])
def test_threads_change_no_bit(entangler):
    circuit = hea(9, 2, entangler)
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
                engine_options=EngineOptions(threads=threads),
            )
            for threads in (1, 2, 3, 4)
        ]
        for other in results[1:]:
            for name in ("expectations_BM", "slots_S", "per_sample_BS", "shared_BS"):
                assert getattr(results[0], name).tobytes() == getattr(other, name).tobytes(), name


@pytest.mark.parametrize("name", available_sets())
@pytest.mark.parametrize("n_qubits, lanes", [(5, None), (5, 1), (9, 4)])
def test_chunks_change_no_bit_and_one_call_equals_three(monkeypatch, name, n_qubits, lanes):
    """At 9 qubits a block of 16 samples is many bundles, but the last block, of two samples, is one on its own."""
    monkeypatch.setenv(VARIABLE, name)
    circuit, n = hea(n_qubits, 2), 50
    theta, x = random_inputs(circuit, n)
    strings = some_strings(n_qubits)
    program = CpuEngine(None, lanes).compile(circuit, strings)
    step, angles = begin(program, circuit, theta, x)
    cotangent = random_cotangents(n, len(strings))
    whole = step.forward(angles)
    blocks = whole.backward(cotangent).block_sums_GR
    for size in (16, 32, 48):
        parts = []
        for first in range(0, n, size):
            part = slice(first, first + size)
            tape = step.forward(angles[part])
            parts.append(tape.backward(cotangent[part]).block_sums_GR)
        assert np.concatenate(parts).tobytes() == blocks.tobytes()
    expectations, gradient, per_sample = step.expectation_gradient(angles, cotangent)
    assert expectations.tobytes() == whole.expectations_BM.tobytes()
    assert gradient.tobytes() == step.slot_gradient(tree_sum(blocks)).tobytes()
    assert per_sample.shape == angles.shape
    without = step.expectation_gradient(angles, cotangent, per_sample=False)
    assert without[1].tobytes() == gradient.tobytes() and without[2] is None
    shared = step.expectation_gradient(angles, cotangent[0])[1]
    repeated = step.expectation_gradient(angles, np.repeat(cotangent[:1], n, axis=0))[1]
    assert shared.tobytes() == repeated.tobytes()


@settings(max_examples=examples(60), deadline=None)
@given(
    circuits(min_qubits=6, max_qubits=8, max_gates=24),
    st.sampled_from(MODES[1:]),
    st.sampled_from([0, 1, 2]),
    st.sampled_from(["complex64", "complex128"]),
    st.booleans(),
)
def test_long_states_are_shared_out_by_rows(circuit, gradient, lanes, precision, fusion):
    theta, x = random_inputs(circuit, 3)
    strings = some_strings(circuit.n_qubits)
    expected = run(ReferenceEngine(), circuit, strings, theta, x)
    engine = CpuEngine(lane_bits=lanes, share_row_bits=4)
    results = []
    for threads in (1, 2, 3):
        options = EngineOptions(threads=threads, fusion=fusion)
        results.append(
            run(engine, circuit, strings, theta, x, precision=precision, gradient=gradient, engine_options=options)
        )
    assert_close(results[0], expected, precision, factor=4)
    for other in results[1:]:
        for name in ("expectations_BM", "slots_S", "per_sample_BS", "shared_BS"):
            assert getattr(results[0], name).tobytes() == getattr(other, name).tobytes(), name


def ring_of_phases(n_qubits: int) -> Circuit:
    """Trainable phases on every pair of neighbours and on one more: their masks depend on each other."""
    gates: list[Gate] = [Gate("ry", (q,), (feature(q),)) for q in range(n_qubits)]
    for layer in range(3):
        pairs = [(q, (q + 1) % n_qubits) for q in range(n_qubits)] + [(0, n_qubits // 2)]
        first = layer * (len(pairs) + n_qubits)
        gates += [Gate("rzz", pair, (parameter(first + k),)) for k, pair in enumerate(pairs)]
        gates += [Gate("rx", (q,), (parameter(first + len(pairs) + q),)) for q in range(n_qubits)]
    n_parameters = 3 * (2 * n_qubits + 1)
    return Circuit(n_qubits, tuple(gates), tuple(f"t{k}" for k in range(n_parameters)), n_features=n_qubits)


@pytest.mark.parametrize(
    ("circuit", "lanes", "name", "gradient"),
    covering(
        [pytest.param(hea(8, 4, "cx"), id="cx"), pytest.param(ring_of_phases(8), id="ring")],
        [0, 1, 2], available_sets(), MODES[1:],
    ),
)  # fmt: skip
def test_shares_of_entangled_rows(monkeypatch, circuit, lanes, name, gradient):
    """Groups of rotations whose rows fall into parts of different signs; sums that need a Walsh transform."""
    monkeypatch.setenv(VARIABLE, name)
    theta, x = random_inputs(circuit, 3)
    strings = some_strings(8)
    found = run(CpuEngine(lane_bits=lanes, share_row_bits=4), circuit, strings, theta, x, gradient=gradient)
    assert_close(found, by_reference(circuit, strings, theta, x), "complex128")


@pytest.mark.parametrize("lanes", [0, 1, pytest.param(3, marks=pytest.mark.slow)])
@pytest.mark.parametrize("entangler", ["cz", "cx"])
def test_long_states_of_layered_circuits(entangler, lanes):
    """12 row bits: shares as they are, not forced."""
    circuit = hea(12 + lanes, 2, entangler)
    theta, x = random_inputs(circuit, 2)
    strings = some_strings(circuit.n_qubits)
    expected = run(ReferenceEngine(), circuit, strings, theta, x)
    for threads in (1, 2):
        options = EngineOptions(threads=threads)
        found = run(
            CpuEngine(lane_bits=lanes), circuit, strings, theta, x, precision="complex64", engine_options=options
        )
        assert_close(found, expected, "complex64", factor=2)


@pytest.mark.parametrize(
    ("name", "share_row_bits", "lanes", "gradient"), covering(available_sets(), [None, 5], [2, 3], MODES)
)
def test_phases_of_masks_that_cx_made_of_rows_and_lanes(monkeypatch, name, share_row_bits, lanes, gradient):
    """More masks cross lanes and high rows than there may be small tables: the lanes go with the high rows."""
    monkeypatch.setenv(VARIABLE, name)
    circuit = assemble(12, 12, "angle", {}, "strongly_entangling", {"layers": 2})
    theta, x = random_inputs(circuit, 2)
    strings = some_strings(12)
    engine = CpuEngine(lane_bits=lanes, share_row_bits=share_row_bits)
    found = run(engine, circuit, strings, theta, x, gradient=gradient)
    assert_close(found, by_reference(circuit, strings, theta, x), "complex128")


def phases_of_subsets(n_qubits: int, count: int) -> Circuit:
    """Two diagonals of `count` masks each, of any number of qubits; every fifth has an angle of the sample."""
    gates: list[Gate] = [Gate("ry", (q,), (feature(q),)) for q in range(n_qubits)]
    generator = np.random.default_rng(count)
    for layer in range(2):
        for k, mask in enumerate(generator.choice(np.arange(1, 1 << n_qubits), count, replace=False)):
            qubits = tuple(q for q in range(n_qubits) if mask >> q & 1)
            gates.append(Gate("multi_rz", qubits, (parameter(layer * count + k) if k % 5 else feature(k % n_qubits),)))
        gates += [Gate("rx", (q,), (parameter(2 * count + q),)) for q in range(n_qubits)]
    names = tuple(f"t{k}" for k in range(2 * count + n_qubits))
    return Circuit(n_qubits, tuple(gates), names, n_features=n_qubits)


@pytest.mark.parametrize(
    ("count", "name", "lanes", "tile"), covering([1, 40, 150, 255], available_sets(), [1, 2], [None, 5])
)
def test_tables_of_few_and_of_many_masks(monkeypatch, count, name, lanes, tile):
    """Phases across the lanes, of fewer and of more masks than a block of the table has rows."""
    monkeypatch.setenv(VARIABLE, name)
    circuit = phases_of_subsets(9, count)
    theta, x = random_inputs(circuit, 3)
    strings = some_strings(9)
    expected = by_reference(circuit, strings, theta, x)
    for precision in ("complex64", "complex128"):
        found = run(CpuEngine(tile, lanes), circuit, strings, theta, x, precision=precision)
        assert_close(found, expected, precision, factor=4)


@pytest.mark.parametrize("lanes", [0, 2, 4])
@pytest.mark.parametrize("encoded", [False, True])
@pytest.mark.parametrize("entangler", ["cz", "cx"])
def test_rows_of_tiled_states_lie_scattered(entangler, lanes, encoded):
    """11 qubits in tiles of 4 bits: addresses are mapped (from 2^5 rows on), also those of inputs, strings and bras."""
    circuit = replace(hea(11, 2, entangler), amplitude_encoded=encoded)
    theta, x = random_inputs(circuit, 3)
    initial = random_states(11, 3) if encoded else None
    strings = some_strings(11)
    expected = by_reference(circuit, strings, theta, x, initial)
    for precision in ("complex64", "complex128"):
        found = run(CpuEngine(4, lanes), circuit, strings, theta, x, initial, precision=precision)
        assert_close(found, expected, precision, factor=2)
        tolerance = 1e-4 if precision == "complex64" else 1e-10
        np.testing.assert_allclose(found.initial_BN, expected.initial_BN, rtol=0, atol=tolerance)


@pytest.mark.parametrize("entangler", ["cz", "cx"])
def test_deep_circuits_in_single_precision(entangler):
    circuit = hea(5, 120, entangler)
    theta, x = random_inputs(circuit, 2)
    strings = some_strings(5)
    expected = run(CpuEngine(), circuit, strings, theta, x, precision="complex128")
    for gradient in MODES[:3]:
        found = run(CpuEngine(2), circuit, strings, theta, x, precision="complex64", gradient=gradient)
        assert_close(found, expected, "complex64", factor=4)


def test_real_circuits_without_diagonals_stay_in_range():
    """RY and CX only: scaled rotations would overflow float32 after some tens of layers."""
    n, layers = 6, 150
    gates: list[Gate] = []
    for k in range(layers):
        gates += [Gate("ry", (q,), (parameter(n * k + q),)) for q in range(n)]
        gates += [Gate("cx", (q, q + 1)) for q in range(n - 1)]
    circuit = Circuit(n, tuple(gates), tuple(f"t{i}" for i in range(n * layers)))
    theta = np.random.default_rng(3).uniform(-np.pi, np.pi, n * layers)
    x = np.zeros((2, 0))
    strings = (PauliString(0, 1), PauliString(3, 0))
    expected = run(CpuEngine(), circuit, strings, theta, x, precision="complex128")
    reference = run(ReferenceEngine(), circuit, strings, theta, x)
    assert_close(expected, reference, "complex128", factor=10)
    for tile, lanes in ((None, None), (2, 2), (3, 0)):
        for gradient in MODES[:4]:
            found = run(CpuEngine(tile, lanes), circuit, strings, theta, x, precision="complex64", gradient=gradient)
            assert_close(found, expected, "complex64", factor=10)


def test_what_does_not_fit_is_refused_with_the_numbers():
    with pytest.raises(MemoryLimitError, match="MiB of 1 MiB"):
        CpuEngine().compile(hea(20, 1), (PauliString(0, 1),), options=EngineOptions(memory_bytes=1 << 20))
    program = CpuEngine().compile(hea(10, 1), (PauliString(0, 1),), options=EngineOptions(memory_bytes=1 << 22))
    with pytest.raises(MemoryLimitError, match="smaller chunks"):
        program.begin_step(np.zeros(30)).forward(np.zeros((4096, 10)))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_found(bad):
    circuit = hea(3, 1)
    program = CpuEngine().compile(circuit, (PauliString(0, 1),))
    step, angles = begin(program, circuit, np.zeros(circuit.n_parameters), np.zeros((20, 3)))
    tape = step.forward(angles)
    with pytest.raises(NonFiniteError):
        tape.backward(np.full((20, 1), bad))
    angles[18, 1] = bad
    with pytest.raises(NonFiniteError, match="18"):
        step.forward(angles)
    with pytest.raises(NonFiniteError, match="18"):
        step.expectation_gradient(angles, np.ones(1))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_phases_that_are_not_finite_are_found(bad):
    """Angles of diagonals become integers on the way: NaN must not become a phase like any other."""
    gates = (
        Gate("h", (0,), ()),
        Gate("rz", (0,), (feature(0),)),
        Gate("rz", (0,), (parameter(0),)),
        Gate("h", (0,), ()),
    )
    program = CpuEngine().compile(Circuit(1, gates, ("a",), n_features=1), (PauliString(0, 1),))
    with pytest.raises(NonFiniteError, match="a shared angle"):
        program.begin_step(np.array([bad]))
    step, angles = program.begin_step(np.array([0.3])), np.array([[0.1], [bad]])
    with pytest.raises(NonFiniteError, match="a sample's angle"):
        step.forward(angles)
    with pytest.raises(NonFiniteError, match="a sample's angle"):
        step.expectation_gradient(angles, np.ones(1))
