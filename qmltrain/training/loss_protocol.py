"""Loss: what every loss has.

Values and derivatives are per sample: the caller divides by the batch. Class targets are 0..n_classes-1. Everything is
written on the array namespace of the outputs (array API), in float64, and element by element: the bits of a sample's
row do not depend on the others in its chunk.

Shape letters: B batch, C outputs, P parameters of the loss.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from qmltrain.errors import InputError
from qmltrain.training.reduction import array_namespace

Array = Any
_NUMBERS = "or, where labels in a file are numbers to predict, dataset.task=regression"


class Loss(ABC):
    """`n_outputs` is how many outputs the head must give. `signed` says that the sign of the outputs decides between
    two classes, so that outputs of one sign alone could never predict both. A loss that is not `supervised` compares
    with no targets. `why_raw` says why it takes the expectations as they are (head raw); empty: it takes any outputs.
    The cotangent of a `linear` one is the same for all outputs and targets. `fidelities`: outputs must lie in [-1, 1].

    A loss with trainable parameters (`parameter_names`) has values once it is given numbers: `at`."""

    name: str
    n_outputs: int
    signed: bool = False
    supervised: ClassVar[bool] = True
    linear: ClassVar[bool] = False
    fidelities: ClassVar[bool] = False
    why_raw: ClassVar[str] = ""
    parameter_names: tuple[str, ...] = ()

    def __init__(self, n_classes: int | None) -> None:
        if n_classes is not None and n_classes < 2:
            raise InputError(f"dataset: {n_classes} class(es) found; a classification needs 2 or more")
        self.n_classes = n_classes

    @property
    def n_parameters(self) -> int:
        return len(self.parameter_names)

    @abstractmethod
    def value(self, outputs_BC: Array, targets_B: Array) -> Array:
        """Loss of each sample, (B,)."""

    @abstractmethod
    def cotangent(self, outputs_BC: Array, targets_B: Array) -> Array:
        """d(loss of the sample)/d(its outputs), (B, C)."""

    @abstractmethod
    def predict(self, outputs_BC: Array) -> tuple[Array, Array]:
        """(predictions (B,), scores (B, C')).

        Predictions are class numbers (int64), or values in regression. The scores are probabilities where the loss
        has them; with two classes their last column grows with the evidence for class 1.
        """

    def initial(self, generator: np.random.Generator) -> NDArray[np.float64]:
        """Parameters to start from, (P,)."""
        return np.empty(0)

    def at(self, parameters_P: Array) -> Loss:
        """This loss with these parameters, which may come from the host; itself where it has none."""
        return self

    def sample_gradients(self, outputs_BC: Array, targets_B: Array) -> Array:
        """d(loss of the sample)/d(parameters), (B, P)."""
        return array_namespace(outputs_BC).zeros((outputs_BC.shape[0], 0), dtype=outputs_BC.dtype)

    def check_targets(self, targets_B: NDArray[Any]) -> None:
        """Raise InputError for targets that this task cannot have; for the whole data set, once, on the host."""
        targets_B = np.asarray(targets_B)
        if targets_B.ndim != 1:
            raise InputError(f"targets: expected one per sample, found an array of shape {targets_B.shape}")
        if self.n_classes is None:
            if targets_B.dtype.kind not in "iuf":
                raise InputError(f"targets: expected numbers, found {targets_B.dtype}")
            bad = ~np.isfinite(targets_B)
            allowed = "finite numbers"
        else:
            if targets_B.dtype.kind not in "iu":
                raise InputError(f"targets: expected class numbers (integers), found {targets_B.dtype}")
            bad = (targets_B < 0) | (targets_B >= self.n_classes)
            allowed = f"0 to {self.n_classes - 1}"
        if np.any(bad):
            first = int(np.argmax(bad))
            raise InputError(f"targets: sample {first} has {targets_B[first]}; allowed are {allowed}")

    def _check_regression(self) -> None:
        if self.n_classes is not None:
            raise InputError(
                f"loss.name: {self.name} is for real targets, the data has {self.n_classes} classes; choose "
                f"cross_entropy, {_NUMBERS}"
            )

    def _check_classes(self, *, exactly: int | None = None) -> int:
        if self.n_classes is None:
            raise InputError(
                f"loss.name: {self.name} needs classes, the targets are real numbers; choose mean_squared_error, or, "
                "where whole numbers in a file are classes, dataset.task=classification"
            )
        if exactly is not None and self.n_classes != exactly:
            raise InputError(
                f"loss.name: {self.name} takes {exactly} classes, the data has {self.n_classes}; "
                f"choose cross_entropy, keep two with dataset.classes, {_NUMBERS}"
            )
        return self.n_classes
