"""ArraySteps: one step at a time, composed of array operations around the engine's circuit (`Evaluator`).

The path of every engine, loss, head and optimiser, and the judge of `native_steps`. The order of a step is: gradient,
clipping, update.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from qmltrain.engines.protocol import FloatArray
from qmltrain.errors import NonFiniteError
from qmltrain.training.gradient_norm import clip_by_global_norm, global_norm
from qmltrain.training.gradients import BatchGradient, Evaluator, StepAbandoned
from qmltrain.training.optimizer_protocol import FullBatchOptimizer, Optimizer
from qmltrain.training.span import Data, Span, StepRows
from qmltrain.training.state import STEP_METRICS, TrainingPlan, TrainingState


@dataclass
class ArraySteps:
    """`stop()` is asked between chunks."""

    evaluator: Evaluator
    data: Data
    optimizer: Optimizer | FullBatchOptimizer
    plan: TrainingPlan
    stop: Callable[[], bool] = lambda: False

    format_lines: ClassVar[None] = None

    def __post_init__(self) -> None:
        names, self._groups = self.evaluator.model.layers()
        self._n_layers = len(names)
        self._arrived: dict[bytes, BatchGradient] = {}  # of the parameters where the last full-batch step ended
        self._batches: Iterator[tuple[FloatArray, np.ndarray]] = iter(())
        self._next = -1  # the step that takes the next of these batches

    def run(self, state: TrainingState, most: int, seconds: float, rows: StepRows) -> Span:
        """One step: see `qmltrain.training.span.Steps`."""
        if self._next != state.step or state.step == state.epoch * self.data.n_batches:
            self._batches = self.data.batches(state.epoch, state.step - state.epoch * self.data.n_batches)
        self._next = -1  # where the step is abandoned, its batch is asked for again
        features_BF, targets_B = next(self._batches)
        span = self._step(state, features_BF, targets_B, rows)
        self._next = state.step
        return span

    def _step(self, state: TrainingState, features_BF: FloatArray, targets_B: np.ndarray, rows: StepRows) -> Span:
        learning_rate = self.plan.learning_rate(state.step)  # not used by full-batch optimisers
        if isinstance(self.optimizer, FullBatchOptimizer):
            theta_P, result, state.ending = self._full_batch_step(state, self.optimizer, features_BF, targets_B)
            norm, learning_rate = global_norm(result.gradient_P), math.nan
        else:
            try:
                result = self._gradient(state.theta_P, features_BF, targets_B, self.stop)
                clipped_P, norm = clip_by_global_norm(result.gradient_P, self.plan.clip_norm)
            except NonFiniteError as error:
                remedy = "lower optimizer.learning_rate or train.initial_scale, or set optimizer.clip_norm"
                raise NonFiniteError(f"step {state.step + 1}: {error}", "" if error.remedy else remedy) from error
            theta_P = self.optimizer.step(state.theta_P, clipped_P, learning_rate)
            if self.plan.frozen_P is not None:  # weight decay moves parameters without a gradient
                theta_P = np.where(self.plan.frozen_P, state.theta_P, theta_P)
        state.theta_P = theta_P
        state.step += 1
        loss, hits = self.evaluator.model.loss, 0
        if loss.n_classes is not None:
            hits = int(np.count_nonzero(loss.predict(result.outputs_BC)[0] == targets_B))
        values = (result.loss, norm, learning_rate, result.drift)
        squares_L = np.bincount(self._groups, result.gradient_P**2, minlength=self._n_layers)
        return Span(
            1,
            {name: np.array([value]) for name, value in zip(STEP_METRICS, values, strict=True)},
            np.sqrt(squares_L)[None],
            result.gradient_P[None][: len(rows.gradients_of(state.step, state.step))],
            theta_P[None][: len(rows.parameters_of(state.step, state.step))],
            np.array([np.sum(result.losses_B)]),
            np.array([float(hits)]),
            np.array([len(targets_B)]),
        )

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
