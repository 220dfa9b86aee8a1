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

import numpy as np

from qmltrain.engines.protocol import BLOCK, FloatArray
from qmltrain.training.dense_layers import DenseLayers
from qmltrain.training.reduction import SLAB, block_sums

# Largest magnitude of an activation's values, for encodings that take no larger ones
BOUNDED = {"tanh": 1.0, "sigmoid": 1.0}


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
        self.layers = DenseLayers("input", sizes, bias=bias, activation=activation, last=activation, initial=initial)
        self.sizes, self.bias, self.activation, self.scale = self.layers.sizes, bias, activation, scale
        self.n_parameters, self.parameter_names = self.layers.n_parameters, self.layers.parameter_names

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

    @property
    def keeps_zeros(self) -> bool:
        """Whether inputs that are all 0 give outputs that are all 0, at any parameters."""
        return not self.bias and self.activation != "sigmoid"

    def initial(self, generator: np.random.Generator) -> FloatArray:
        """Parameters to start from, (P,)."""
        return self.layers.initial(generator)

    def forward(self, parameters_P: FloatArray, x_BI: FloatArray) -> FloatArray:
        """Features of the circuit, (B, F)."""
        return self.scale * self.layers.forward(parameters_P, x_BI)

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
        return self.layers.sample_gradients(parameters_P, x_BI, self.scale * cotangent_BF)

    def input_gradient(self, parameters_P: FloatArray, x_BI: FloatArray, cotangent_BF: FloatArray) -> FloatArray:
        """d(loss)/d(inputs) of each sample, (B, I)."""
        return self.layers.input_gradient(parameters_P, x_BI, self.scale * cotangent_BF)


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
