"""Distributions of first parameters, as exact values need them: the mean of exp(i k theta).

Of the entries of `training.initialization.INITIALIZERS`, whose parameters are independent of one another. Those of
identity blocks and of a run are not: no exact value is said for them.
"""

from __future__ import annotations

import cmath
import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LARGEST_SCALE = 300.0  # of beta: its integral takes about as many points
_DEFAULT_SCALE = {"uniform": math.pi, "normal": 0.1, "beta": math.pi, "zeros": 0.0}


@dataclass(frozen=True)
class Start:
    """`name` of an initialiser with its options; `scale` in radians."""

    name: str
    scale: float
    shape: tuple[float, float] = (2.0, 2.0)
    centre: float = 0.0  # of uniform

    @classmethod
    def of(
        cls,
        name: str,
        scale: float | None = None,
        shape: Sequence[float] | None = None,
        range: Sequence[float] | None = None,
    ) -> Start | None:
        """None where parameters are not drawn independently of one another, or are too far apart to be integrated."""
        if name not in _DEFAULT_SCALE or (name == "beta" and scale is not None and scale > LARGEST_SCALE):
            return None
        if range is not None:
            low, high = range
            return cls(name, 0.5 * (high - low), centre=0.5 * (low + high))
        first, second = (2.0, 2.0) if shape is None else shape
        return cls(name, _DEFAULT_SCALE[name] if scale is None else float(scale), (float(first), float(second)))

    def mean_phase(self, k: float) -> complex:
        """The mean of exp(i k theta), the characteristic function of the distribution."""
        if self.name == "normal":
            return complex(math.exp(-0.5 * (k * self.scale) ** 2))
        if self.name == "uniform":
            return cmath.exp(1j * k * self.centre) * complex(np.sinc(k * self.scale / math.pi))  # sin(k s) / (k s)
        if self.name == "beta":
            return _mean_phase_of_beta(k * self.scale, *self.shape)
        return 1.0 + 0.0j

    def covers(self, period: float) -> bool:
        """Whether an angle of that period (in theta, radians) is uniform over whole periods, so that the mean of a
        derivative is 0."""
        turns = 2.0 * self.scale / period
        return self.name == "uniform" and round(turns) >= 1 and abs(turns - round(turns)) < 1e-9

    @property
    def description(self) -> str:
        """In words."""
        if self.name == "zeros":
            return "all 0"
        if self.name == "normal":
            return f"normal, deviation {self.scale:.6g}"
        ends = f"in [{self.centre - self.scale:.6g}, {self.centre + self.scale:.6g}]"
        return f"uniform {ends}" if self.name == "uniform" else f"beta({self.shape[0]:g}, {self.shape[1]:g}) {ends}"


@functools.lru_cache(maxsize=1_000)
def _mean_phase_of_beta(k: float, alpha: float, beta: float) -> complex:
    """The mean of exp(i k t), t in [-1, 1] with weight (1 + t)^(alpha - 1) (1 - t)^(beta - 1): Gauss-Jacobi."""
    from scipy.special import roots_jacobi

    nodes, weights = roots_jacobi(40 + math.ceil(abs(k)), beta - 1.0, alpha - 1.0)
    return complex(np.sum(weights * np.exp(1j * k * nodes)) / weights.sum())
