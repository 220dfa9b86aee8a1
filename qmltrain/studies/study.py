"""What a study is: a model, the rows that its loss is the mean over, and the quantities that each draw has.

A draw is a parameter vector and, of a random ansatz, a circuit. Shape letters: D draws, R rows, P parameters,
F features, G chosen parameters, L layers, K directions of a plane.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qmltrain.circuit.circuit import Circuit
from qmltrain.engines.protocol import (
    DEFAULT_GRADIENT,
    DEFAULT_OPTIONS,
    Engine,
    EngineOptions,
    FloatArray,
    GradientOptions,
    Precision,
)
from qmltrain.training.model import Model

LOSS, GRADIENT, GRADIENT_NORMS = "loss", "gradient", "gradient_norms"
ENTANGLEMENT, FIDELITY = "entanglement", "fidelity"
QUANTITIES = (LOSS, GRADIENT, GRADIENT_NORMS, ENTANGLEMENT, FIDELITY)
VALUE = "value"  # the column of a plane
RANDOM, ALONG_GRADIENT = "random", "gradient"  # directions of a plane that each draw has for itself


@dataclass(frozen=True)
class Column:
    """A quantity as it is stored, float64 (D, *shape). `labels` along its one axis: parameter names; layers, and
    "all" at the end."""

    name: str
    shape: tuple[int, ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plane:
    """Losses at theta + a u (one direction: a line) or theta + a u + b v.

    A direction is "random" (normal, of `Draws.directions_DKP`), "gradient" (that of the loss at the draw), or a vector
    (P,). All are made unit vectors, v orthogonal to u. a and b go in `resolution` equal steps from -span to span
    (radians along a unit vector).
    """

    directions: tuple[str | FloatArray, ...]
    span: float
    resolution: int

    @property
    def offsets(self) -> FloatArray:
        """(resolution,) values of a, and of b."""
        return np.linspace(-self.span, self.span, self.resolution)


@dataclass(frozen=True)
class Study:
    """`chosen`: parameters whose gradient is kept, as indices into theta. `features_RF`, `targets_R`: the rows that a
    loss is the mean over; without data one row (1, 0) and (1,). `circuit_of`: of a random ansatz, the circuit of a
    draw's own seed (as `model.circuit`, without what observables measure); None: one circuit for all draws.
    """

    model: Model
    engine: Engine
    quantities: tuple[str, ...]
    chosen: tuple[int, ...]
    features_RF: FloatArray
    targets_R: NDArray[np.generic]
    circuit_of: Callable[[int], Circuit] | None = None
    plane: Plane | None = None
    precision: Precision = "complex64"
    gradient: GradientOptions = DEFAULT_GRADIENT
    options: EngineOptions = DEFAULT_OPTIONS


@dataclass(frozen=True)
class Draws:
    """What draws are made of; what a study does not need is None.

    theta_DP: circuit parameters, then the head's. `partners_DP` and `partner_seeds_D` are second draws, for fidelities.
    `directions_DKP`: normal numbers, of the directions "random".
    """

    theta_DP: FloatArray
    seeds_D: NDArray[np.int64] | None = None
    partners_DP: FloatArray | None = None
    partner_seeds_D: NDArray[np.int64] | None = None
    directions_DKP: FloatArray | None = None
