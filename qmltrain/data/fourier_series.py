"""Random truncated Fourier series, the functions that circuits with encoded angles can be."""

from __future__ import annotations

import numpy as np

from qmltrain.data.array_source import ArraySource, array_source
from qmltrain.data.checks import ArrayNames, describe
from qmltrain.errors import InputError


def fourier_series(
    *, n_samples: int = 200, n_frequencies: int = 3, noise: float = 0.0, generator_seed: int = 0
) -> ArraySource:
    """``y = a_0 + sum_k a_k cos(k x) + b_k sin(k x)``, k = 1..`n_frequencies`, of one feature x in [-pi, pi).

    a and b are standard normal, divided by the square root of their number; `noise` is the standard deviation added.
    With ``preprocess.scale=none`` a circuit that encodes x L times as a rotation has the frequencies 0..L (regression).
    Reference: Schuld, Sweke, Meyer, Phys. Rev. A 103, 032430 (2021), arXiv:2008.08605.
    """
    if n_samples < 2:
        raise InputError(f"dataset.n_samples: {n_samples} is not possible; at least 2")
    if n_frequencies < 1:
        raise InputError(f"dataset.n_frequencies: {n_frequencies} is not possible; at least 1")
    if not 0 <= noise < float("inf"):
        raise InputError(f"dataset.noise: {noise} is not possible; a finite number, 0 or more")
    generator = np.random.default_rng(generator_seed)
    coefficients = generator.normal(size=2 * n_frequencies + 1) / np.sqrt(2 * n_frequencies + 1)
    x = generator.uniform(-np.pi, np.pi, size=n_samples)
    y = np.full(n_samples, coefficients[0])
    for k in range(1, n_frequencies + 1):
        y += coefficients[2 * k - 1] * np.cos(k * x) + coefficients[2 * k] * np.sin(k * x)
    y += generator.normal(scale=noise, size=n_samples)
    source = array_source("fourier_series", x[:, None], y, ArrayNames("fourier_series"))
    return source.told(description=describe(source.info, f"{n_frequencies} frequencies"))
