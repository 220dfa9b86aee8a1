"""NoStore: in place of a RunStore on the ranks that write nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class NoStore:
    """Takes everything that a session gives its store, and keeps nothing."""

    def gradients_of(self, first: int, last: int) -> NDArray[np.int64]:
        return np.empty(0, dtype=np.int64)

    parameters_of = gradients_of

    def append_steps(
        self, first: int, metrics: Any, layer_norms: Any = None, gradients: Any = None, parameters: Any = None
    ) -> None:
        pass

    def append_epoch(self, epoch: int, step: int, metrics: Any, wall_seconds: float) -> None:
        pass

    def write_parameters_row(self, step: int, theta: Any) -> None:
        pass

    def write_evaluation(self, split: str, rows: Any, targets: Any, predictions: Any, scores: Any) -> None:
        pass

    def set_attributes(self, **attributes: Any) -> None:
        pass

    def flush(self) -> None:
        pass

    sync = flush

    def close(self, status: str = "") -> None:
        pass

    def abandon(self) -> None:
        pass
