"""TrainingState: everything a run goes on from. TrainingPlan: how long it trains, and by what it is judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmltrain.engines.protocol import FloatArray

STEP_METRICS = ("train/loss", "gradient_norm", "learning_rate", "drift")


@dataclass
class TrainingState:
    """Everything a run goes on from. `epoch` counts finished epochs; the data position is step - epoch * n_batches.

    `epoch_losses`, `epoch_hits` and `epoch_samples` accumulate the running epoch's training metrics, `epoch_seconds`
    its wall time, over all sessions that had a part in it. `ending` is the optimiser's word that it is done, `finished`
    why the training is over. `rows_before`: a step's row is of the parameters before its update; runs of earlier
    versions go on with rows of those after it where the optimiser takes the full batch. `recent_losses`: of the last
    steps, where the plan has a `flat_window`.
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
    recent_losses: FloatArray = field(default_factory=lambda: np.empty(0))

    def arrays(self) -> dict[str, np.ndarray]:
        found = {"theta": self.theta_P}
        if self.best_theta_P is not None:
            found["best_theta"] = self.best_theta_P
        if len(self.recent_losses):
            found["recent_losses"] = self.recent_losses
        return found

    def scalars(self) -> dict[str, Any]:
        arrays = ("theta_P", "best_theta_P", "recent_losses", "step", "epoch")
        return {item.name: getattr(self, item.name) for item in fields(self) if item.name not in arrays}

    @classmethod
    def restore(cls, step: int, epoch: int, arrays: Mapping[str, Any], scalars: Mapping[str, Any]) -> TrainingState:
        best = arrays.get("best_theta")
        state = cls(np.array(arrays["theta"]), step, epoch, **{"rows_before": False, **scalars})
        state.best_theta_P = None if best is None else np.array(best)
        state.recent_losses = np.array(arrays.get("recent_losses", ()), dtype=np.float64)
        return state


@dataclass(frozen=True)
class TrainingPlan:
    """How long and by what to judge. `total_steps` includes all epochs (`train.max_steps` may cut it). `frozen_P` is
    true where a parameter stays fixed: the optimiser sees a gradient of 0 there, and so does the store. `flat_window`:
    the training ends where the loss is flat over so many steps (`qmltrain.training.flat_loss`)."""

    epochs: int
    total_steps: int
    save_every: int | None
    monitor: str
    patience: int | None
    clip_norm: float | None
    learning_rate: Callable[[int], float]
    parameters_each_epoch: bool = True
    frozen_P: NDArray[np.bool_] | None = None
    flat_window: int | None = None
