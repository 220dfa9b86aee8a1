"""Trainer: the loop over steps and epochs, the best epoch and early stopping; stoppable and resumable at any step.

It knows arrays, what runs steps, and two stores given as protocols; no files, no config. Steps and epochs count from 1
as they end. The order of a span of steps is: the steps, their rows, a snapshot where due. Validation is evaluated at
the end of each epoch and alone chooses the best parameters; the test split is not seen here.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from qmltrain.engines.protocol import FloatArray
from qmltrain.training.flat_loss import first_flat, recent
from qmltrain.training.gradients import Evaluator, StepAbandoned
from qmltrain.training.loss_protocol import Loss
from qmltrain.training.metrics import evaluate, metric_names
from qmltrain.training.progress import Progress, Silent, figure
from qmltrain.training.span import Data, Span, StepRows, Steps
from qmltrain.training.state import TrainingPlan, TrainingState

SNAPSHOT_SECONDS = 30.0  # between two snapshots
SPAN_SECONDS = 0.25  # of a span, and of rows that wait to be written: what a kill loses at most
_NOT_SHOWN = ("balanced_accuracy", "f1_macro", "roc_auc")  # in an epoch's line; all are in the run file

OnEpoch = Callable[[TrainingState, Mapping[str, float]], str | None]


class Store(StepRows, Protocol):
    """What the trainer needs of a RunStore."""

    def append_steps(
        self,
        first: int,
        metrics: Mapping[str, Any],
        layer_norms: Any = None,
        gradients: Any = None,
        parameters: Any = None,
    ) -> None: ...

    def append_epoch(self, epoch: int, step: int, metrics: Mapping[str, float], wall_seconds: float) -> None: ...

    def write_parameters_row(self, step: int, theta: Any) -> None: ...

    def flush(self) -> None: ...

    def sync(self) -> None: ...


@dataclass
class Trainer:
    """`save(state)` writes a snapshot, `save_best(state)` the best one: every `plan.save_every` steps and at each best
    epoch, or where that is None every `SNAPSHOT_SECONDS`; and at the end. `stop()` is asked while splits are evaluated.
    `on_epoch` are called in turn with the state and the metrics of each finished epoch; one that gives a text ends the
    training for that reason.

    `unscale` brings regression targets back to the units of the data, in which their metrics are given (the loss
    stays that of the scaled targets).
    """

    evaluator: Evaluator
    data: Data
    steps: Steps
    plan: TrainingPlan
    store: Store
    save: Callable[[TrainingState], None]
    save_best: Callable[[TrainingState], None]
    stop: Callable[[], bool] = lambda: False
    progress: Progress = field(default_factory=Silent)
    unscale: Callable[[FloatArray], FloatArray] = lambda targets: targets
    on_epoch: Sequence[OnEpoch] = ()
    best_waits: bool = False  # the best epoch so far is to be saved with the next snapshot

    def __post_init__(self) -> None:
        self._clock = self._saved = self._written = time.monotonic()
        self._judging_seconds = math.inf  # that the last evaluation of the split that judges took
        self._step_seconds = 0.0  # that a step takes, of the longest ones of late

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
        finally:
            self.progress.flush()
        return state

    def _save(self, state: TrainingState) -> None:
        self._write_rows()
        self._take_time(state)
        if self.best_waits and state.best_epoch:  # first: what a snapshot counts as best is there, whenever killed
            self.save_best(state)
            self.best_waits = False
        self.save(state)
        self._saved = time.monotonic()

    def _write_rows(self) -> None:
        """The rows that wait, and the lines of their epochs: many together where epochs are short."""
        self.store.flush()
        self.progress.flush()
        self._written = time.monotonic()

    def _rows_are_due(self) -> bool:
        return time.monotonic() - self._written >= SPAN_SECONDS

    def _take_time(self, state: TrainingState) -> None:
        """Add the wall time since the last call to the running epoch's."""
        now = time.monotonic()
        state.epoch_seconds += now - self._clock
        self._clock = now

    def _epoch(self, state: TrainingState) -> None:
        end = min((state.epoch + 1) * self.data.n_batches, self.plan.total_steps)
        while state.step < end and state.ending is None:
            self._span(state, end - state.step)
        metrics = self._finish_epoch(state)
        for listener in self.on_epoch:
            state.finished = state.finished or listener(state, metrics)
        if state.ending is not None:
            state.finished = state.ending
        elif self.plan.patience is not None and state.stale_epochs >= self.plan.patience:
            state.finished = f"{self.plan.monitor} did not improve for {state.stale_epochs} epochs"

    def _span(self, state: TrainingState, most: int) -> None:
        """At most so many steps, their rows, and a snapshot where one is due."""
        begun = time.monotonic()
        if begun + self._step_seconds >= self._written + SPAN_SECONDS:
            self._write_rows()
        every, seconds = self.plan.save_every, self._written + SPAN_SECONDS - begun
        if every:
            most = min(most, every - state.step % every)
        else:
            seconds = min(seconds, max(0.0, self._saved + SNAPSHOT_SECONDS - begun))
        first = state.step + 1
        span = self.steps.run(state, most, seconds, self.store)
        self._add_up(state, span)
        self.store.append_steps(first, span.metrics, span.layer_norms_TL, span.gradients_TP, span.parameters_TP)
        self._step_seconds = max((time.monotonic() - begun) / span.n_steps, 0.9 * self._step_seconds)
        if self._rows_are_due():
            self._write_rows()
        self.progress.step(state.step, {"loss": float(span.metrics["train/loss"][-1])})
        if state.step % every == 0 if every else time.monotonic() - self._saved >= SNAPSHOT_SECONDS:
            self._save(state)
        if span.stopped:
            raise StepAbandoned

    def _add_up(self, state: TrainingState, span: Span) -> None:
        """The running epoch's training metrics; step by step, so that it does not matter where spans end. A span ends
        with the first step after which the loss is flat; so does the training."""
        for loss_sum in span.loss_sums_T.tolist():
            state.epoch_losses += loss_sum
        state.epoch_hits += int(span.hits_T.sum())
        state.epoch_samples += int(span.samples_T.sum())
        if self.plan.flat_window is not None:
            window, losses_T = self.plan.flat_window, span.metrics["train/loss"]
            before = recent(state.recent_losses, losses_T[:-1], window)
            if first_flat(before, losses_T[-1:], window) is not None:
                state.ending = f"the loss was flat over {window} steps"
            state.recent_losses = recent(before, losses_T[-1:], window)

    def _finish_epoch(self, state: TrainingState) -> dict[str, float]:
        """Validation, the epoch's row, the best parameters; the epoch's metrics."""
        samples = max(1, state.epoch_samples)
        metrics = {"train/loss": state.epoch_losses / samples}
        loss = self.evaluator.model.loss
        if loss.n_classes is not None:
            metrics["train/accuracy"] = state.epoch_hits / samples
        judged = self.data.judged()
        if judged is not None:
            split, chunks = judged
            begun = time.monotonic()
            if begun + self._judging_seconds >= self._written + SPAN_SECONDS:
                self._write_rows()
            outputs_BC, targets_B = self.outputs(state.theta_P, chunks)
            metrics |= split_metrics(
                self.evaluator.model.loss_at(state.theta_P), split, outputs_BC, targets_B, self.unscale
            )
            self._judging_seconds = time.monotonic() - begun
        self._take_time(state)
        state.epoch += 1
        self.store.append_epoch(state.epoch, state.step, metrics, state.epoch_seconds)
        state.epoch_losses, state.epoch_hits, state.epoch_samples, state.epoch_seconds = 0.0, 0, 0, 0.0
        if self.plan.parameters_each_epoch:
            self.store.write_parameters_row(state.step, state.theta_P)
        self._judge(state, metrics)
        if judged is not None and judged[0] == "train":
            return metrics  # an epoch is one step, which has a line of its own
        shown = [f"{name} {figure(value)}" for name, value in metrics.items() if not name.endswith(_NOT_SHOWN)]
        width = len(str(self.plan.epochs))
        self.progress.later(f"epoch {state.epoch:>{width}}/{self.plan.epochs}  " + "  ".join(shown))
        if self._rows_are_due():
            self._write_rows()
        return metrics

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
    """Metrics of outputs that are there already. `loss`: with its parameters (`Model.loss_at`)."""
    losses_B = loss.value(outputs_BC, targets_B)
    if not loss.supervised:
        return {f"{split}/loss": float(np.mean(losses_B))}
    predictions_B, scores_BC = loss.predict(outputs_BC)
    if loss.n_classes is None:
        predictions_B, targets_B = unscale(predictions_B), unscale(targets_B)
    return evaluate(split, loss.n_classes, losses_B, targets_B, predictions_B, scores_BC)
