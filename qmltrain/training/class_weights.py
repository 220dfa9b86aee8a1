"""Weights of the classes: a loss in which the samples of rare classes count more."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmltrain.errors import InputError
from qmltrain.training.loss_protocol import Array, Loss
from qmltrain.training.reduction import array_namespace


class ClassWeighted(Loss):
    """Another loss, each sample's value times the weight of its class; what is predicted stays as it is.

    The mean is over the number of samples, not over their weights: with `balanced` weights the two are one and the
    same on the training split.
    """

    def __init__(self, loss: Loss, weights_C: NDArray[np.float64]) -> None:
        super().__init__(loss.n_classes)
        self.name, self.n_outputs, self.signed = loss.name, loss.n_outputs, loss.signed
        self.parameter_names = loss.parameter_names
        self.loss = loss
        self.weights_C = np.asarray(weights_C, dtype=np.float64)
        self._placed: dict[tuple[Any, Any], Array] = {}  # the weights beside the outputs, moved there once

    def value(self, outputs_BC: Array, targets_B: Array) -> Array:
        return self.loss.value(outputs_BC, targets_B) * self._weights(outputs_BC, targets_B)

    def cotangent(self, outputs_BC: Array, targets_B: Array) -> Array:
        return self.loss.cotangent(outputs_BC, targets_B) * self._weights(outputs_BC, targets_B)[:, None]

    def initial(self, generator: np.random.Generator) -> NDArray[np.float64]:
        return self.loss.initial(generator)

    def at(self, parameters_P: Array) -> Loss:
        if not self.n_parameters:
            return self
        bound = copy.copy(self)  # the placed weights are shared
        bound.loss = self.loss.at(parameters_P)
        return bound

    def sample_gradients(self, outputs_BC: Array, targets_B: Array) -> Array:
        return self.loss.sample_gradients(outputs_BC, targets_B) * self._weights(outputs_BC, targets_B)[:, None]

    def predict(self, outputs_BC: Array) -> tuple[Array, Array]:
        return self.loss.predict(outputs_BC)

    def _weights(self, outputs_BC: Array, targets_B: Array) -> Array:
        xp = array_namespace(outputs_BC)
        place = (xp, outputs_BC.dtype)
        if place not in self._placed:
            self._placed[place] = xp.asarray(self.weights_C, dtype=outputs_BC.dtype)
        return xp.take(self._placed[place], xp.asarray(targets_B, dtype=xp.int64))


def class_weights(given: Any, labels_B: NDArray[Any], n_classes: int | None) -> NDArray[np.float64]:
    """Weights (n_classes,) from `loss.class_weights`: a list, or "balanced".

    Balanced weights are n / (C n_c) for the n_c of n training `labels_B` in class c (King, Zeng, Political Analysis 9,
    137 (2001); scikit-learn's definition). Raises InputError for real targets and for weights that cannot be.
    """
    if n_classes is None:
        raise InputError("loss.class_weights: this loss compares with no classes; leave it null")
    if given == "balanced":
        counts_C = np.bincount(labels_B, minlength=n_classes)
        if not np.all(counts_C):
            missing = int(np.argmin(counts_C))
            raise InputError(f"loss.class_weights: balanced, but no training sample is of class {missing}; give a list")
        return len(labels_B) / (n_classes * counts_C.astype(np.float64))
    weights_C = np.array(given, dtype=np.float64)
    if len(weights_C) != n_classes:
        raise InputError(f"loss.class_weights: {len(weights_C)} weights for {n_classes} classes; give one per class")
    if not np.any(weights_C > 0):
        raise InputError("loss.class_weights: all are 0, so that nothing is learned; give at least one above 0")
    return weights_C
