"""NativeSteps: spans of steps that an engine runs by itself, from a `StepRecipe`.

They equal `ArraySteps` but for rounding. How many steps a span has never changes a bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from qmltrain.engines.protocol import FloatArray
from qmltrain.engines.step_recipe import STEP_ROWS, SpanInputs, StepRecipe, TrainingSteps
from qmltrain.training.array_steps import ArraySteps
from qmltrain.training.flat_loss import first_flat
from qmltrain.training.gradients import StepAbandoned
from qmltrain.training.native_recipe import as_they_are, feature_columns
from qmltrain.training.optimizer_protocol import Optimizer
from qmltrain.training.span import Slab, Span, StepRows
from qmltrain.training.state import STEP_METRICS, TrainingState

ROW_BYTES = 4 << 20  # of the rows of a span
COLUMN_BYTES = 16 << 20  # of values of features that are kept for all samples in memory; else those of a span are made
SPAN_COLUMN_BYTES = 2 << 20
LARGEST_SPAN = 4096  # steps
_LINE = 64  # bytes


class NativeSteps:
    """`others` takes the steps whose numbers are not finite: it says what is wrong, or takes the step."""

    def __init__(self, steps: TrainingSteps, recipe: StepRecipe, others: ArraySteps, optimizer: Optimizer) -> None:
        self._steps, self._recipe, self._others, self._optimizer = steps, recipe, others, optimizer
        self.format_lines = steps.format_lines
        self._ranks = others.evaluator.ranks
        self._columns: tuple[FloatArray, FloatArray | None] | None = None  # of a slab's features, and these
        self._slabs: Iterator[Slab] = iter(())
        self._slab: Slab | None = None
        self._first = self._next = -1  # the steps that take the first batch of the slab, and the next one

    def as_matrix(self, batch: int) -> bool:
        """Whether so many samples go through the shared part of the circuit as one matrix."""
        return self._steps.as_matrix(batch)

    def run(self, state: TrainingState, most: int, seconds: float, rows: StepRows) -> Span:
        """See `qmltrain.training.span.Steps`."""
        if self._ranks is None and self._others.stop():  # (ranks stop together, after a step)
            raise StepAbandoned
        slab, first = self._slab_of(state)
        n_steps = self._most_rows(state.step, min(most, len(slab.offsets_T1) - 1 - first), rows)
        columns = self._columns_of(slab, first, n_steps)
        span = self._run(state, columns, seconds, rows)
        return self._others.run(state, 1, seconds, rows) if span is None else span

    def _run(self, state: TrainingState, columns: Slab, seconds: float, rows: StepRows) -> Span | None:
        """A span of the batches of `columns`; None where the first step is not finite.

        What ends at a flat loss is run again up to that step: no engine need know when a training ends.
        """
        offsets_T1, n_steps = columns.offsets_T1, len(columns.offsets_T1) - 1
        rates_T = self._rates(state.step, n_steps)
        theta_P, before = state.theta_P.copy(), self._optimizer.state()
        gradient_steps = rows.gradients_of(state.step + 1, state.step + n_steps)
        parameter_steps = rows.parameters_of(state.step + 1, state.step + n_steps)
        found = self._steps.run(
            SpanInputs(
                columns_NF=columns.features_NF,
                targets_N=columns.targets_N,
                rows=columns.rows,
                offsets_T1=offsets_T1,
                learning_rates_T=rates_T,
                seconds=seconds,
                steps_before=int(before.get("steps", 0)),
                parameters_P=theta_P,
                optimizer_arrays=[before[name] for name in self._recipe.optimizer_arrays],
                gradient_steps=gradient_steps - state.step - 1,
                parameter_steps=parameter_steps - state.step - 1,
            ),
            self._others.stop,
            self._ranks,
        )
        done = found.steps
        if not done:
            if found.end == "stopped":
                raise StepAbandoned
            return None
        of_steps = dict(zip(STEP_ROWS, found.metrics_5T[:, :done], strict=True))
        if self._others.plan.flat_window is not None:
            flat = first_flat(state.recent_losses, of_steps["loss"], self._others.plan.flat_window)
            if flat is not None and flat + 1 < done:
                return self._run(state, replace(columns, offsets_T1=offsets_T1[: flat + 2]), seconds, rows)
        if "steps" in before:
            before["steps"] = before["steps"] + done
        self._optimizer.load_state(before)
        state.theta_P = theta_P
        state.step += done
        self._next = state.step
        metrics = (of_steps["loss"], of_steps["gradient_norm"], rates_T[:done], of_steps["drift"])
        return Span(
            done,
            dict(zip(STEP_METRICS, metrics, strict=True)),
            found.layer_norms_TL[:done],
            found.gradients_TP[: _until(gradient_steps, state.step)],
            found.parameters_TP[: _until(parameter_steps, state.step)],
            of_steps["loss_sum"],
            of_steps["hits"],
            offsets_T1[1 : done + 1] - offsets_T1[:done],
            stopped=found.end == "stopped",
        )

    def _slab_of(self, state: TrainingState) -> tuple[Slab, int]:
        """The slab that has the batch of the next step, and which of its batches that is."""
        data, in_epoch = self._others.data, state.step - state.epoch * self._others.data.n_batches
        if self._slab is None or self._next != state.step or not in_epoch:
            self._slabs = data.slabs(state.epoch, in_epoch)
            self._slab, self._first = next(self._slabs), state.step
        elif state.step - self._first == len(self._slab.offsets_T1) - 1:
            self._slab, self._first = next(self._slabs), state.step
        return self._slab, state.step - self._first

    def _columns_of(self, slab: Slab, first: int, n_steps: int) -> Slab:
        """`n_steps` batches of the slab from `first` on, or as many as are of bounded size, with the columns of the
        recipe for features: made once for the arrays that all slabs share, where these do not take much memory."""
        model, offsets_T1 = self._others.evaluator.model, slab.offsets_T1[first : first + n_steps + 1]
        row_bytes = 8 * self._recipe.n_columns
        if self._columns is None or self._columns[0] is not slab.features_NF:
            small = len(slab.features_NF) * row_bytes <= COLUMN_BYTES
            columns = feature_columns(model, slab.features_NF) if small or as_they_are(model) else None
            self._columns = slab.features_NF, columns if columns is None or not small else _aligned(columns)
        columns = self._columns[1]
        if columns is not None:
            return Slab(columns, slab.targets_N, slab.rows, offsets_T1)
        begin = int(offsets_T1[0])
        fitting = np.searchsorted(offsets_T1, begin + SPAN_COLUMN_BYTES // row_bytes, side="right") - 1
        offsets_T1 = offsets_T1[: max(1, int(fitting)) + 1] - begin
        rows = slab.rows[begin : begin + int(offsets_T1[-1])]
        features_NF = feature_columns(model, slab.features_NF[rows])
        return Slab(features_NF, slab.targets_N[rows], np.arange(len(rows)), offsets_T1)

    def _rates(self, first: int, n_steps: int) -> NDArray[np.float64]:
        rate: Callable[[int], float] = self._others.plan.learning_rate
        if first >= getattr(rate, "constant_from", math.inf):
            return np.full(n_steps, rate(first))
        return np.fromiter(map(rate, range(first, first + n_steps)), np.float64, n_steps)

    def _most_rows(self, step: int, most: int, rows: StepRows) -> int:
        """As many steps of `most` as have rows of bounded size."""
        recipe = self._recipe
        few = 8 * (len(STEP_ROWS) + recipe.n_layers)
        if most <= min(LARGEST_SPAN, ROW_BYTES // (few + 16 * len(recipe.layer_P))):
            return most
        most = min(most, LARGEST_SPAN, max(1, ROW_BYTES // few))
        stored = len(rows.gradients_of(step + 1, step + most)) + len(rows.parameters_of(step + 1, step + most))
        of_step = few + 8 * len(recipe.layer_P) * stored / most
        return max(1, min(most, int(ROW_BYTES // of_step)))


def _until(steps: NDArray[np.int64], last: int) -> int:
    """How many of the steps, in order, are not behind the last."""
    return int(np.searchsorted(steps, last, side="right")) if len(steps) else 0


def _aligned(array_NF: FloatArray) -> FloatArray:
    """A copy that begins with a cache line: samples of 2, 4, 8, ... numbers lie in as few lines as they can."""
    numbers = np.empty(array_NF.size + _LINE // 8)
    first = -numbers.ctypes.data % _LINE // 8
    copy_NF = numbers[first : first + array_NF.size].reshape(array_NF.shape)
    copy_NF[...] = array_NF
    return copy_NF
