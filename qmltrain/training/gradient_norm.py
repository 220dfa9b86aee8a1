"""The length of a gradient, and gradients clipped to one."""

from __future__ import annotations

import math

import numpy as np

from qmltrain.errors import InputError, NonFiniteError
from qmltrain.training.optimizer_protocol import FloatArray


def clip_by_global_norm(gradient_P: FloatArray, limit: float | None) -> tuple[FloatArray, float]:
    """(gradient, its L2 norm before): scaled to the norm `limit` where it is longer; `limit` None only measures.

    Raises NonFiniteError for a gradient that holds NaN or infinity, InputError for a limit that is not positive.
    """
    if limit is not None and not (math.isfinite(limit) and limit > 0):
        raise InputError(f"optimizer.clip_norm: {limit} is not possible; choose a number greater than 0, or null")
    norm = global_norm(gradient_P)
    if not math.isfinite(norm):
        raise NonFiniteError("the gradient holds NaN or infinity")
    if limit is None or norm <= limit:
        return gradient_P, norm
    return gradient_P * (limit / norm), norm


def global_norm(gradient_P: FloatArray) -> float:
    """The L2 norm, NaN or infinity where an entry is; neither overflows nor underflows in between."""
    largest = float(np.max(np.abs(gradient_P), initial=0.0))
    if largest == 0.0 or not math.isfinite(largest):
        return largest
    if 1e-100 < largest < 1e100:
        return math.sqrt(float(np.sum(np.square(gradient_P))))
    return largest * math.sqrt(float(np.sum(np.square(gradient_P / largest))))
