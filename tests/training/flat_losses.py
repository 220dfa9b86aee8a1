"""When a loss is flat, as the definition says it: the judge of `qmltrain.training.flat_loss`."""

from __future__ import annotations

import numpy as np


def by_definition(losses: np.ndarray, window: int) -> int | None:
    """The first flat step, from 0."""
    for step in range(2 * window, len(losses)):
        last = losses[step + 1 - window : step + 1]
        earlier = losses[step + 1 - 2 * window : step + 1 - window]
        if abs(np.mean(last) - np.mean(earlier)) <= np.std(last) / (2 * np.sqrt(window)):
            return step
    return None
