"""DenseLayers: ``a_l = f(W_l a_(l-1) + b_l)``, one after another: what input layers and the head `mlp` are made of.

A pure function of its parameters, on the array namespace of its input (array API), in float64; `parameters_P` may come
from the host. Sums follow the fixed tree of `qmltrain.training.reduction`: the bits of a sample do not depend on the
chunk it came in.

Shape letters: B batch, I inputs and O outputs of a layer, P parameters of all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmltrain.errors import InputError
from qmltrain.training.activations import ACTIVATIONS
from qmltrain.training.reduction import array_namespace, beside, joined, tree_matmul

Array = Any
MOST_PARAMETERS = 10_000_000  # each has a name


def first_weights(name: str, generator: np.random.Generator, n_inputs: int, n_outputs: int) -> NDArray[np.float64]:
    """(O I,) first weights of a layer: "uniform" in +-1/sqrt(I), so that the variance of an output does not grow with
    I, or "normal", N(0, 1) / I."""
    if name == "normal":
        return generator.normal(size=n_outputs * n_inputs) / n_inputs
    bound = 1.0 / math.sqrt(n_inputs)
    return generator.uniform(-bound, bound, size=n_outputs * n_inputs)


@dataclass(frozen=True)
class _Layer:
    """Where the weights (O, I) of a layer, row by row, and then its biases (O,) lie among the parameters."""

    first: int
    n_inputs: int
    n_outputs: int
    bias: bool
    activation: str

    @property
    def n_weights(self) -> int:
        return self.n_inputs * self.n_outputs

    @property
    def n_parameters(self) -> int:
        return self.n_weights + self.n_outputs * self.bias

    def weight(self, parameters_P: Array) -> Array:
        flat = parameters_P[self.first : self.first + self.n_weights]
        return array_namespace(flat).reshape(flat, (self.n_outputs, self.n_inputs))

    def biases(self, parameters_P: Array) -> Array:
        return parameters_P[self.first + self.n_weights : self.first + self.n_parameters]


class DenseLayers:
    """Layers of `sizes` = (I, ..., O). The last is followed by the activation `last`, the others by `activation`.

    Parameters are those of layer 0, 1, ...: weights row by row (``<group>.<layer>.<out>.<in>.weight``), then biases
    (``<group>.<layer>.<out>.bias``), which start at 0, where there are any. Raises InputError for an activation that is
    not known, and for too many parameters; `group` is the config group, for names and messages.
    """

    def __init__(
        self, group: str, sizes: Sequence[int], *, bias: bool, activation: str, last: str, initial: str
    ) -> None:
        if activation not in ACTIVATIONS:
            raise InputError(f"{group}.activation: {activation!r} is not known; choose one of {', '.join(ACTIVATIONS)}")
        self.sizes, self.bias, self.activation, self.initial_name = tuple(sizes), bias, activation, initial
        layers: list[_Layer] = []
        first = 0
        for n_inputs, n_outputs in zip(self.sizes, self.sizes[1:], strict=False):
            name = last if len(layers) == len(self.sizes) - 2 else activation
            layers.append(_Layer(first, n_inputs, n_outputs, bias, name))
            first += layers[-1].n_parameters
        self._layers, self.n_parameters = tuple(layers), first
        if first > MOST_PARAMETERS:
            shown = " x ".join(map(str, self.sizes))
            raise InputError(
                f"{group}.name: dense layers of {shown} have {first:,} parameters, at most {MOST_PARAMETERS:,} are "
                "possible; choose smaller ones"
            )
        names: list[str] = []
        for k, layer in enumerate(layers):
            names += [f"{group}.{k}.{o}.{i}.weight" for o in range(layer.n_outputs) for i in range(layer.n_inputs)]
            names += [f"{group}.{k}.{o}.bias" for o in range(layer.n_outputs * bias)]
        self.parameter_names = tuple(names)

    def initial(self, generator: np.random.Generator) -> NDArray[np.float64]:
        """Parameters to start from, (P,)."""
        found = []
        for layer in self._layers:
            found.append(first_weights(self.initial_name, generator, layer.n_inputs, layer.n_outputs))
            found.append(np.zeros(layer.n_parameters - layer.n_weights))
        return np.concatenate(found)

    def forward(self, parameters_P: Array, x_BI: Array) -> Array:
        """Values of the last layer, (B, O)."""
        return self._forward(beside(parameters_P, x_BI), x_BI)[-1][1]

    def sample_gradients(self, parameters_P: Array, x_BI: Array, cotangent_BO: Array) -> Array:
        """d(loss)/d(parameters) of each sample, (B, P), from d(loss)/d(outputs)."""
        return self._backward(parameters_P, x_BI, cotangent_BO)[0]

    def input_gradient(self, parameters_P: Array, x_BI: Array, cotangent_BO: Array) -> Array:
        """d(loss)/d(inputs) of each sample, (B, I)."""
        return self._backward(parameters_P, x_BI, cotangent_BO, parameters=False)[1]

    def _forward(self, parameters_P: Array, x_BI: Array) -> list[tuple[Array, Array]]:
        """Of each layer its sums before the activation, and its values; the inputs first."""
        found = [(x_BI, x_BI)]
        for layer in self._layers:
            before_BO = tree_matmul(found[-1][1], layer.weight(parameters_P).T)
            if layer.bias:
                before_BO = before_BO + layer.biases(parameters_P)[None, :]
            found.append((before_BO, ACTIVATIONS[layer.activation].value(before_BO)))
        return found

    def _backward(
        self, parameters_P: Array, x_BI: Array, cotangent: Array, parameters: bool = True
    ) -> tuple[Array | None, Array]:
        """`parameters`: whether their gradient is wanted."""
        xp = array_namespace(x_BI)
        parameters_P = beside(parameters_P, x_BI)
        values = self._forward(parameters_P, x_BI)
        pieces: list[Array] = []  # (parameters, B), of the last layer first
        for k in reversed(range(len(self._layers))):
            layer, inside, (before, value) = self._layers[k], values[k][1], values[k + 1]
            cotangent = cotangent * ACTIVATIONS[layer.activation].derivative(before, value)
            if parameters:
                weights = xp.reshape(cotangent[:, :, None] * inside[:, None, :], (x_BI.shape[0], layer.n_weights))
                pieces += [cotangent.T] * layer.bias + [weights.T]
            cotangent = tree_matmul(cotangent, layer.weight(parameters_P))
        return (joined(pieces[::-1]).T if parameters else None), cotangent
