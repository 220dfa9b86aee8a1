"""The angle of a gate: ``scale * f(x) * [trainable weight] + [trainable bias] + offset``, in radians.

The form is closed under everything the field does with angles (plain parameters, encodings, re-uploading with
trainable weights, feature maps), and small enough that the chain rule to parameters and inputs is one page
(`qmltrain.training.angles`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

FeatureKind = Literal["linear", "arccos", "product"]


@dataclass(frozen=True, slots=True)
class Feature:
    """f(x) of one sample: ``x_i`` (linear), ``arccos(x_i)``, or ``prod_i (centre - x_i)`` (product)."""

    kind: FeatureKind
    indices: tuple[int, ...]
    centre: float = 0.0


@dataclass(frozen=True, slots=True)
class Angle:
    """``scale * f(x) * weight + bias + offset``: `weight` and `bias` are indices into the circuit's parameters.

    Without a feature f is 1, so ``Angle(weight=k)`` is the plain trainable angle theta_k; without `weight` that
    factor is 1 when there is a feature, and an angle with neither is the constant `offset`. Angles that are
    equal share one slot: their gradients add up.
    """

    scale: float = 1.0
    feature: Feature | None = None
    weight: int | None = None
    bias: int | None = None
    offset: float = 0.0

    @property
    def is_constant(self) -> bool:
        return self.feature is None and self.weight is None and self.bias is None

    @property
    def is_per_sample(self) -> bool:
        return self.feature is not None


def constant(value: float) -> Angle:
    """The fixed angle `value`."""
    return Angle(scale=0.0, offset=float(value))


def parameter(index: int, scale: float = 1.0) -> Angle:
    """The trainable angle ``scale * theta[index]``."""
    return Angle(scale=scale, weight=index)


def feature(index: int, scale: float = 1.0, weight: int | None = None, bias: int | None = None) -> Angle:
    """The encoding angle ``scale * x[index] * [theta[weight]] + [theta[bias]]``."""
    return Angle(scale=scale, feature=Feature("linear", (index,)), weight=weight, bias=bias)
