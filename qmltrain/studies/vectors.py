"""Parameter vectors with their circuits: what evaluators of draws are given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from qmltrain.circuit.circuit import Circuit
from qmltrain.engines.protocol import FloatArray

ComplexArray = NDArray[np.complexfloating]
IntArray = NDArray[np.int64]
Stop = Callable[[], bool]


@dataclass(frozen=True)
class Vectors:
    """Parameters theta_DP of the circuit, then of the head. The circuit of a vector is the model's; with axes_DA that
    circuit, its gates rx, ry, rz about axes 0, 1, 2 for x, y, z; with `circuits` another one. `first` is the number of
    the first vector, for messages."""

    theta_DP: FloatArray
    axes_DA: IntArray | None = None
    circuits: Sequence[Circuit] | None = None
    first: int = 0

    def __len__(self) -> int:
        return len(self.theta_DP)

    def around(self, draw: int, theta_BP: FloatArray) -> Vectors:
        """Other parameters on the circuit of one vector."""
        axes = None if self.axes_DA is None else np.tile(self.axes_DA[draw], (len(theta_BP), 1))
        circuits = None if self.circuits is None else [self.circuits[draw]] * len(theta_BP)
        return replace(self, theta_DP=theta_BP, axes_DA=axes, circuits=circuits, first=0)


class VectorEvaluator(Protocol):
    """Quantities of vectors: losses (D,), with gradients (D, P), entanglement (D,), states (D, N). A loss is the mean
    over the rows of the study. Raises NonFiniteError, and StepAbandoned where `stop` says so."""

    def losses(self, vectors: Vectors, stop: Stop | None = None) -> FloatArray: ...

    def gradients(self, vectors: Vectors, stop: Stop | None = None) -> tuple[FloatArray, FloatArray]: ...

    def entanglement(self, vectors: Vectors, stop: Stop | None = None) -> FloatArray: ...

    def states(self, vectors: Vectors, stop: Stop | None = None) -> ComplexArray: ...
