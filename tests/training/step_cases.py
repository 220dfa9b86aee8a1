"""Trainings of a few steps for both paths: data in memory, models of every registered head, loss and encoding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace

import numpy as np

from qmltrain.circuit.library.assemble import assemble, assemble_observables
from qmltrain.circuit.library.encodings import ENCODINGS
from qmltrain.engines.cpu import CpuEngine
from qmltrain.engines.protocol import EngineOptions, GradientOptions, Planner, Program
from qmltrain.engines.ranks import Ranks
from qmltrain.errors import InputError
from qmltrain.fusion.compile import compile_plan
from qmltrain.registry import call_builder
from qmltrain.training.array_steps import ArraySteps
from qmltrain.training.class_weights import ClassWeighted
from qmltrain.training.gradients import Evaluator
from qmltrain.training.heads import HEADS
from qmltrain.training.input_layers import InputLayers
from qmltrain.training.losses import LOSSES, build_loss
from qmltrain.training.model import AmplitudeOptions, Model
from qmltrain.training.native_recipe import step_recipe
from qmltrain.training.native_steps import NativeSteps
from qmltrain.training.optimizers import OPTIMIZERS
from qmltrain.training.span import Slab, Span, Steps
from qmltrain.training.state import STEP_METRICS, TrainingPlan, TrainingState
from tests.engines.cones.cutting import Cut
from tests.training.head_cases import options_of


@dataclass
class MemoryData:
    """Samples in arrays, in batches of `sizes` samples in order, an epoch; `per_slab` batches come in one piece."""

    x_NF: np.ndarray
    targets_N: np.ndarray
    sizes: list[int]
    per_slab: int = 1 << 30

    @property
    def n_batches(self) -> int:
        return len(self.sizes)

    def _offsets(self) -> np.ndarray:
        return np.cumsum([0, *self.sizes])

    def batches(self, epoch: int, first: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        offsets = self._offsets()
        for k in range(first, self.n_batches):
            rows = slice(offsets[k], offsets[k + 1])
            yield self.x_NF[rows], self.targets_N[rows]

    def slabs(self, epoch: int, first: int) -> Iterator[Slab]:
        offsets = self._offsets()
        for k in range(first, self.n_batches, self.per_slab):
            end = min(k + self.per_slab, self.n_batches)
            yield Slab(
                self.x_NF,
                self.targets_N.astype(float),
                np.arange(len(self.x_NF)),
                offsets[k : end + 1].astype(np.int64),
            )

    def judged(self) -> None:
        return None


AMPLITUDES = tuple(option.name for option in fields(AmplitudeOptions))


class EveryRow:
    """Gradients and parameters of every step."""

    def gradients_of(self, first: int, last: int) -> np.ndarray:
        return np.arange(first, last + 1)

    parameters_of = gradients_of


@dataclass
class StepCase:
    """A small training; see `steps`."""

    n_qubits: int = 3
    encoding: str = "angle"
    encoding_options: dict = field(default_factory=dict)
    ansatz: str = "hea"
    layers: int = 2
    observable: str = "z"
    observable_options: dict = field(default_factory=dict)
    head: str = "linear"
    head_options: dict = field(default_factory=dict)
    loss: str = "cross_entropy"
    loss_options: dict = field(default_factory=dict)
    n_classes: int | None = 3
    class_weights: list[float] | None = None
    optimizer: str = "adam"
    optimizer_options: dict = field(default_factory=dict)
    clip_norm: float | None = None
    frozen: slice | None = None
    sizes: tuple[int, ...] = (21,) * 3
    n_features: int = 3
    dense: tuple[int, ...] = ()  # sizes of layers before the circuit, behind the features
    dense_options: dict = field(default_factory=dict)

    def model(self) -> Model:
        """Raises InputError where head, loss and observables do not go together."""
        options = {"layers": self.layers} if self.ansatz in ("hea", "real_amplitudes") else {}
        n_encoded = self.dense[-1] if self.dense else self.n_features
        circuit = assemble(self.n_qubits, n_encoded, self.encoding, self.encoding_options, self.ansatz, options)
        observables = assemble_observables(self.n_qubits, self.observable, self.observable_options)
        loss = build_loss(self.loss, self.loss_options, self.n_classes, observables.n_observables)
        options = self.head_options or options_of(self.head)[0]
        head = HEADS[self.head](observables.n_observables, loss.n_outputs, **options)
        if self.class_weights is not None:
            loss = ClassWeighted(loss, np.array(self.class_weights))
        taken = {name: self.encoding_options[name] for name in AMPLITUDES if name in self.encoding_options}
        amplitude = AmplitudeOptions(**taken) if self.encoding == "amplitude" else AmplitudeOptions()
        before = InputLayers((self.n_features, *self.dense), **self.dense_options) if self.dense else None
        return Model(circuit, observables, head, loss, amplitude, self.encoding, before)

    def data(self, **options: int) -> MemoryData:
        generator = np.random.default_rng(3)
        n = sum(self.sizes)
        x = generator.uniform(-0.9, 0.9, (n, self.n_features))
        if self.encoding == "basis":
            x = (x > 0).astype(float)
        if not self.encoding_options.get("normalize", True):
            x /= np.linalg.norm(x, axis=1, keepdims=True)
        n_classes = self.n_classes
        targets = generator.normal(size=n) if n_classes is None else generator.integers(0, n_classes, n)
        return MemoryData(x, targets, list(self.sizes), **options)

    def program(
        self,
        model: Model,
        precision: str = "complex128",
        mode: GradientOptions | None = None,
        threads: int = 1,
        cones: int = 0,
        planner: Planner = compile_plan,
        **sizes,
    ) -> Program:
        """`cones`: the circuit cut in so many groups of strings; 0: whole."""
        engine = CpuEngine(**sizes)
        return (Cut(engine, cones) if cones else engine).compile(
            model.measured_circuit,
            model.observables.strings,
            precision,
            mode or GradientOptions(),
            EngineOptions(threads=threads, planner=planner),
        )

    def optimizer_of(self, model: Model):
        return call_builder(OPTIMIZERS, "optimizer", self.optimizer, self.optimizer_options, model.n_parameters)

    def steps(
        self,
        model: Model,
        program: Program,
        native: bool,
        data: MemoryData | None = None,
        ranks: Ranks | None = None,
        **stop,
    ) -> Steps:
        """New ones, at the beginning. `stop`: of `ArraySteps`."""
        frozen_P = None
        if self.frozen is not None:
            frozen_P = np.zeros(model.n_parameters, dtype=bool)
            frozen_P[self.frozen] = True
        plan = TrainingPlan(
            9, 10**6, None, "val/loss", None, self.clip_norm, lambda step: 0.1 / (1 + step), True, frozen_P
        )
        optimizer = self.optimizer_of(model)
        evaluator = Evaluator(model, program, 16, ranks)
        arrays = ArraySteps(evaluator, data or self.data(), optimizer, plan, **stop)
        if not native:
            return arrays
        assert program.training_steps is not None
        recipe = step_recipe(model, optimizer, plan)
        return NativeSteps(program.training_steps(recipe), recipe, arrays, optimizer)


def first_parameters(model: Model) -> np.ndarray:
    return np.random.default_rng(5).uniform(-1.5, 1.5, model.n_parameters)


def encoding_cases() -> list[StepCase]:
    """One for every registered encoding (`python` needs a file: it makes circuits of the same angles)."""
    options = {"pauli_feature_map": {"paulis": ["X", "YZ"]}, "amplitude": {"pad_with": 0.3}}
    features = {"amplitude": 6, "none": 0}
    return [
        StepCase(encoding=name, encoding_options=options.get(name, {}), n_features=features.get(name, 3))
        for name in ENCODINGS
        if name != "python"
    ]


def head_and_loss_cases() -> list[StepCase]:
    """Every registered head with every registered loss for every task that the two take, with and without weights."""
    cases = []
    heads = [(head, options) for head in HEADS for options in options_of(head)]
    for head, head_options in heads:
        for loss in LOSSES:
            for n_classes in (None, 2, 3, 10):
                n_outputs = {"cross_entropy": n_classes or 1, "weighted_fidelity": 3}.get(loss, 1)
                follows = HEADS[head].follows_observables
                if n_outputs > 5 and follows:
                    continue
                observable = {"qubits": list(range(n_outputs))} if follows else {}
                case = StepCase(
                    n_qubits=5, n_features=5, head=head, head_options=head_options, loss=loss, n_classes=n_classes,
                    observable_options=observable, layers=1, loss_options={"delta": 0.4} if loss == "huber" else {},
                )  # fmt: skip
                try:
                    model = case.model()
                except InputError:
                    continue
                cases.append(case)
                if model.loss.n_classes:
                    weights = [0.5 + k for k in range(model.loss.n_classes)]
                    cases.append(StepCase(**{**vars(case), "class_weights": weights}))
    return cases


LOSS, NORM, DRIFT = STEP_METRICS[0], STEP_METRICS[1], STEP_METRICS[3]


def run(steps: Steps, state: TrainingState, most: int = 1) -> Span:
    return steps.run(state, most, 100.0, EveryRow())


def check_equal(case: StepCase, n_steps: int = 10, **program_options) -> None:
    """Step by step from the same state, and ten steps on."""
    model = case.model()
    case = replace(case, sizes=(*case.sizes, *[case.sizes[-1]] * max(0, n_steps - len(case.sizes))))
    program = case.program(model, **program_options)
    theta_P = first_parameters(model)
    arrays, native = case.steps(model, program, False), case.steps(model, program, True)
    at, beside = TrainingState(theta_P), TrainingState(theta_P)
    for step in range(n_steps):
        before = TrainingState(at.theta_P, at.step)
        alone = case.steps(model, program, True)
        alone._optimizer.load_state(arrays.optimizer.state())
        judge, found, also = run(arrays, at), run(alone, before), run(native, beside)
        scale = max(1e-300, float(judge.metrics[NORM][0]))
        np.testing.assert_allclose(found.metrics[LOSS], judge.metrics[LOSS], rtol=1e-12, atol=1e-12)
        assert np.abs(found.gradients_TP - judge.gradients_TP).max() <= 1e-12 * max(1.0, scale), step
        np.testing.assert_allclose(found.metrics[NORM], judge.metrics[NORM], rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(found.layer_norms_TL, judge.layer_norms_TL, rtol=1e-11, atol=1e-12)
        np.testing.assert_allclose(found.loss_sums_T, judge.loss_sums_T, rtol=1e-12, atol=1e-12)
        np.testing.assert_array_equal(found.hits_T, judge.hits_T)
        np.testing.assert_array_equal(found.samples_T, judge.samples_T)
        assert found.metrics["learning_rate"] == judge.metrics["learning_rate"]
        assert np.isnan(found.metrics[DRIFT][0]) == np.isnan(judge.metrics[DRIFT][0])
        assert found.metrics[DRIFT][0] < 1e-12 or np.isnan(judge.metrics[DRIFT][0])
        np.testing.assert_allclose(before.theta_P, at.theta_P, atol=1e-9)
        np.testing.assert_array_equal(found.parameters_TP[0], before.theta_P)
        assert before.step == at.step == step + 1 and also.n_steps == 1
    np.testing.assert_allclose(beside.theta_P, at.theta_P, rtol=1e-9, atol=1e-9)
    for name, array in arrays.optimizer.state().items():
        np.testing.assert_allclose(native._optimizer.state()[name], array, rtol=1e-8, atol=1e-9)


def rows_of(
    case: StepCase,
    spans: list[int],
    *,
    per_slab: int = 1 << 30,
    precision: str = "complex64",
    native: bool = True,
    ranks: Ranks | None = None,
    **options,
):
    """All bytes that steps in such spans give, and the parameters after them."""
    model = case.model()
    program = case.program(model, precision, **options)
    steps = case.steps(model, program, native, case.data(per_slab=per_slab), ranks)
    state = TrainingState(first_parameters(model))
    found: list[list[np.ndarray]] = []
    for most in spans:
        left = most
        while left:
            span = run(steps, state, left)
            left -= span.n_steps
            arrays = [*span.metrics.values(), span.layer_norms_TL, span.gradients_TP, span.parameters_TP]
            found.append([*arrays, span.loss_sums_T, span.hits_T, span.samples_T])
    joined = [np.concatenate(parts).tobytes() for parts in zip(*found, strict=True)]
    return joined, state.theta_P.tobytes()
