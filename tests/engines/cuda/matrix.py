"""What the CUDA engine must do on any device: the matrix of circuits, precisions and gradient modes, judged by the
reference. `test_emulated` runs it on the CPU, `test_gpu` on a GPU."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qmltrain.circuit.observables import PauliString
from qmltrain.engines.cuda import CudaEngine
from qmltrain.engines.protocol import EngineOptions, GradientOptions
from qmltrain.engines.reference import ReferenceEngine
from tests.circuit.strategies import circuits, random_inputs, random_states
from tests.engines.cases import hea
from tests.engines.comparison import assert_close, assert_same_states, begin, random_cotangents, run, states
from tests.examples import examples

MODES = [
    GradientOptions("reversible"),
    GradientOptions("reversible", 2),
    GradientOptions("checkpoint", 1),
    GradientOptions("checkpoint", 3),
    GradientOptions("checkpoint"),
]
SMALL = (6, 2)  # tile bits and low bits such that 7 qubits are tiled


def some_strings(n_qubits: int) -> tuple[PauliString, ...]:
    """Diagonal and not, one Y, two flips of all qubits, the identity."""
    full = (1 << n_qubits) - 1
    found = {PauliString(0, 1), PauliString(0, full), PauliString(1, 0), PauliString(full, 1), PauliString(1, full)}
    return tuple(sorted({*found, PauliString(0, 0)}, key=lambda s: (s.z_mask, s.x_mask)))


def shapes() -> list:
    """Circuits of one tile and of several, with CZ and CX taking turns; the other one of each in the long set."""
    sizes = [(9, None), (10, None), (11, None), (12, None), (13, None), (14, (12, 3))]
    sizes += [(9, (6, 2)), (10, (6, 3)), (10, (9, 3))]
    return [
        pytest.param(n_qubits, tile, entangler, marks=() if number % 2 == turn else pytest.mark.slow)
        for number, (n_qubits, tile) in enumerate(sizes)
        for turn, entangler in enumerate(("cz", "cx"))
    ]


class EngineMatrix:
    """A subclass says what `engine` is; `tile` overrides tile and low bits."""

    def engine(self, tile: tuple[int, int] | None = None) -> CudaEngine:
        raise NotImplementedError

    @settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.differing_executors])
    @given(circuits(min_qubits=1, max_qubits=5, max_gates=14), st.sampled_from(MODES), st.sampled_from([1, 3, 17, 35]))
    def test_resident_circuits_agree_with_the_reference(self, circuit, gradient, batch):
        theta, x = random_inputs(circuit, batch)
        strings = some_strings(circuit.n_qubits)
        expected = run(ReferenceEngine(), circuit, strings, theta, x)
        found = run(self.engine(), circuit, strings, theta, x, gradient=gradient)
        assert_close(found, expected, "complex128")
        overlap = np.abs(np.sum(found.initial_BN.conj() * expected.initial_BN, axis=1))
        norms = np.linalg.norm(expected.initial_BN, axis=1) * np.linalg.norm(found.initial_BN, axis=1)
        np.testing.assert_allclose(overlap, norms, atol=1e-9)

    @settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.differing_executors])
    @given(circuits(min_qubits=7, max_qubits=8, max_gates=24), st.sampled_from(MODES), st.sampled_from([1, 3]))
    def test_tiled_circuits_agree_with_the_reference(self, circuit, gradient, batch):
        theta, x = random_inputs(circuit, batch)
        strings = some_strings(circuit.n_qubits)
        expected = run(ReferenceEngine(), circuit, strings, theta, x)
        found = run(self.engine(SMALL), circuit, strings, theta, x, gradient=gradient)
        assert_close(found, expected, "complex128")

    @settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.differing_executors])
    @given(circuits(min_qubits=1, max_qubits=7, max_gates=14), st.booleans())
    def test_single_precision(self, circuit, tiled):
        theta, x = random_inputs(circuit, 3)
        strings = some_strings(circuit.n_qubits)
        expected = run(ReferenceEngine(), circuit, strings, theta, x)
        found = run(self.engine(SMALL if tiled else None), circuit, strings, theta, x, precision="complex64")
        assert found.initial_BN.dtype == np.complex64
        assert_close(found, expected, "complex64")

    @settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.differing_executors])
    @given(circuits(min_qubits=1, max_qubits=5, max_gates=12), st.sampled_from(MODES))
    def test_one_launch_a_gate(self, circuit, gradient):
        theta, x = random_inputs(circuit, 3)
        strings = some_strings(circuit.n_qubits)
        expected = run(ReferenceEngine(), circuit, strings, theta, x)
        found = run(
            self.engine(), circuit, strings, theta, x, gradient=gradient, engine_options=EngineOptions(fusion=False)
        )
        assert_close(found, expected, "complex128")

    @settings(max_examples=examples(20), deadline=None, suppress_health_check=[HealthCheck.differing_executors])
    @given(circuits(min_qubits=1, max_qubits=7, max_gates=12, amplitude_encoded=True), st.booleans(), st.booleans())
    def test_amplitude_encoded_states(self, circuit, tiled, fusion):
        theta, x = random_inputs(circuit, 3)
        initial = random_states(circuit.n_qubits, 3)
        strings = some_strings(circuit.n_qubits)
        expected = run(ReferenceEngine(), circuit, strings, theta, x, initial)
        options = EngineOptions(fusion=fusion)
        found = run(self.engine(SMALL if tiled else None), circuit, strings, theta, x, initial, engine_options=options)
        assert_close(found, expected, "complex128")

    @settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.differing_executors])
    @given(
        circuits(min_qubits=1, max_qubits=8, max_gates=20),
        st.booleans(),
        st.booleans(),
        st.sampled_from([1, 3, 17, 35]),
        st.sampled_from(["complex64", "complex128"]),
    )
    def test_states(self, circuit, tiled, fusion, batch, precision):
        theta, x = random_inputs(circuit, batch)
        expected = states(ReferenceEngine(), circuit, theta, x)
        found = states(self.engine(SMALL if tiled else None), circuit, theta, x, None, precision, fusion=fusion)
        assert found.dtype == np.dtype(precision)
        assert_same_states(found, expected, precision)

    @pytest.mark.parametrize("entangler", ["cz", "cx"])
    def test_states_of_packed_samples_and_permuted_places(self, entangler):
        for n_qubits, tile in ((3, None), (9, (6, 2)), (10, (6, 3))):
            circuit = hea(n_qubits, 4, entangler)
            theta, x = random_inputs(circuit, 5)
            expected = states(ReferenceEngine(), circuit, theta, x)
            assert_same_states(states(self.engine(tile), circuit, theta, x), expected)

    @pytest.mark.parametrize(("n_qubits", "tile", "entangler"), shapes())
    def test_hardware_efficient_ansatz(self, n_qubits, tile, entangler):
        circuit = hea(n_qubits, 4 if n_qubits < 11 else 2, entangler)
        theta, x = random_inputs(circuit, 2)
        strings = some_strings(n_qubits)
        expected = run(ReferenceEngine(), circuit, strings, theta, x)
        found = run(self.engine(tile), circuit, strings, theta, x, precision="complex64")
        assert_close(found, expected, "complex64")

    def test_a_deep_circuit_drifts_within_the_tolerance(self):
        circuit = hea(4, 300)
        theta, x = random_inputs(circuit, 5)
        strings = some_strings(4)
        expected = run(ReferenceEngine(), circuit, strings, theta, x)
        found = run(self.engine(), circuit, strings, theta, x, precision="complex64")
        assert_close(found, expected, "complex64", factor=4)
        kept = run(
            self.engine(), circuit, strings, theta, x, precision="complex64", gradient=GradientOptions("reversible", 50)
        )
        assert found.drift > 0 and np.isnan(kept.drift)

    @pytest.mark.parametrize("tile", [None, SMALL])
    @pytest.mark.parametrize("batch", [1, 15, 16, 17, 33])
    def test_block_sums_are_sums_of_sixteen(self, batch, tile):
        circuit = hea(7 if tile else 3, 2)
        theta, x = random_inputs(circuit, batch)
        program = self.engine(tile).compile(circuit, (PauliString(0, 1),), "complex64")
        step, per_sample = begin(program, circuit, theta, x)
        cotangent = random_cotangents(batch, 1)
        whole = step.forward(per_sample).backward(cotangent).block_sums_GR
        assert len(whole) == -(-batch // 16)
        for block in range(len(whole)):
            rows = slice(16 * block, 16 * block + 16)
            part = step.forward(per_sample[rows]).backward(cotangent[rows])
            np.testing.assert_array_equal(part.block_sums_GR[0], whole[block])
