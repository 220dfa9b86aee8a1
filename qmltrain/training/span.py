"""Span: some consecutive steps at once, and the protocol of what runs them.

Shape letters: T steps, L layers, P parameters, N samples, F features.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from qmltrain.engines.protocol import FloatArray
from qmltrain.engines.step_recipe import LineFormatter
from qmltrain.training.state import TrainingState


@dataclass(frozen=True)
class Span:
    """What `n_steps` whole steps gave, in their order.

    `metrics`: `STEP_METRICS`, (T,). `gradients_TP` and `parameters_TP` have a row for each step that `StepRows` asked
    for. `loss_sums_T`: the sum of the samples' losses; `hits_T`: right predictions; `samples_T`: of the batch.
    `stopped`: the steps ended because the training is to stop.
    """

    n_steps: int
    metrics: dict[str, FloatArray]
    layer_norms_TL: FloatArray
    gradients_TP: FloatArray
    parameters_TP: FloatArray
    loss_sums_T: FloatArray
    hits_T: FloatArray
    samples_T: NDArray[np.int64]
    stopped: bool = False


class StepRows(Protocol):
    """Which steps' gradients and parameters are stored, of those from `first` to `last` (both included)."""

    def gradients_of(self, first: int, last: int) -> NDArray[np.int64]: ...

    def parameters_of(self, first: int, last: int) -> NDArray[np.int64]: ...


@dataclass(frozen=True)
class Slab:
    """Samples of consecutive batches: batch t are the samples ``rows[offsets_T1[t]:offsets_T1[t + 1]]`` of the arrays,
    `targets_N` numbers of classes or values, float64."""

    features_NF: FloatArray
    targets_N: FloatArray
    rows: NDArray[np.int64]
    offsets_T1: NDArray[np.int64]


class Data(Protocol):
    """Training batches and what the parameters are judged by, ready for the circuit."""

    n_batches: int

    def batches(self, epoch: int, first: int) -> Iterator[tuple[FloatArray, np.ndarray]]:
        """(features, targets) of the batches `first`, `first` + 1, ... of `epoch` (from 0)."""
        ...

    def slabs(self, epoch: int, first: int) -> Iterator[Slab]:
        """The same batches, many in one piece, of bounded memory."""
        ...

    def judged(self) -> tuple[str, Iterator[tuple[FloatArray, np.ndarray]]] | None:
        """The split that chooses the best parameters and its (features, targets) in chunks: "val", or "train" where
        there is no data and hence nothing to hold out; None where there is none."""
        ...


class Steps(Protocol):
    """Runs training steps. `run` moves `state` on by some whole steps, one at least and `most` at most, of one epoch:
    parameters, step and `ending`; the trainer does the rest. No step is behind one after which the loss is flat
    (`TrainingPlan.flat_window`).

    `format_lines`: see `qmltrain.engines.step_recipe.TrainingSteps`.

    Raises StepAbandoned where `stop` says so before the first step is whole (`state` is as before), NonFiniteError.
    """

    @property
    def format_lines(self) -> LineFormatter | None: ...

    def run(self, state: TrainingState, most: int, seconds: float, rows: StepRows) -> Span:
        """No step begins more than `seconds` after the first."""
        ...
