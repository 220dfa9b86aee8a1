"""Functions with known gradients, for optimisers to minimise."""

from __future__ import annotations

import numpy as np


def quartic(parameters: np.ndarray) -> tuple[float, np.ndarray]:
    """Smooth, bounded below, not convex, coupled."""
    shifted = parameters - np.arange(len(parameters)) / 3
    coupled = np.roll(shifted, 1)
    value = np.sum(shifted**4) + 0.5 * np.sum((shifted - coupled) ** 2) - np.sum(np.cos(3 * shifted))
    gradient = 4 * shifted**3 + (shifted - coupled) - (np.roll(shifted, -1) - shifted) + 3 * np.sin(3 * shifted)
    return float(value), gradient


def rosenbrock(parameters: np.ndarray) -> tuple[float, np.ndarray]:
    x, y = parameters[:-1], parameters[1:]
    gradient = np.zeros_like(parameters)
    gradient[:-1] = -400 * x * (y - x**2) - 2 * (1 - x)
    gradient[1:] += 200 * (y - x**2)
    return float(np.sum(100 * (y - x**2) ** 2 + (1 - x) ** 2)), gradient
