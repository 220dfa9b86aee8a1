"""From a Config to the objects a study works with: data, model, engine, program.

Nothing is written here, and everything that can be wrong with a config or its data is found here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from qmltrain.circuit.assemble import assemble, assemble_observables, call_builder, options_with_defaults
from qmltrain.circuit.encodings import ENCODINGS
from qmltrain.config import Config, DatasetConfig, RunConfig
from qmltrain.data.batches import BatchOrder, PreparedData
from qmltrain.data.no_data import NoData
from qmltrain.data.pooling import pooled_size
from qmltrain.data.preprocessing import Preprocessor
from qmltrain.data.protocol import Source
from qmltrain.data.scaling import TargetScaler
from qmltrain.data.sources import build_source, select
from qmltrain.data.splits import Split, split, split_as_given
from qmltrain.engines.checkpointing import gib
from qmltrain.engines.memory import available_bytes
from qmltrain.engines.protocol import EngineOptions, FloatArray, GradientMode, GradientOptions, Program
from qmltrain.engines.selection import Selection, select_engine
from qmltrain.errors import InputError, MemoryLimitError
from qmltrain.training.class_weights import ClassWeighted, class_weights
from qmltrain.training.gradients import Evaluator, chunk_size
from qmltrain.training.heads import HEADS, check_head, observable_range
from qmltrain.training.losses import LOSSES
from qmltrain.training.model import AmplitudeOptions, Model

GIB = 1 << 30
_GENERATOR_COPIES = 4  # of the samples that a generator holds at once: drawn, joined, with noise, shuffled
EVALUATION_ROWS = 4096  # samples whose features are in memory at once where a split is evaluated
PREPROCESS_PREFIX = "preprocess/"
NOT_PROJECTORS = ("z", "parity", "ising", "heisenberg", "maxcut")  # whatever their options
# options of the group `dataset` that say which samples to use, not where they come from
_SELECTION_OPTIONS = ("name", "test_path", "classes", "samples", "validation", "test")


@dataclass(frozen=True)
class Seeds:
    """Independent streams: of the split (and subsample), the first parameters, the order of the samples."""

    split: int
    initial: int
    order: int


@dataclass(frozen=True)
class Problem:
    """Data and model of a config. `n_classes` None: regression."""

    config: Config
    seeds: Seeds
    source: Source
    split: Split
    data: PreparedData
    target_scaler: TargetScaler | None
    n_classes: int | None
    model: Model

    @property
    def has_data(self) -> bool:
        return not isinstance(self.source, NoData)

    def held_out(self) -> list[tuple[str, np.ndarray]]:
        """Names and rows of the splits that are evaluated at the end; without data, of its one evaluation."""
        if not self.has_data:
            return [("train", self.split.train)]
        return [(name, rows) for name, rows in (("val", self.split.validation), ("test", self.split.test)) if len(rows)]

    def preprocessing_state(self) -> dict[str, np.ndarray]:
        """Arrays to store with the run; give them to `build_problem` to get the same preprocessing back."""
        state = self.data.preprocessor.state()
        if self.target_scaler is not None:
            state |= self.target_scaler.state()
        if isinstance(self.model.loss, ClassWeighted):
            state["class_weights"] = self.model.loss.weights_C
        return {PREPROCESS_PREFIX + name: value for name, value in state.items()}

    def stream(self, rows: np.ndarray) -> Iterator[tuple[FloatArray, np.ndarray]]:
        """(features, labels) of `rows` in order, in chunks that fit into memory whatever the data set's size."""
        for batch in self.data.stream(np.split(rows, range(EVALUATION_ROWS, len(rows), EVALUATION_ROWS))):
            yield batch.features_BF, np.asarray(batch.labels)

    def unscale(self, targets: FloatArray) -> FloatArray:
        """Regression targets in the units of the data."""
        return targets if self.target_scaler is None else self.target_scaler.inverse(targets)

    def initial_theta(self) -> FloatArray:
        """The parameters a run starts from."""
        from qmltrain.studies.initial import initial_theta  # which reads other runs, and builds their models with this

        return initial_theta(self.config, self.model, self.seeds.initial)


def derive_seeds(run: RunConfig) -> Seeds:
    """Each seed as given, else an independent one from `run.seed`."""
    given = (run.seed_split, run.seed_initial, run.seed_order)
    derived = (
        int(np.random.SeedSequence(run.seed, spawn_key=(k,)).generate_state(1, np.uint64)[0] >> 1) for k in range(3)
    )
    return Seeds(*(d if g is None else g for g, d in zip(given, derived, strict=True)))


def options(node: Any, *leave_out: str) -> dict[str, Any]:
    """The options of a config group without its name."""
    return {key: value for key, value in dataclasses.asdict(node).items() if key not in ("name", *leave_out)}


def open_source(config: Config, seeds: Seeds) -> Source:
    """The data set of a config, with its classes and subsample chosen."""
    dataset = config.dataset
    check_generated_size(dataset)
    source = build_source(dataset.name, options(dataset, *_SELECTION_OPTIONS), dataset.test_path)
    return select(source, classes=dataset.classes, samples=dataset.samples, seed=seeds.split)


def check_generated_size(dataset: DatasetConfig) -> None:
    """Raise MemoryLimitError, before anything is allocated, for more generated samples than memory holds."""
    if dataset.n_samples is None and dataset.n_features is None:
        return
    n_samples, n_features = dataset.n_samples or 1, dataset.n_features or 2
    needed = 8 * n_samples * (_GENERATOR_COPIES * n_features + 2)  # two columns: labels and the order of the samples
    available = available_bytes()
    if needed > available:
        raise MemoryLimitError(
            f"dataset.n_samples: {n_samples} samples of {n_features} features take about {gib(needed)} to generate, "
            f"of {gib(available)}; choose fewer"
        )


def build_problem(config: Config, stored: Mapping[str, np.ndarray] | None = None) -> Problem:
    """Open the data, fit (or take from `stored`) the preprocessing, build the model. Raises InputError."""
    seeds = derive_seeds(config.run)
    source = open_source(config, seeds)
    labels = source.labels()
    n_classes = len(source.class_names) if source.task == "classification" else None
    parts = split_rows(config, source, seeds)
    own = {k.removeprefix(PREPROCESS_PREFIX): v for k, v in (stored or {}).items() if k.startswith(PREPROCESS_PREFIX)}
    weights_C = own.get("class_weights")
    if config.loss.class_weights is not None and weights_C is None:
        supervised = getattr(LOSSES.get(config.loss.name), "supervised", True)
        weights_C = class_weights(config.loss.class_weights, labels[parts.train], n_classes if supervised else None)
    if own:
        preprocessor = Preprocessor.from_state(own)
    elif isinstance(source, NoData):
        preprocessor = Preprocessor(source.sample_shape, None, None, None, False)
    else:
        preprocessor = Preprocessor.fit(source, parts.train, **options(config.preprocess))
    model = build_model(config, preprocessor.n_features, n_classes, weights_C)
    model.loss.check_targets(labels)
    scaler = None
    if n_classes is None and model.loss.supervised:
        scaler = TargetScaler.from_state(own) if own else TargetScaler.fit(labels.astype(np.float64), parts.train)
    data = PreparedData(source, preprocessor, scaler)
    if not own and model.restricts_features:  # a run that goes on has been through this
        every = np.arange(source.n_samples)
        for batch in data.stream(np.split(every, range(EVALUATION_ROWS, len(every), EVALUATION_ROWS))):
            model.check_features(batch.features_BF, batch.rows)
    return Problem(config, seeds, source, parts, data, scaler, n_classes, model)


def split_rows(config: Config, source: Source, seeds: Seeds) -> Split:
    """Which rows train, validate and test; without data its one row trains."""
    if isinstance(source, NoData):
        nothing = np.empty(0, dtype=np.int64)
        return Split(np.arange(1), nothing, nothing)
    generator = np.random.default_rng(seeds.split)
    fractions = (config.dataset.validation, config.dataset.test)
    if source.parts is not None:
        return split_as_given(source.labels(), source.task, source.parts, *fractions, generator)
    return split(source.labels(), source.task, *fractions, generator)


def build_model(config: Config, n_features: int, n_classes: int | None, weights_C: np.ndarray | None = None) -> Model:
    """Circuit, observables, head and loss, with weights of the classes where given.

    Raises InputError for what does not go together.
    """
    encoding, ansatz, observable = config.encoding, config.ansatz, config.observable
    circuit = assemble(
        config.circuit.n_qubits, n_features, encoding.name, options(encoding), ansatz.name, options(ansatz)
    )
    observables = assemble_observables(config.circuit.n_qubits, observable.name, options(observable))
    head, loss = config.head.name, config.loss.name
    if loss in LOSSES and config.dataset.name == "none" and getattr(LOSSES[loss], "supervised", True):
        raise InputError(
            f"loss.name: {loss} compares with targets, and dataset=none has none; choose loss=expectation or a dataset"
        )
    if loss == "fidelity" and observable.name in NOT_PROJECTORS:
        raise InputError(
            f"loss.name: fidelity is 1 - the expectation of a projector, observable.name={observable.name} is not one; "
            "choose observable=target_state or projector, or loss=expectation"
        )
    n_outputs = check_head(head, loss, observables.n_observables, n_classes, observable_range(observables))
    amplitude = AmplitudeOptions()
    if circuit.amplitude_encoded and encoding.name == "amplitude":
        amplitude = AmplitudeOptions(**options_with_defaults(ENCODINGS, "encoding", "amplitude", options(encoding)))
    built = HEADS[head](observables.n_observables, n_outputs)
    judge = call_builder(LOSSES, "loss", loss, options(config.loss, "class_weights"), n_classes)
    if weights_C is not None:
        judge = ClassWeighted(judge, weights_C)
    return Model(circuit, observables, built, judge, amplitude, encoding.name)


@dataclass(frozen=True)
class Compiled:
    """A model on an engine, with every automatic choice made."""

    selection: Selection
    program: Program
    evaluator: Evaluator

    def choices(self) -> dict[str, Any]:
        """What `auto` became; saved with the run and used again on resume."""
        forecast = self.program.forecast
        return {
            "engine": self.selection.engine.name,
            "engine_description": self.selection.engine.describe(),
            "gradient_mode": forecast.mode,
            "checkpoint_interval": forecast.checkpoint_interval,
            "chunk": self.evaluator.chunk,
        }


def compile_model(config: Config, model: Model, choices: Mapping[str, Any] | None = None) -> Compiled:
    """Choose engine, gradient mode and chunk (or take them from a run's `choices`) and compile.

    Raises MemoryLimitError, before anything is allocated, EngineUnavailableError, InputError.
    """
    engine_config, gradient = config.engine, config.gradient
    name = choices["engine"] if choices else engine_config.name
    selection = select_engine(name)
    if not engine_config.fusion and selection.engine.name != "cuda":
        raise InputError(f"engine.fusion: false is for engine.name=cuda alone, found {selection.engine.name}")
    mode: GradientMode = choices["gradient_mode"] if choices else gradient.mode  # type: ignore[assignment]
    interval = choices["checkpoint_interval"] if choices else gradient.checkpoint_interval
    memory = None if engine_config.memory_gib is None else int(engine_config.memory_gib * GIB)
    program = selection.engine.compile(
        model.measured_circuit,
        model.observables.strings,
        engine_config.precision,  # type: ignore[arg-type]
        GradientOptions(mode, interval),
        EngineOptions(engine_config.threads, memory, engine_config.fusion),
    )
    chunk = chunk_size(program.forecast, len(model.observables.strings))
    return Compiled(selection, program, Evaluator(model, program, chunk))


class TrainingData:
    """Batches of a Problem as the Trainer takes them; `full_batch` makes one batch of the whole training split."""

    def __init__(self, problem: Problem, full_batch: bool) -> None:
        self.problem = problem
        rows = problem.split.train
        size = len(rows) if full_batch or not problem.has_data else problem.config.train.batch_size
        self.order = BatchOrder(rows, size, problem.seeds.order)
        self.n_batches = self.order.n_batches
        self._full_batch = full_batch

    def batches(self, epoch: int, first: int) -> Iterator[tuple[FloatArray, np.ndarray]]:
        rows = [self.problem.split.train] if self._full_batch else self.order.batches(epoch)
        for batch in self.problem.data.stream(rows[first:]):
            yield batch.features_BF, batch.labels

    def judged(self) -> tuple[str, Iterator[tuple[FloatArray, np.ndarray]]] | None:
        if not self.problem.has_data:
            return "train", self.problem.stream(self.problem.split.train)
        rows = self.problem.split.validation
        return ("val", self.problem.stream(rows)) if len(rows) else None


def build_source_shape(config: Config) -> tuple[int, int | None]:
    """(features, classes or None) that a config's data gives the circuit; fits no preprocessing."""
    source = open_source(config, derive_seeds(config.run))
    n_classes = len(source.class_names) if source.task == "classification" else None
    if isinstance(source, NoData):
        return 0, None
    if config.preprocess.pca is not None:
        return config.preprocess.pca, n_classes
    resize = config.preprocess.resize
    shape = (
        source.sample_shape if resize is None else (*pooled_size(resize, source.sample_shape), *source.sample_shape[2:])
    )
    return int(np.prod(shape)), n_classes
