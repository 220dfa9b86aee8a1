"""Trainer: the loop over steps and epochs, the best epoch and early stopping; stoppable and resumable at any step.

It knows arrays, an optimiser and two stores given as protocols; no files, no config. Steps and epochs count from 1
as they end. The order of a step is: gradient, update, row of metrics, snapshot where due. Validation is evaluated at
the end of each epoch and alone chooses the best parameters; the test split is not seen here.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from qmltrain.engines.protocol import FloatArray
from qmltrain.errors import NonFiniteError
from qmltrain.training.gradient_norm import clip_by_global_norm, global_norm
from qmltrain.training.gradients import BatchGradient, Evaluator, StepAbandoned
from qmltrain.training.losses import Loss
from qmltrain.training.metrics import evaluate, metric_names
from qmltrain.training.optimizer_protocol import FullBatchOptimizer, Optimizer
from qmltrain.training.progress import Progress, Silent, figure

SNAPSHOT_SECONDS = 30.0  # between two snapshots
STEP_METRICS = ("train/loss", "gradient_norm", "learning_rate", "drift")
_NOT_SHOWN = ("balanced_accuracy", "f1_macro", "roc_auc")  # in an epoch's line; all are in the run file


class Store(Protocol):
    """What the trainer needs of a RunStore."""

    def append_step(
        self,
        step: int,
        metrics: Mapping[str, float],
        layer_norms: Any = None,
        gradient: Any = None,
        parameters: Any = None,
    ) -> None: ...

    def append_epoch(self, epoch: int, step: int, metrics: Mapping[str, float], wall_seconds: float) -> None: ...

    def write_parameters_row(self, step: int, theta: Any) -> None: ...

    def sync(self) -> None: ...


class Data(Protocol):
    """Training batches and what the parameters are judged by, ready for the circuit."""

    n_batches: int

    def batches(self, epoch: int, first: int) -> Iterator[tuple[FloatArray, np.ndarray]]:
        """(features, targets) of the batches `first`, `first` + 1, ... of `epoch` (from 0)."""
        ...

    def judged(self) -> tuple[str, Iterator[tuple[FloatArray, np.ndarray]]] | None:
        """The split that chooses the best parameters and its (features, targets) in chunks: "val", or "train" where
        there is no data and hence nothing to hold out; None where there is none."""
        ...


@dataclass
class TrainingState:
    """Everything a run goes on from. `epoch` counts finished epochs; the data position is step - epoch * n_batches.

    `epoch_losses`, `epoch_hits` and `epoch_samples` accumulate the running epoch's training metrics, `epoch_seconds`
    its wall time, over all sessions that had a part in it. `ending` is the optimiser's word that it is done, `finished`
    why the training is over. `rows_before`: a step's row is of the parameters before its update; runs of earlier
    versions go on with rows of those after it where the optimiser takes the full batch.
    """

    theta_P: FloatArray
    step: int = 0
    epoch: int = 0
    best_theta_P: FloatArray | None = None
    best_value: float | None = None
    best_epoch: int = 0
    stale_epochs: int = 0
    epoch_losses: float = 0.0
    epoch_hits: int = 0
    epoch_samples: int = 0
    epoch_seconds: float = 0.0
    ending: str | None = None
    finished: str | None = None
    rows_before: bool = True

    def arrays(self) -> dict[str, np.ndarray]:
        found = {"theta": self.theta_P}
        if self.best_theta_P is not None:
            found["best_theta"] = self.best_theta_P
        return found

    def scalars(self) -> dict[str, Any]:
        arrays = ("theta_P", "best_theta_P", "step", "epoch")
        return {item.name: getattr(self, item.name) for item in fields(self) if item.name not in arrays}

    @classmethod
    def restore(cls, step: int, epoch: int, arrays: Mapping[str, Any], scalars: Mapping[str, Any]) -> TrainingState:
        best = arrays.get("best_theta")
        scalars = {"rows_before": False, **scalars}
        return cls(np.array(arrays["theta"]), step, epoch, None if best is None else np.array(best), **scalars)


@dataclass(frozen=True)
class TrainingPlan:
    """How long and by what to judge. `total_steps` includes all epochs (`train.max_steps` may cut it). `frozen_P` is
    true where a parameter stays fixed: the optimiser sees a gradient of 0 there, and so does the store."""

    epochs: int
    total_steps: int
    save_every: int | None
    monitor: str
    patience: int | None
    clip_norm: float | None
    learning_rate: Callable[[int], float]
    parameters_each_epoch: bool = True
    frozen_P: NDArray[np.bool_] | None = None


@dataclass
class Trainer:
    """`save(state)` writes a snapshot, `save_best(state)` the best one: every `plan.save_every` steps and at each best
    epoch, or where that is None every `SNAPSHOT_SECONDS`; and at the end. `stop()` is asked between chunks.

    `unscale` brings regression targets back to the units of the data, in which their metrics are given (the loss
    stays that of the scaled targets).
    """

    evaluator: Evaluator
    data: Data
    optimizer: Optimizer | FullBatchOptimizer
    plan: TrainingPlan
    store: Store
    save: Callable[[TrainingState], None]
    save_best: Callable[[TrainingState], None]
    stop: Callable[[], bool] = lambda: False
    progress: Progress = field(default_factory=Silent)
    unscale: Callable[[FloatArray], FloatArray] = lambda targets: targets
    best_waits: bool = False  # the best epoch so far is to be saved with the next snapshot

    def __post_init__(self) -> None:
        self.layer_names, self._groups = self.evaluator.model.layers()
        self._arrived: dict[bytes, BatchGradient] = {}  # of the parameters where the last full-batch step ended
        self._clock = self._saved = time.monotonic()

    def run(self, state: TrainingState) -> TrainingState:
        """Train until the plan, early stopping or the optimiser ends it.

        Raises StepAbandoned when `stop()` says so: `state` is then as after its last whole step, and saved.
        """
        try:
            while state.finished is None:
                between_epochs = state.epoch_samples == 0
                if state.epoch == self.plan.epochs:
                    state.finished = "all epochs done"
                elif state.step == self.plan.total_steps and between_epochs:
                    state.finished = "train.max_steps reached"
                else:
                    self._epoch(state)
            self._save(state)
        except StepAbandoned:
            self._save(state)
            raise
        return state

    def _save(self, state: TrainingState) -> None:
        self._take_time(state)
        if self.best_waits and state.best_epoch:  # first: what a snapshot counts as best is there, whenever killed
            self.save_best(state)
            self.best_waits = False
        self.save(state)
        self._saved = time.monotonic()

    def _take_time(self, state: TrainingState) -> None:
        """Add the wall time since the last call to the running epoch's."""
        now = time.monotonic()
        state.epoch_seconds += now - self._clock
        self._clock = now

    def _epoch(self, state: TrainingState) -> None:
        done = state.step - state.epoch * self.data.n_batches
        if done < self.data.n_batches and state.step < self.plan.total_steps and state.ending is None:
            for features_BF, targets_B in self.data.batches(state.epoch, done):
                self._step(state, features_BF, targets_B)
                if state.step == self.plan.total_steps or state.ending is not None:
                    break
        self._finish_epoch(state)
        if state.ending is not None:
            state.finished = state.ending
        elif self.plan.patience is not None and state.stale_epochs >= self.plan.patience:
            state.finished = f"{self.plan.monitor} did not improve for {state.stale_epochs} epochs"

    def _step(self, state: TrainingState, features_BF: FloatArray, targets_B: np.ndarray) -> None:
        """One update."""
        learning_rate = self.plan.learning_rate(state.step)  # not used by full-batch optimisers
        if isinstance(self.optimizer, FullBatchOptimizer):
            theta_P, result, state.ending = self._full_batch_step(state, self.optimizer, features_BF, targets_B)
            norm = global_norm(result.gradient_P)
        else:
            try:
                result = self._gradient(state.theta_P, features_BF, targets_B, self.stop)
                clipped_P, norm = clip_by_global_norm(result.gradient_P, self.plan.clip_norm)
            except NonFiniteError as error:
                raise NonFiniteError(
                    f"step {state.step + 1}: {error}; lower optimizer.learning_rate or train.initial_scale, or set "
                    "optimizer.clip_norm"
                ) from error
            theta_P = self.optimizer.step(state.theta_P, clipped_P, learning_rate)
            if self.plan.frozen_P is not None:  # weight decay moves parameters without a gradient
                theta_P = np.where(self.plan.frozen_P, state.theta_P, theta_P)
        state.theta_P = theta_P
        state.step += 1
        state.epoch_losses += float(np.sum(result.losses_B))
        state.epoch_samples += len(targets_B)
        loss = self.evaluator.model.loss
        if loss.n_classes is not None:
            state.epoch_hits += int(np.count_nonzero(loss.predict(result.outputs_BC)[0] == targets_B))
        squares = np.bincount(self._groups, result.gradient_P**2, minlength=len(self.layer_names))
        learning_rate = math.nan if isinstance(self.optimizer, FullBatchOptimizer) else learning_rate
        metrics = dict(zip(STEP_METRICS, (result.loss, norm, learning_rate, result.drift), strict=True))
        self.store.append_step(state.step, metrics, np.sqrt(squares), result.gradient_P, theta_P)
        self.progress.step(state.step, {"loss": result.loss})
        every = self.plan.save_every
        if state.step % every == 0 if every else time.monotonic() - self._saved >= SNAPSHOT_SECONDS:
            self._save(state)

    def _gradient(
        self, theta_P: FloatArray, features_BF: FloatArray, targets_B: np.ndarray, stop: Callable[[], bool] | None
    ) -> BatchGradient:
        """Of what is trained: 0 for frozen parameters."""
        result = self.evaluator.gradient(theta_P, features_BF, targets_B, stop)
        if self.plan.frozen_P is None:
            return result
        return replace(result, gradient_P=np.where(self.plan.frozen_P, 0.0, result.gradient_P))

    def _full_batch_step(
        self, state: TrainingState, optimizer: FullBatchOptimizer, features_BF: FloatArray, targets_B: np.ndarray
    ) -> tuple[FloatArray, BatchGradient, str | None]:
        """One iteration of a full-batch optimiser; if it is abandoned its state is as before.

        The optimiser knows loss and gradient of where it stands; the whole result is kept from the last step, and only
        evaluated again where a run goes on.
        """
        before, start = optimizer.state(), state.theta_P.tobytes()
        results = dict(self._arrived)

        def loss_and_gradient(theta_P: FloatArray) -> tuple[float, FloatArray]:
            result = self._gradient(theta_P, features_BF, targets_B, self.stop)
            results[theta_P.tobytes()] = result
            return result.loss, result.gradient_P

        try:
            found = optimizer.step(state.theta_P, loss_and_gradient)
            end = found.parameters_P.tobytes()  # where the iteration began, if it found nothing lower
            row = start if state.rows_before else end
            result = results.get(row) or self._gradient(
                state.theta_P if row == start else found.parameters_P, features_BF, targets_B, self.stop
            )
        except StepAbandoned:
            optimizer.load_state(before)
            raise
        self._arrived = {key: value for key, value in results.items() if key == end}
        return found.parameters_P, result, found.finished

    def _finish_epoch(self, state: TrainingState) -> None:
        """Validation, the epoch's row, the best parameters, early stopping."""
        samples = max(1, state.epoch_samples)
        metrics = {"train/loss": state.epoch_losses / samples}
        loss = self.evaluator.model.loss
        if loss.n_classes is not None:
            metrics["train/accuracy"] = state.epoch_hits / samples
        judged = self.data.judged()
        if judged is not None:
            split, chunks = judged
            outputs_BC, targets_B = self.outputs(state.theta_P, chunks)
            metrics |= split_metrics(loss, split, outputs_BC, targets_B, self.unscale)
        self._take_time(state)
        state.epoch += 1
        self.store.append_epoch(state.epoch, state.step, metrics, state.epoch_seconds)
        state.epoch_losses, state.epoch_hits, state.epoch_samples, state.epoch_seconds = 0.0, 0, 0, 0.0
        if self.plan.parameters_each_epoch:
            self.store.write_parameters_row(state.step, state.theta_P)
        self._judge(state, metrics)
        if judged is not None and judged[0] == "train":
            return  # an epoch is one step, which has a line of its own
        shown = [f"{name} {figure(value)}" for name, value in metrics.items() if not name.endswith(_NOT_SHOWN)]
        width = len(str(self.plan.epochs))
        self.progress.message(f"epoch {state.epoch:>{width}}/{self.plan.epochs}  " + "  ".join(shown))

    def _judge(self, state: TrainingState, metrics: Mapping[str, float]) -> None:
        """Keep the best parameters. Without a validation split the last ones are; NaN is never better than a number."""
        value = metrics.get(self.plan.monitor)
        if value is not None and state.best_value is not None:
            loss, metric = self.evaluator.model.loss, self.plan.monitor.partition("/")[2]
            lower = metric_names(loss.n_classes, loss.supervised)[metric] == "lower"
            improved = value < state.best_value if lower else value > state.best_value
            if not (improved or (math.isnan(state.best_value) and not math.isnan(value))):
                state.stale_epochs += 1
                return
        state.best_value, state.best_epoch, state.stale_epochs = value, state.epoch, 0
        state.best_theta_P = state.theta_P.copy()
        if self.plan.save_every is None:
            self.best_waits = True
        else:
            self.save_best(state)

    def outputs(
        self, theta_P: FloatArray, chunks: Iterator[tuple[FloatArray, np.ndarray]]
    ) -> tuple[FloatArray, np.ndarray]:
        """Head outputs (B, C) and targets (B,) of a split that comes in chunks."""
        found = [
            (self.evaluator.outputs(theta_P, features_bF, self.stop), targets_b) for features_bF, targets_b in chunks
        ]
        outputs, targets = zip(*found, strict=True)
        return np.concatenate(outputs), np.concatenate(targets)


def split_metrics(
    loss: Loss,
    split: str,
    outputs_BC: FloatArray,
    targets_B: np.ndarray,
    unscale: Callable[[FloatArray], FloatArray],
) -> dict[str, float]:
    """Metrics of outputs that are there already."""
    losses_B = loss.value(outputs_BC, targets_B)
    if not loss.supervised:
        return {f"{split}/loss": float(np.mean(losses_B))}
    predictions_B, scores_BC = loss.predict(outputs_BC)
    if loss.n_classes is None:
        predictions_B, targets_B = unscale(predictions_B), unscale(targets_B)
    return evaluate(split, loss.n_classes, losses_B, targets_B, predictions_B, scores_BC)
