"""Every registered loss for every task that it takes, and samples for it."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.errors import InputError
from qmltrain.training.loss_protocol import Loss
from qmltrain.training.losses import LOSSES, build_loss

TASKS = (None, 2, 3, 10)


def registered_cases() -> list[Loss]:
    """Each registered loss for each task that it takes, with its first parameters; one that reads every observable for
    one and for three of them."""
    cases = []
    for name in LOSSES:
        for n_classes in TASKS:
            for n_observables in (1, 3):
                try:
                    loss = build_loss(name, {}, n_classes, n_observables)
                except InputError:
                    continue
                if n_observables == 1 or loss.n_outputs == 3 != n_classes:
                    cases.append(loss.at(loss.initial(np.random.default_rng(0))))
    return cases


def case_name(loss: Loss) -> str:
    return f"{loss.name}-{loss.n_classes}-{loss.n_outputs}"


CASES = registered_cases()
every_loss = pytest.mark.parametrize("loss", CASES, ids=case_name)


def samples(loss: Loss, n_samples: int, seed: int = 0, scale: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    outputs = generator.normal(scale=scale, size=(n_samples, loss.n_outputs))
    if loss.n_classes is None:
        return outputs, generator.normal(size=n_samples)
    return outputs, generator.integers(loss.n_classes, size=n_samples)
