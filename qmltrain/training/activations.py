"""Activations of dense layers: values and derivatives, number by number, on the array namespace of their argument.

They belong to the layers before the circuit (`qmltrain.training.input_layers`) and to the head `mlp`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from qmltrain.training.reduction import array_namespace

Array = Any


@dataclass(frozen=True)
class Activation:
    """`value(a)`; `derivative(a, value(a))`, both of the shape of a."""

    value: Callable[[Array], Array]
    derivative: Callable[[Array, Array], Array]


def _relu(a: Array) -> Array:
    """A NaN stays one."""
    xp = array_namespace(a)
    return xp.where(a < 0.0, xp.zeros_like(a), a)


def _step(a: Array, value: Array) -> Array:
    """0 at 0."""
    xp = array_namespace(a)
    return xp.where(a > 0.0, xp.ones_like(a), xp.zeros_like(a))


def _sigmoid(a: Array) -> Array:
    xp = array_namespace(a)
    decay = xp.exp(-xp.abs(a))  # never overflows
    return xp.where(a >= 0.0, xp.ones_like(a), decay) / (1.0 + decay)


ACTIVATIONS: dict[str, Activation] = {
    "none": Activation(lambda a: a, lambda a, value: array_namespace(a).ones_like(a)),
    "tanh": Activation(lambda a: array_namespace(a).tanh(a), lambda a, value: 1.0 - value * value),
    "relu": Activation(_relu, _step),
    "sigmoid": Activation(_sigmoid, lambda a, value: value * (1.0 - value)),
}
