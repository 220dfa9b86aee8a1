"""Problem: the data of a config, preprocessed and split, and the model that is trained on it.

Nothing is written here, and everything that can be wrong with a config and its data is found here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from qmltrain.config.schema import Config
from qmltrain.data.batches import Batch, BatchOrder, PreparedData, Share
from qmltrain.data.no_data import NoData
from qmltrain.data.preprocessing import Preprocessor
from qmltrain.data.protocol import Source
from qmltrain.data.scaling import TargetScaler
from qmltrain.data.splits import Split
from qmltrain.engines.protocol import FloatArray
from qmltrain.models.build import build_model, group_options
from qmltrain.models.source import Seeds, derive_seeds, open_source, split_rows
from qmltrain.models.stored import PREPROCESS_PREFIX
from qmltrain.registry import call_builder
from qmltrain.training.class_weights import ClassWeighted, class_weights
from qmltrain.training.losses import LOSSES
from qmltrain.training.model import Model
from qmltrain.training.optimizers import OPTIMIZERS
from qmltrain.training.span import Slab

SLAB_BYTES = 2 << 20  # of features that are read together where they are not in memory
EVALUATION_ROWS = 4096  # samples whose features are in memory at once where a split is evaluated


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

    @property
    def samples_of_step(self) -> int:
        """Samples that the optimiser takes at a time: all of the training split where it takes the full batch."""
        optimizer = call_builder(OPTIMIZERS, "optimizer", self.config.optimizer.name, {}, 1)
        every = optimizer.full_batch or not self.has_data
        return len(self.split.train) if every else min(self.config.train.batch_size, len(self.split.train))

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

    def stream(self, rows: np.ndarray, share: Share | None = None) -> Iterator[tuple[FloatArray, np.ndarray]]:
        """(features, labels) of `rows` in order, in chunks that fit into memory whatever the data set's size. `share`:
        of each chunk, see `PreparedData.stream`."""
        chunks = [rows[i : i + EVALUATION_ROWS] for i in range(0, max(1, len(rows)), EVALUATION_ROWS)]
        for batch in self.data.stream(chunks, share):
            yield batch.features_BF, np.asarray(batch.labels)

    def unscale(self, targets: FloatArray) -> FloatArray:
        """Regression targets in the units of the data."""
        return targets if self.target_scaler is None else self.target_scaler.inverse(targets)


def build_problem(config: Config, stored: Mapping[str, np.ndarray] | None = None) -> Problem:
    """Open the data, fit (or take from `stored`) the preprocessing, build the model. Raises InputError."""
    seeds = derive_seeds(config.run)
    source = open_source(config, seeds)
    labels = source.labels()
    n_classes = len(source.info.class_names) if source.info.task == "classification" else None
    parts = split_rows(config, source, seeds)
    own = {k.removeprefix(PREPROCESS_PREFIX): v for k, v in (stored or {}).items() if k.startswith(PREPROCESS_PREFIX)}
    weights_C = own.get("class_weights")
    if config.loss.class_weights is not None and weights_C is None:
        supervised = getattr(LOSSES.get(config.loss.name), "supervised", True)
        weights_C = class_weights(config.loss.class_weights, labels[parts.train], n_classes if supervised else None)
    if own:
        preprocessor = Preprocessor.from_state(own)
    elif isinstance(source, NoData):
        preprocessor = Preprocessor(source.info.sample_shape)
    else:
        preprocessor = Preprocessor.fit(source, parts.train, **group_options(config.preprocess))
    model = build_model(config, preprocessor.n_features, n_classes, weights_C)
    model.loss.check_targets(labels)
    scaler = None
    if n_classes is None and model.loss.supervised:
        scaler = TargetScaler.from_state(own) if own else TargetScaler.fit(labels.astype(np.float64), parts.train)
    data = PreparedData(source, preprocessor, scaler)
    if not own and model.restricts_features:  # a run that goes on has been through this
        every = np.arange(source.info.n_samples)
        for batch in data.stream(np.split(every, range(EVALUATION_ROWS, len(every), EVALUATION_ROWS))):
            model.check_features(batch.features_BF, batch.rows)
    return Problem(config, seeds, source, parts, data, scaler, n_classes, model)


class TrainingData:
    """Batches of a Problem as the Trainer takes them; `full_batch` makes one batch of the whole training split.

    Of a batch, and of a chunk that is judged, the samples `step_share` and `judged_share` are read; None: all.
    """

    step_share: Share | None = None
    judged_share: Share | None = None

    def __init__(self, problem: Problem, full_batch: bool) -> None:
        self.problem = problem
        rows = problem.split.train
        size = len(rows) if full_batch or not problem.has_data else problem.config.train.batch_size
        self.order = BatchOrder(rows, size, problem.seeds.order, problem.config.train.replacement)
        self.n_batches = self.order.n_batches
        self._full_batch = full_batch
        self._targets: FloatArray | None = None  # of all samples, as numbers

    def batches(self, epoch: int, first: int) -> Iterator[tuple[FloatArray, np.ndarray]]:
        rows = [self.problem.split.train] if self._full_batch else self.order.batches(epoch)
        for batch in self.problem.data.stream(rows[first:], self.step_share):
            yield batch.features_BF, batch.labels

    def slabs(self, epoch: int, first: int) -> Iterator[Slab]:
        """All that is left of the epoch where the features are in memory, else `SLAB_BYTES` at a time."""
        whole = self.problem.data.whole()
        if whole is not None:
            if self._targets is None:
                self._targets = np.asarray(whole[1], dtype=np.float64)
            shuffled = self.problem.split.train if self._full_batch else self.order.shuffled(epoch)
            yield Slab(whole[0], self._targets, np.asarray(shuffled, dtype=np.int64), self.order.offsets[first:])
            return
        rows = [self.problem.split.train] if self._full_batch else self.order.batches(epoch)
        batches: list[Batch] = []
        for batch in self.problem.data.stream(rows[first:], self.step_share):
            batches.append(batch)
            if sum(part.features_BF.nbytes for part in batches) >= SLAB_BYTES:
                yield _slab(batches)
                batches = []
        if batches:
            yield _slab(batches)

    def judged(self) -> tuple[str, Iterator[tuple[FloatArray, np.ndarray]]] | None:
        if not self.problem.has_data:
            return "train", self.problem.stream(self.problem.split.train, self.judged_share)
        rows = self.problem.split.validation
        return ("val", self.problem.stream(rows, self.judged_share)) if len(rows) else None


def _slab(batches: list[Batch]) -> Slab:
    features_NF = np.concatenate([batch.features_BF for batch in batches])
    targets_N = np.concatenate([np.asarray(batch.labels, dtype=np.float64) for batch in batches])
    offsets_T1 = np.cumsum([0] + [len(batch.rows) for batch in batches])
    return Slab(features_NF, targets_N, np.arange(len(targets_N)), offsets_T1)
