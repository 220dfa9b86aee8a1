"""Stretches of shared gates as matrices, in native steps and evaluations: against the reference and array steps."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmltrain.circuit.circuit import Circuit
from qmltrain.circuit.observables import PauliString, from_sums
from qmltrain.engines.cpu import CpuEngine, unavailable_reason
from qmltrain.engines.cpu.extension import VARIABLE
from qmltrain.engines.protocol import EngineOptions, GradientOptions
from qmltrain.engines.reference import ReferenceEngine
from qmltrain.fusion.compile import compile_plan
from qmltrain.fusion.passes import Rotations
from qmltrain.fusion.plan import SharedBlock
from qmltrain.fusion.stretches import shared_stretches, whole_pass
from qmltrain.training.heads import HEADS
from qmltrain.training.input_layers import InputLayers
from qmltrain.training.losses import MeanSquaredError
from qmltrain.training.model import AmplitudeOptions, Model
from qmltrain.training.state import TrainingState
from tests.circuit.strategies import circuits
from tests.engines.comparison import TOLERANCE, begin
from tests.engines.cpu.layouts import available_sets
from tests.examples import examples
from tests.fusion.reductions.merged_plans import dense_runs, merged
from tests.pairwise import covering
from tests.training.step_cases import LOSS, StepCase, check_equal, encoding_cases, first_parameters, rows_of, run

pytestmark = pytest.mark.skipif(unavailable_reason() is not None, reason="no C++ extension")


@dataclass(frozen=True)
class Blocks:
    """A planner that makes matrices of the stretches of at least `fewest` operations, or of a part of each: without
    `off` moments at its beginning and end. Rotations and the diagonal after them, which takes their v_z, stay
    together. `merges`: of a plan whose gate runs with per-sample angles are merged."""

    fewest: int = 1
    off: int = 0
    merges: bool = False

    def __call__(self, circuit, strings):
        plan = merged(circuit, strings) if self.merges else compile_plan(circuit, strings)
        operations, chosen = whole_pass(plan).operations, []
        for first, last in shared_stretches(plan):
            starts = [k for k in range(first + 1, last) if isinstance(operations[k], Rotations)]
            if self.off and len(starts) > 2 * self.off:
                first, last = starts[self.off - 1], starts[-self.off]
            if last - first >= self.fewest:
                chosen.append(SharedBlock(first, last, 1.0))
        return replace(plan, shared_blocks=tuple(chosen))


def strings_of(n: int) -> tuple[PauliString, ...]:
    full = (1 << n) - 1
    return tuple(dict.fromkeys([PauliString(0, 1), PauliString(0, full), PauliString(full, 1), PauliString(1, full)]))


@dataclass
class CircuitCase(StepCase):
    circuit: Circuit | None = None
    diagonal: bool = False  # strings of Z alone: a last diagonal does nothing

    def model(self) -> Model:
        strings = [one for one in strings_of(self.circuit.n_qubits) if not (self.diagonal and one.x_mask)]
        observables = from_sums([(f"o{k}", [(1.0 - 0.3 * k, one)]) for k, one in enumerate(strings)])
        head = HEADS["linear"](observables.n_observables, 1)
        name = "amplitude" if self.circuit.amplitude_encoded else "angle"
        before = InputLayers((self.n_features, *self.dense), activation="tanh") if self.dense else None
        return Model(self.circuit, observables, head, MeanSquaredError(None), AmplitudeOptions(0.3, True), name, before)


def reference_step(case: StepCase, model: Model):
    program = ReferenceEngine().compile(model.measured_circuit, model.observables.strings, "complex128")
    return run(case.steps(model, program, False), TrainingState(first_parameters(model)))


def native_step(case: StepCase, model: Model, **options):
    program = case.program(model, **options)
    return run(case.steps(model, program, True), TrainingState(first_parameters(model)))


@settings(max_examples=examples(120), deadline=None)
@given(
    circuits(1, 5, 24) | circuits(2, 4, 20, amplitude_encoded=True) | dense_runs(4, 3),
    st.sampled_from([Blocks(), Blocks(1, 1), Blocks(3), Blocks(1, 0, True), Blocks(1, 1, True)]),
    st.sampled_from([1, 3, 16, 17, 40]),
    st.sampled_from(["complex64", "complex128"]),
    st.sampled_from([GradientOptions(), GradientOptions("reversible"), GradientOptions("checkpoint", 2)]),
    st.booleans(),
)
def test_random_circuits_agree_with_the_reference(circuit, blocks, batch, precision, mode, diagonal):
    case = CircuitCase(circuit=circuit, sizes=(batch,), n_classes=None, diagonal=diagonal)
    model = case.model()
    expected = reference_step(case, model)
    found = native_step(case, model, precision=precision, mode=mode, planner=blocks)
    tolerance = 20 * TOLERANCE[precision]
    scale = max(1.0, float(np.abs(expected.gradients_TP).max()))
    np.testing.assert_allclose(found.metrics[LOSS], expected.metrics[LOSS], rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(found.gradients_TP, expected.gradients_TP, rtol=0, atol=tolerance * scale)


@settings(max_examples=examples(40), deadline=None)
@given(
    circuits(2, 4, 20, amplitude_encoded=True),
    st.sampled_from([compile_plan, Blocks(), Blocks(1, 1), Blocks(3)]),
    st.sampled_from([1, 3, 17]),
    st.sampled_from([GradientOptions(), GradientOptions("reversible"), GradientOptions("checkpoint", 2)]),
    st.sampled_from([None, 1]),
)
def test_the_bra_goes_back_to_amplitudes_that_layers_make(circuit, blocks, batch, mode, lane_bits):
    """Through all blocks, and what lies before the first; beside angles of samples."""
    case = CircuitCase(circuit=circuit, sizes=(batch,), n_classes=None, n_features=5, dense=(circuit.n_features,))
    model = case.model()
    expected = reference_step(case, model)
    found = native_step(case, model, mode=mode, planner=blocks, lane_bits=lane_bits)
    scale = max(1.0, float(np.abs(expected.gradients_TP).max()))
    np.testing.assert_allclose(found.metrics[LOSS], expected.metrics[LOSS], rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(found.gradients_TP, expected.gradients_TP, rtol=0, atol=1e-11 * scale)


@settings(max_examples=examples(60), deadline=None)
@given(
    circuits(1, 6, 24) | dense_runs(4, 3),
    st.sampled_from([Blocks(), Blocks(1, 1), Blocks(1, 0, True)]),
    st.sampled_from([1, 15, 33]),
)
def test_evaluations_agree_with_the_reference(circuit, blocks, batch):
    strings = strings_of(circuit.n_qubits)
    generator = np.random.default_rng(1)
    theta = generator.uniform(-3, 3, circuit.n_parameters)
    x = generator.uniform(-0.9, 0.9, (batch, circuit.n_features))
    found = []
    for engine, planner in ((ReferenceEngine(), compile_plan), (CpuEngine(), blocks)):
        program = engine.compile(circuit, strings, "complex128", options=EngineOptions(threads=2, planner=planner))
        step, per_sample = begin(program, circuit, theta, x)
        step.chunk(lambda tape: (tape.expectations_BM,), per_sample, None, (), backward=False)
        found.append(step.results()[0][0])
    np.testing.assert_allclose(found[1], found[0], rtol=0, atol=1e-10)


TRAINABLE = [
    StepCase(encoding="reuploading", encoding_options={"trainable": kind, "repeats": 3}, n_qubits=n, sizes=(37,) * 2)
    for kind in ("weights", "weights_and_biases")
    for n in (3, 4)
]


@pytest.mark.parametrize("case", [*encoding_cases(), *TRAINABLE], ids=lambda case: f"{case.encoding}-{case.n_qubits}")
@pytest.mark.parametrize("blocks", [Blocks(), Blocks(1, 1), Blocks(1, 0, True)])
def test_native_steps_of_every_encoding_equal_array_steps(case: StepCase, blocks: Blocks) -> None:
    check_equal(replace(case, layers=3, sizes=(37, 16, 21)), 3, planner=blocks)


@pytest.mark.parametrize(
    ("n_qubits", "trainable", "name", "precision"),
    covering(range(1, 9), ("none", "weights"), available_sets(), ("complex64", "complex128")),
)
def test_sizes_on_each_instruction_set(monkeypatch, n_qubits: int, trainable: str, name: str, precision: str) -> None:
    """Complex states before the matrix, too, and gradients before it."""
    monkeypatch.setenv(VARIABLE, name)
    options = {"trainable": trainable, "repeats": 1 if trainable == "none" else 2}
    case = StepCase(
        n_qubits=n_qubits, n_features=n_qubits, layers=6, sizes=([70, 33, 17][n_qubits % 3],), n_classes=2,
        encoding="reuploading", encoding_options=options, observable_options={"qubits": [0]},
    )  # fmt: skip
    model = case.model()
    expected = run(case.steps(model, case.program(model, "complex128"), False), TrainingState(first_parameters(model)))
    found = native_step(case, model, precision=precision, planner=Blocks())
    tolerance = 2e-6 if precision == "complex64" else 1e-12
    np.testing.assert_allclose(found.gradients_TP, expected.gradients_TP, rtol=0, atol=tolerance)
    np.testing.assert_allclose(found.metrics[LOSS], expected.metrics[LOSS], rtol=0, atol=tolerance)


CUT = [
    StepCase(n_qubits=4, n_features=4, layers=6, sizes=(300, 300, 7) * 4),
    StepCase(encoding="reuploading", encoding_options={"trainable": "weights"}, layers=3, sizes=(97,) * 12),
    StepCase(encoding="amplitude", n_features=6, n_qubits=3, layers=5, sizes=(33,) * 12),
    StepCase(encoding="iqp", n_qubits=6, n_features=6, layers=4, sizes=(131,) * 12),
]


@pytest.mark.parametrize("case", CUT, ids=lambda case: case.encoding)
@pytest.mark.parametrize("precision", ["complex64", "complex128"])
def test_threads_and_spans_change_no_bit(case: StepCase, precision: str) -> None:
    one = rows_of(case, [12], precision=precision, planner=Blocks())
    for threads in (2, 3, 5):
        assert rows_of(case, [12], precision=precision, planner=Blocks(), threads=threads) == one
    for spans, per_slab in (([1] * 12, 12), ([5, 7], 4)):
        assert rows_of(case, spans, per_slab=per_slab, precision=precision, planner=Blocks()) == one


@pytest.mark.parametrize("mode", [GradientOptions(), GradientOptions("reversible"), GradientOptions("checkpoint", 2)])
def test_chunks_change_no_bit_of_an_evaluation(mode: GradientOptions) -> None:
    case = StepCase(encoding="reuploading", layers=3)
    model = case.model()
    program = case.program(model, "complex64", mode, 3, planner=Blocks())
    theta_P = first_parameters(model)[: model.circuit.n_parameters]
    x = np.random.default_rng(0).uniform(-1, 1, (100, 3))

    def expectations(sizes: list[int]) -> bytes:
        step, per_sample = begin(program, model.measured_circuit, theta_P, x)
        for part in np.split(per_sample, np.cumsum(sizes)[:-1]):
            step.chunk(lambda tape: (tape.expectations_BM,), part, None, (), backward=False)
        return b"".join(found.tobytes() for (found,) in step.results())

    assert expectations([100]) == expectations([16, 32, 48, 4]) == expectations([96, 4])


def test_states_of_columns_that_are_made_again() -> None:
    """More than stay near the caches."""
    case = StepCase(n_qubits=8, n_features=8, layers=14, sizes=(40,) * 2)
    check_equal(case, 2, planner=Blocks(), threads=2)


def test_they_are_used() -> None:
    """Bits of single precision differ from those of the gates; without blocks there is no matrix at all."""
    case = StepCase(layers=12, sizes=(256,) * 2)
    model = case.model()
    found: dict[str, bytes] = {}
    for name, planner in {"blocks": Blocks(), "none": Blocks(10**6), "own rule": compile_plan}.items():
        program = case.program(model, "complex64", planner=planner)
        steps = case.steps(model, program, True)
        assert steps._steps.as_matrix(256) == (name != "none")
        found[name] = rows_of(case, [2], planner=planner)[1]
    assert len(set(found.values())) == 3
