"""Input layers: what makes the circuit's features of a sample's, with trainable weights.

    a_0 = x;   a_l = f(W_l a_(l-1) + b_l);   features = scale a_L

Trained with everything else, by the gradients of the circuit with respect to its features. Pure functions of the
parameters on NumPy arrays, in float64: features are made on the host. Sums follow the fixed tree of
`qmltrain.training.reduction`, so the bits of a sample, and of a block of 16, do not depend on the chunk it came in.

Shape letters: B batch, I inputs, F features of the circuit, O outputs of a layer, P parameters, G blocks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from qmltrain.engines.protocol import BLOCK, FloatArray
from qmltrain.errors import InputError
from qmltrain.training.activations import ACTIVATIONS
from qmltrain.training.reduction import SLAB, block_sums, tree_matmul

# Largest magnitude of an activation's values, for encodings that take no larger ones
BOUNDED = {"tanh": 1.0, "sigmoid": 1.0}


@dataclass(frozen=True)
class _Layer:
    """Where the weights (O, I) of a layer, row by row, and then its biases (O,) lie among the parameters."""

    first: int
    n_inputs: int
    n_outputs: int
    bias: bool

    @property
    def n_weights(self) -> int:
        return self.n_inputs * self.n_outputs

    @property
    def n_parameters(self) -> int:
        return self.n_weights + self.n_outputs * self.bias

    def weight(self, parameters_P: FloatArray) -> FloatArray:
        return parameters_P[self.first : self.first + self.n_weights].reshape(self.n_outputs, self.n_inputs)

    def biases(self, parameters_P: FloatArray) -> FloatArray:
        return parameters_P[self.first + self.n_weights : self.first + self.n_parameters]


class InputLayers:
    """Dense layers of `sizes` = (I, ..., F), each followed by `activation`; the last times `scale`.

    Parameters are those of layer 0, 1, ...: weights row by row (``input.<layer>.<out>.<in>.weight``), then biases
    (``input.<layer>.<out>.bias``) where there are any. Weights start uniform in +-1/sqrt(I), or with `initial`
    "normal" as N(0, 1) / I, where I are the inputs of the layer; biases start at 0. Raises InputError for an unknown
    activation.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        bias: bool = True,
        activation: str = "none",
        scale: float = 1.0,
        initial: str = "uniform",
    ) -> None:
        if activation not in ACTIVATIONS:
            raise InputError(f"input.activation: {activation!r} is not known; choose one of {', '.join(ACTIVATIONS)}")
        self.sizes, self.bias, self.activation, self.scale = tuple(sizes), bias, activation, scale
        self.initial_name = initial
        layers: list[_Layer] = []
        first = 0
        for n_inputs, n_outputs in zip(self.sizes, self.sizes[1:], strict=False):
            layers.append(_Layer(first, n_inputs, n_outputs, bias))
            first += layers[-1].n_parameters
        self._layers, self.n_parameters = tuple(layers), first
        names: list[str] = []
        for k, layer in enumerate(layers):
            names += [f"input.{k}.{o}.{i}.weight" for o in range(layer.n_outputs) for i in range(layer.n_inputs)]
            names += [f"input.{k}.{o}.bias" for o in range(layer.n_outputs * bias)]
        self.parameter_names = tuple(names)

    @property
    def n_inputs(self) -> int:
        return self.sizes[0]

    @property
    def n_outputs(self) -> int:
        """F."""
        return self.sizes[-1]

    @property
    def largest_output(self) -> float:
        """No feature is larger in magnitude."""
        return abs(self.scale) * BOUNDED.get(self.activation, math.inf)

    def initial(self, generator: np.random.Generator) -> FloatArray:
        """Parameters to start from, (P,)."""
        found = []
        for layer in self._layers:
            if self.initial_name == "normal":
                found.append(generator.normal(size=layer.n_weights) / layer.n_inputs)
            else:
                bound = 1.0 / math.sqrt(layer.n_inputs)
                found.append(generator.uniform(-bound, bound, size=layer.n_weights))
            found.append(np.zeros(layer.n_parameters - layer.n_weights))
        return np.concatenate(found)

    def forward(self, parameters_P: FloatArray, x_BI: FloatArray) -> FloatArray:
        """Features of the circuit, (B, F)."""
        return self.scale * self._forward(parameters_P, x_BI)[-1][1]

    def block_gradients(self, parameters_P: FloatArray, x_BI: FloatArray, cotangent_BF: FloatArray) -> FloatArray:
        """From d(loss)/d(features) to d(loss)/d(parameters), summed over blocks of `BLOCK` consecutive samples, (G, P);
        the last may be shorter. Works through the blocks in slabs of bounded memory."""
        step = BLOCK * max(1, SLAB // (BLOCK * max(1, self.n_parameters)))
        slabs = []
        for first in range(0, len(x_BI), step):
            rows = slice(first, first + step)
            slabs.append(block_sums(self.sample_gradients(parameters_P, x_BI[rows], cotangent_BF[rows])))
        return np.concatenate(slabs)

    def sample_gradients(self, parameters_P: FloatArray, x_BI: FloatArray, cotangent_BF: FloatArray) -> FloatArray:
        """d(loss)/d(parameters) of each sample, (B, P)."""
        return self._backward(parameters_P, x_BI, cotangent_BF)[0]

    def input_gradient(self, parameters_P: FloatArray, x_BI: FloatArray, cotangent_BF: FloatArray) -> FloatArray:
        """d(loss)/d(inputs) of each sample, (B, I)."""
        return self._backward(parameters_P, x_BI, cotangent_BF)[1]

    def _forward(self, parameters_P: FloatArray, x_BI: FloatArray) -> list[tuple[FloatArray, FloatArray]]:
        """Of each layer its sums before the activation, and its values; the inputs first."""
        found = [(x_BI, x_BI)]
        activation = ACTIVATIONS[self.activation]
        for layer in self._layers:
            before_BO = tree_matmul(found[-1][1], layer.weight(parameters_P).T)
            if layer.bias:
                before_BO = before_BO + layer.biases(parameters_P)
            found.append((before_BO, activation.value(before_BO)))
        return found

    def _backward(
        self, parameters_P: FloatArray, x_BI: FloatArray, cotangent_BF: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        values = self._forward(parameters_P, x_BI)
        activation = ACTIVATIONS[self.activation]
        gradient_BP = np.empty((len(x_BI), self.n_parameters))
        cotangent = self.scale * cotangent_BF
        for layer, (_, inside), (before, value) in zip(
            reversed(self._layers), reversed(values[:-1]), reversed(values[1:]), strict=True
        ):
            cotangent = cotangent * activation.derivative(before, value)
            weights = slice(layer.first, layer.first + layer.n_weights)
            gradient_BP[:, weights] = (cotangent[:, :, None] * inside[:, None, :]).reshape(len(x_BI), layer.n_weights)
            if layer.bias:
                gradient_BP[:, weights.stop : weights.stop + layer.n_outputs] = cotangent
            cotangent = tree_matmul(cotangent, layer.weight(parameters_P))
        return gradient_BP, cotangent


InputBuilder = Callable[..., InputLayers | None]


def none(n_inputs: int, n_outputs: int) -> None:
    """No layer: the circuit encodes the features as they are."""
    return None


def linear(
    n_inputs: int,
    n_outputs: int,
    *,
    outputs: int | None = None,
    bias: bool = True,
    activation: str = "none",
    scale: float = 1.0,
    initial: str = "uniform",
) -> InputLayers:
    """One dense layer."""
    sizes = (n_inputs, outputs or n_outputs)
    return InputLayers(sizes, bias=bias, activation=activation, scale=scale, initial=initial)


def mlp(
    n_inputs: int,
    n_outputs: int,
    *,
    hidden: Sequence[int],
    outputs: int | None = None,
    bias: bool = True,
    activation: str = "tanh",
    scale: float = 1.0,
    initial: str = "uniform",
) -> InputLayers:
    """Dense layers of the sizes `hidden`, and one to the outputs."""
    sizes = (n_inputs, *hidden, outputs or n_outputs)
    return InputLayers(sizes, bias=bias, activation=activation, scale=scale, initial=initial)


# `n_outputs` is what the circuit takes where `outputs` is not given
INPUTS: dict[str, InputBuilder] = {"none": none, "linear": linear, "mlp": mlp}
