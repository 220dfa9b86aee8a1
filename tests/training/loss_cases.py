"""Every registered loss for every task that it takes, and samples for it."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.errors import InputError
from qmltrain.training.losses import LOSSES, Loss

TASKS = (None, 2, 3, 10)


def registered_cases() -> list[Loss]:
    """Each registered loss for each task that it takes."""
    cases = []
    for build in LOSSES.values():
        for n_classes in TASKS:
            try:
                cases.append(build(n_classes))
            except InputError:
                continue
    return cases


def case_name(loss: Loss) -> str:
    return f"{loss.name}-{loss.n_classes}"


CASES = registered_cases()
every_loss = pytest.mark.parametrize("loss", CASES, ids=case_name)


def samples(loss: Loss, n_samples: int, seed: int = 0, scale: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    outputs = generator.normal(scale=scale, size=(n_samples, loss.n_outputs))
    if loss.n_classes is None:
        return outputs, generator.normal(size=n_samples)
    return outputs, generator.integers(loss.n_classes, size=n_samples)
