"""WeightedFidelity: fidelities with the states of two classes, each with a trainable weight."""

from __future__ import annotations

import copy

import numpy as np
from numpy.typing import NDArray

from qmltrain.training.loss_protocol import Array, Loss
from qmltrain.training.reduction import array_namespace, beside, tree_sum


class WeightedFidelity(Loss):
    """``1/2 sum_k sum_c (a_ck F_ck - [c is the target])^2`` over the outputs k and two classes c, with a qubit's
    fidelities with |1> and |0>, ``F_0k = (1 - o_k) / 2`` and ``F_1k = (1 + o_k) / 2``, as o_k = <Z_k> gives them: the
    weighted cost of data re-uploading (Perez-Salinas et al., Quantum 4, 226 (2020), arXiv:1907.02085) in the form of
    arXiv:2403.07059.

    The weights a are trained (``loss.<c>.<k>``) and start at 1. As many outputs as there are observables.
    """

    name = "weighted_fidelity"
    signed = fidelities = True
    why_raw = "it reads fidelities (1 - o) / 2 and (1 + o) / 2 in them"

    def __init__(self, n_classes: int | None, n_outputs: int = 1) -> None:
        super().__init__(n_classes)
        self._check_classes(exactly=2)
        self.n_outputs = n_outputs
        self.parameter_names = tuple(f"loss.{c}.{k}" for c in range(2) for k in range(n_outputs))
        self._weights_P: Array | None = None

    def initial(self, generator: np.random.Generator) -> NDArray[np.float64]:
        return np.ones(self.n_parameters)

    def at(self, parameters_P: Array) -> WeightedFidelity:
        bound = copy.copy(self)
        bound._weights_P = parameters_P
        return bound

    def value(self, outputs_BC: Array, targets_B: Array) -> Array:
        differences = [missing_BC for _, _, missing_BC in self._classes(outputs_BC, targets_B)]
        return 0.5 * tree_sum((differences[0] * differences[0] + differences[1] * differences[1]).T)

    def cotangent(self, outputs_BC: Array, targets_B: Array) -> Array:
        (weight_0, _, missing_0), (weight_1, _, missing_1) = self._classes(outputs_BC, targets_B)
        return 0.5 * (weight_1 * missing_1 - weight_0 * missing_0)

    def sample_gradients(self, outputs_BC: Array, targets_B: Array) -> Array:
        classes = self._classes(outputs_BC, targets_B)
        xp = array_namespace(outputs_BC)
        return xp.concat([missing_BC * fidelity_BC for _, fidelity_BC, missing_BC in classes], axis=1)

    def predict(self, outputs_BC: Array) -> tuple[Array, Array]:
        """Class 1 where the mean of the outputs is greater than 0; the score is that mean, (B, 1)."""
        xp = array_namespace(outputs_BC)
        mean_B = tree_sum(outputs_BC.T) / self.n_outputs
        return xp.asarray(mean_B > 0, dtype=xp.int64), mean_B[:, None]

    def _classes(self, outputs_BC: Array, targets_B: Array) -> list[tuple[Array, Array, Array]]:
        """Of class 0 and of class 1: weights (1, C), fidelities (B, C), and a F - [c is the target] (B, C)."""
        if self._weights_P is None:
            raise ValueError("weighted_fidelity: its weights are parameters; give them with `at`")
        xp = array_namespace(outputs_BC)
        weights_P = beside(self._weights_P, outputs_BC)
        target_B1 = xp.asarray(targets_B, dtype=outputs_BC.dtype)[:, None]
        found = []
        for number, (sign, is_target_B1) in enumerate(((-1.0, 1.0 - target_B1), (1.0, target_B1))):
            weight_1C = weights_P[number * self.n_outputs : (number + 1) * self.n_outputs][None, :]
            fidelity_BC = 0.5 + (0.5 * sign) * outputs_BC
            found.append((weight_1C, fidelity_BC, weight_1C * fidelity_BC - is_target_B1))
        return found
