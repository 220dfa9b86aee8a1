"""Losses: from outputs and targets to one value per sample, its derivative, and what the outputs predict.

A loss is built for a task, ``LOSSES[name](n_classes)``; `n_classes` None means regression. What every one has is said
in `qmltrain.training.loss_protocol`. Another loss is a class entered into `LOSSES`; its keyword-only parameters are its
options. Weights of the classes go around any loss of classes (`class_weights`).

Shape letters: B batch, C outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import NDArray

from qmltrain.errors import InputError
from qmltrain.registry import call_builder
from qmltrain.training.loss_protocol import Array, Loss
from qmltrain.training.reduction import array_namespace, tree_sum
from qmltrain.training.weighted_fidelity import WeightedFidelity


class CrossEntropy(Loss):
    """Softmax cross-entropy, ``log sum_c exp(o_c) - o_target``; the greatest output is shifted to 0 first."""

    name = "cross_entropy"

    def __init__(self, n_classes: int | None) -> None:
        super().__init__(n_classes)
        self.n_outputs = self._check_classes()

    def value(self, outputs_BC: Array, targets_B: Array) -> Array:
        xp = array_namespace(outputs_BC)
        shifted_BC = _shifted(outputs_BC)
        zero = xp.zeros_like(shifted_BC)
        of_target_B = tree_sum(xp.where(self._is_target(outputs_BC, targets_B), shifted_BC, zero).T)
        return xp.log(tree_sum(xp.exp(shifted_BC).T)) - of_target_B

    def cotangent(self, outputs_BC: Array, targets_B: Array) -> Array:
        xp = array_namespace(outputs_BC)
        is_target_BC = self._is_target(outputs_BC, targets_B)
        return _softmax(outputs_BC) - xp.asarray(is_target_BC, dtype=outputs_BC.dtype)

    def predict(self, outputs_BC: Array) -> tuple[Array, Array]:
        """The class of the greatest output (the lowest number among equals), and the softmax (B, C)."""
        return array_namespace(outputs_BC).argmax(outputs_BC, axis=1), _softmax(outputs_BC)

    def _is_target(self, outputs_BC: Array, targets_B: Array) -> Array:
        xp = array_namespace(outputs_BC)
        classes_C = xp.arange(self.n_outputs, dtype=xp.int64)
        return xp.asarray(targets_B, dtype=xp.int64)[:, None] == classes_C[None, :]


class BinaryCrossEntropy(Loss):
    """Logistic loss, ``log(1 + exp(z)) - target z``, with the one output z as the logit of class 1."""

    name = "binary_cross_entropy"
    n_outputs = 1
    signed = True

    def __init__(self, n_classes: int | None) -> None:
        super().__init__(n_classes)
        self._check_classes(exactly=2)

    def value(self, outputs_BC: Array, targets_B: Array) -> Array:
        xp = array_namespace(outputs_BC)
        logit_B = outputs_BC[:, 0]
        target_B = xp.asarray(targets_B, dtype=logit_B.dtype)
        positive_B = xp.where(logit_B > 0, logit_B, xp.zeros_like(logit_B))
        # max(z, 0) - target z first: the two cancel exactly where the sample is classified well.
        return (positive_B - target_B * logit_B) + xp.log1p(xp.exp(-xp.abs(logit_B)))

    def cotangent(self, outputs_BC: Array, targets_B: Array) -> Array:
        xp = array_namespace(outputs_BC)
        return _sigmoid(outputs_BC) - xp.asarray(targets_B, dtype=outputs_BC.dtype)[:, None]

    def predict(self, outputs_BC: Array) -> tuple[Array, Array]:
        """Class 1 where the logit is greater than 0, and the probability of class 1 as (B, 1)."""
        xp = array_namespace(outputs_BC)
        return xp.asarray(outputs_BC[:, 0] > 0, dtype=xp.int64), _sigmoid(outputs_BC)


class MeanSquaredError(Loss):
    """``(o - target)^2`` of one output. Two classes become the targets -1 and +1; more are refused.

    (No factor 1/2: the value is the one that is reported.)
    """

    name = "mean_squared_error"
    n_outputs = 1

    def __init__(self, n_classes: int | None) -> None:
        super().__init__(n_classes)
        if n_classes is not None:
            self._check_classes(exactly=2)
            self.signed = True

    def value(self, outputs_BC: Array, targets_B: Array) -> Array:
        difference_B = self._difference(outputs_BC, targets_B)
        return difference_B * difference_B

    def cotangent(self, outputs_BC: Array, targets_B: Array) -> Array:
        return 2.0 * self._difference(outputs_BC, targets_B)[:, None]

    def predict(self, outputs_BC: Array) -> tuple[Array, Array]:
        """Regression: the output. Two classes: 1 where it is greater than 0. The score is the output, (B, 1)."""
        xp = array_namespace(outputs_BC)
        output_B = outputs_BC[:, 0]
        return (output_B if self.n_classes is None else xp.asarray(output_B > 0, dtype=xp.int64)), outputs_BC

    def _difference(self, outputs_BC: Array, targets_B: Array) -> Array:
        target_B = array_namespace(outputs_BC).asarray(targets_B, dtype=outputs_BC.dtype)
        return outputs_BC[:, 0] - (target_B if self.n_classes is None else 2.0 * target_B - 1.0)


class Hinge(Loss):
    """``max(0, 1 - s o)`` of one output, s = -1 for class 0 and +1 for class 1: the margin loss of support vector
    machines (Cortes, Vapnik, Machine Learning 20, 273 (1995)). At the kink the derivative is taken as 0."""

    name = "hinge"
    n_outputs = 1
    signed = True

    def __init__(self, n_classes: int | None) -> None:
        super().__init__(n_classes)
        self._check_classes(exactly=2)

    def value(self, outputs_BC: Array, targets_B: Array) -> Array:
        missing_B = 1.0 - self._sign(outputs_BC, targets_B) * outputs_BC[:, 0]
        xp = array_namespace(outputs_BC)
        return xp.where(missing_B > 0, missing_B, xp.zeros_like(missing_B))

    def cotangent(self, outputs_BC: Array, targets_B: Array) -> Array:
        xp = array_namespace(outputs_BC)
        sign_B = self._sign(outputs_BC, targets_B)
        inside_B = sign_B * outputs_BC[:, 0] < 1.0
        return xp.where(inside_B, -sign_B, xp.zeros_like(sign_B))[:, None]

    def predict(self, outputs_BC: Array) -> tuple[Array, Array]:
        """Class 1 where the output is greater than 0; the score is the output, (B, 1)."""
        xp = array_namespace(outputs_BC)
        return xp.asarray(outputs_BC[:, 0] > 0, dtype=xp.int64), outputs_BC

    def _sign(self, outputs_BC: Array, targets_B: Array) -> Array:
        return 2.0 * array_namespace(outputs_BC).asarray(targets_B, dtype=outputs_BC.dtype) - 1.0


class Unhinged(Hinge):
    """``1 - s o`` of one output, s as of `Hinge`, which is this one cut off at 0: linear in the output, so that wrong
    labels pull no harder than others (van Rooyen, Menon, Williamson, NeurIPS 2015, arXiv:1505.07634)."""

    name = "unhinged"
    why_raw = "it has no least value where a head may scale or shift them"

    def value(self, outputs_BC: Array, targets_B: Array) -> Array:
        return 1.0 - self._sign(outputs_BC, targets_B) * outputs_BC[:, 0]

    def cotangent(self, outputs_BC: Array, targets_B: Array) -> Array:
        return -self._sign(outputs_BC, targets_B)[:, None]


class Huber(Loss):
    """``d^2 / 2`` for |d| <= delta, else ``delta (|d| - delta / 2)``, d the output minus the (scaled) target: outliers
    pull with a bounded force (Huber, Annals of Mathematical Statistics 35, 73 (1964)). For regression."""

    name = "huber"
    n_outputs = 1

    def __init__(self, n_classes: int | None, *, delta: float = 1.0) -> None:
        super().__init__(n_classes)
        self._check_regression()
        if not 0.0 < delta < float("inf"):
            raise InputError(f"loss.delta: {delta} is not possible; choose a finite number above 0")
        self.delta = float(delta)

    def value(self, outputs_BC: Array, targets_B: Array) -> Array:
        xp = array_namespace(outputs_BC)
        distance_B = xp.abs(self._difference(outputs_BC, targets_B))
        near_B = xp.where(distance_B <= self.delta, distance_B, xp.full_like(distance_B, self.delta))
        return near_B * (distance_B - 0.5 * near_B)  # near = |d| inside, delta outside

    def cotangent(self, outputs_BC: Array, targets_B: Array) -> Array:
        xp = array_namespace(outputs_BC)
        difference_B = self._difference(outputs_BC, targets_B)
        bound_B = xp.full_like(difference_B, self.delta)
        return xp.where(xp.abs(difference_B) <= self.delta, difference_B, xp.sign(difference_B) * bound_B)[:, None]

    def predict(self, outputs_BC: Array) -> tuple[Array, Array]:
        """The output, and as the score (B, 1)."""
        return outputs_BC[:, 0], outputs_BC

    def _difference(self, outputs_BC: Array, targets_B: Array) -> Array:
        return outputs_BC[:, 0] - array_namespace(outputs_BC).asarray(targets_B, dtype=outputs_BC.dtype)


class Expectation(Loss):
    """The observable's expectation itself, to be made as low as it goes: VQE (Peruzzo et al., Nature Communications 5,
    4213 (2014)) and QAOA without data, the mean over the samples where there are some. Labels are not looked at."""

    name = "expectation"
    n_outputs = 1
    supervised = False
    linear = True
    why_raw = "a trained head would win without the circuit"

    def __init__(self, n_classes: int | None) -> None:
        super().__init__(None)

    def value(self, outputs_BC: Array, targets_B: Array) -> Array:
        return outputs_BC[:, 0]

    def cotangent(self, outputs_BC: Array, targets_B: Array) -> Array:
        return array_namespace(outputs_BC).ones_like(outputs_BC)

    def predict(self, outputs_BC: Array) -> tuple[Array, Array]:
        """The expectation, and as the score (B, 1)."""
        return outputs_BC[:, 0], outputs_BC

    def check_targets(self, targets_B: NDArray[Any]) -> None:
        pass


class Fidelity(Expectation):
    """``1 - F``, F the expectation of a projector, as of `observable=target_state`: the state is driven to the target.
    F is the fidelity with a pure state (Nielsen, Chuang, Quantum Computation and Quantum Information, sec. 9.2.2)."""

    name = "fidelity"

    def value(self, outputs_BC: Array, targets_B: Array) -> Array:
        return 1.0 - outputs_BC[:, 0]

    def cotangent(self, outputs_BC: Array, targets_B: Array) -> Array:
        return -array_namespace(outputs_BC).ones_like(outputs_BC)


def _shifted(outputs_BC: Array) -> Array:
    return outputs_BC - array_namespace(outputs_BC).max(outputs_BC, axis=1, keepdims=True)


def _softmax(outputs_BC: Array) -> Array:
    exponentials_BC = array_namespace(outputs_BC).exp(_shifted(outputs_BC))
    return exponentials_BC / tree_sum(exponentials_BC.T)[:, None]


def _sigmoid(logit: Array) -> Array:
    xp = array_namespace(logit)
    decay = xp.exp(-xp.abs(logit))  # never overflows
    return xp.where(logit >= 0, xp.ones_like(decay), decay) / (1.0 + decay)


LossBuilder = Callable[..., Loss]
LOSSES: dict[str, LossBuilder] = {
    "cross_entropy": CrossEntropy,
    "binary_cross_entropy": BinaryCrossEntropy,
    "mean_squared_error": MeanSquaredError,
    "hinge": Hinge,
    "huber": Huber,
    "expectation": Expectation,
    "fidelity": Fidelity,
    "unhinged": Unhinged,
    "weighted_fidelity": WeightedFidelity,
}


def build_loss(name: str, options: Mapping[str, Any], n_classes: int | None, n_observables: int) -> Loss:
    """An entry of `LOSSES`; one that reads every observable is told how many there are. Raises InputError."""
    arguments = (n_classes, n_observables) if LOSSES.get(name) is WeightedFidelity else (n_classes,)
    return call_builder(LOSSES, "loss", name, options, *arguments)
