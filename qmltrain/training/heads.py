"""Heads: from expectation values to the outputs that a loss takes, with their own trainable parameters.

A head is built for a number of observables and outputs, ``HEADS[name](n_observables, n_outputs)``, and is a pure
function of its parameters: it holds none. Its keyword-only parameters are its options. All is written on the array
namespace of the expectations (array API), in float64, so it runs where they are, and no value is ever looked at on the
host; `parameters_P` may come from there. Sums follow the fixed tree of `qmltrain.training.reduction`: the bits of a
sample, and of a block of 16, do not depend on the chunk it came in.

Shape letters: B batch (of a chunk), K observables, C outputs, P parameters of the head, G blocks of `BLOCK` samples.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from qmltrain.engines.protocol import BLOCK
from qmltrain.errors import InputError
from qmltrain.training.dense_layers import DenseLayers, first_weights
from qmltrain.training.reduction import SLAB, array_namespace, beside, block_sums, joined, tree_matmul, tree_sum

Array = Any


class Head(ABC):
    """`follows_observables`: output c is made of observable c alone, of which there are as many. `keeps_sign`: up to a
    positive factor it is that observable."""

    name: ClassVar[str]
    follows_observables: ClassVar[bool]
    keeps_sign: ClassVar[bool] = False
    parameter_names: tuple[str, ...] = ()

    def __init__(self, n_observables: int, n_outputs: int) -> None:
        if n_observables < 1 or n_outputs < 1:
            raise InputError(f"head {self.name}: {n_observables} observables and {n_outputs} outputs; needs 1 or more")
        if self.follows_observables and n_observables != n_outputs:
            raise InputError(
                f"head {self.name}: gives an output for each of {n_observables} observables, not {n_outputs} outputs"
            )
        self.n_observables = n_observables
        self.n_outputs = n_outputs

    @property
    def n_parameters(self) -> int:
        return len(self.parameter_names)

    @abstractmethod
    def initial(self, generator: np.random.Generator) -> NDArray[np.float64]:
        """Parameters to start from, (P,)."""

    @abstractmethod
    def forward(self, parameters_P: Array, expectations_BK: Array) -> Array:
        """Outputs (B, C)."""

    @abstractmethod
    def backward(self, parameters_P: Array, expectations_BK: Array, cotangent_BC: Array) -> Array:
        """From d(loss)/d(outputs), (B, C), to d(loss)/d(expectations), (B, K)."""

    @abstractmethod
    def sample_gradients(self, parameters_P: Array, expectations_BK: Array, cotangent_BC: Array) -> Array:
        """d(loss)/d(parameters) of each sample, (B, P)."""

    def block_gradients(self, parameters_P: Array, expectations_BK: Array, cotangent_BC: Array) -> Array:
        """`sample_gradients` summed over blocks of `BLOCK` consecutive samples, (G, P); the last may be shorter.

        For `TreeSum`, beside the engine's block sums. Works through the blocks in slabs of bounded memory.
        """
        n_samples = expectations_BK.shape[0]
        step = BLOCK * max(1, SLAB // (BLOCK * max(1, self.n_parameters)))
        slabs = []
        for first in range(0, n_samples, step):
            rows = slice(first, min(first + step, n_samples))
            gradients_BP = self.sample_gradients(parameters_P, expectations_BK[rows, :], cotangent_BC[rows, :])
            slabs.append(block_sums(gradients_BP))
        return joined(slabs)


class Raw(Head):
    """The expectations themselves; nothing to train."""

    name = "raw"
    follows_observables = keeps_sign = True

    def initial(self, generator: np.random.Generator) -> NDArray[np.float64]:
        return np.empty(0)

    def forward(self, parameters_P: Array, expectations_BK: Array) -> Array:
        return expectations_BK

    def backward(self, parameters_P: Array, expectations_BK: Array, cotangent_BC: Array) -> Array:
        return cotangent_BC

    def sample_gradients(self, parameters_P: Array, expectations_BK: Array, cotangent_BC: Array) -> Array:
        xp = array_namespace(expectations_BK)
        return xp.zeros((expectations_BK.shape[0], 0), dtype=expectations_BK.dtype)


class Scaled(Head):
    """Expectations times one trainable factor: an inverse temperature, which lets a softmax become certain.

    Starts at 1, where it equals `raw`.
    """

    name = "scaled"
    follows_observables = keeps_sign = True
    parameter_names = ("head.factor",)

    def initial(self, generator: np.random.Generator) -> NDArray[np.float64]:
        return np.ones(1)

    def forward(self, parameters_P: Array, expectations_BK: Array) -> Array:
        return expectations_BK * beside(parameters_P, expectations_BK)[0:1]

    def backward(self, parameters_P: Array, expectations_BK: Array, cotangent_BC: Array) -> Array:
        return cotangent_BC * beside(parameters_P, cotangent_BC)[0:1]

    def sample_gradients(self, parameters_P: Array, expectations_BK: Array, cotangent_BC: Array) -> Array:
        return tree_sum((cotangent_BC * expectations_BK).T)[:, None]


class Linear(Head):
    """``outputs_c = sum_k W_ck expectation_k + b_c``: any number of outputs from any number of observables.

    Parameters are W row by row (``head.<c>.<k>.weight``), then b (``head.<c>.bias``) where `bias`. W starts as
    `first_weights` says, b at 0.
    """

    name = "linear"
    follows_observables = False

    def __init__(self, n_observables: int, n_outputs: int, *, bias: bool = True, initial: str = "uniform") -> None:
        super().__init__(n_observables, n_outputs)
        self.bias, self._initial = bias, initial
        self._n_weights = n_outputs * n_observables
        names = [f"head.{c}.{k}.weight" for c in range(n_outputs) for k in range(n_observables)]
        self.parameter_names = (*names, *(f"head.{c}.bias" for c in range(n_outputs * bias)))

    def initial(self, generator: np.random.Generator) -> NDArray[np.float64]:
        weights = first_weights(self._initial, generator, self.n_observables, self.n_outputs)
        return np.concatenate([weights, np.zeros(self.n_parameters - self._n_weights)])

    def forward(self, parameters_P: Array, expectations_BK: Array) -> Array:
        outputs_BC = tree_matmul(expectations_BK, self._weight(parameters_P, expectations_BK).T)
        if not self.bias:
            return outputs_BC
        return outputs_BC + beside(parameters_P, expectations_BK)[self._n_weights :][None, :]

    def backward(self, parameters_P: Array, expectations_BK: Array, cotangent_BC: Array) -> Array:
        return tree_matmul(cotangent_BC, self._weight(parameters_P, expectations_BK))

    def sample_gradients(self, parameters_P: Array, expectations_BK: Array, cotangent_BC: Array) -> Array:
        xp = array_namespace(expectations_BK)
        weight_BCK = cotangent_BC[:, :, None] * expectations_BK[:, None, :]
        weights_BW = xp.reshape(weight_BCK, (expectations_BK.shape[0], self._n_weights))
        return xp.concat([weights_BW, cotangent_BC], axis=1) if self.bias else weights_BW

    def _weight(self, parameters_P: Array, like: Array) -> Array:
        flat = beside(parameters_P, like)[: self._n_weights]
        return array_namespace(like).reshape(flat, (self.n_outputs, self.n_observables))


class Bias(Head):
    """Expectations plus a trainable bias each (``head.<c>.bias``), with weights that stay 1: the threshold of circuit-
    centric classifiers (Schuld, Bocharov, Svore, Wiebe, arXiv:1804.00633).

    Biases start at `initial_bias`, or normal around it with the standard deviation `initial_deviation`.
    """

    name = "bias"
    follows_observables = True

    def __init__(
        self, n_observables: int, n_outputs: int, *, initial_bias: float = 0.0, initial_deviation: float = 0.0
    ) -> None:
        super().__init__(n_observables, n_outputs)
        self._start = float(initial_bias), float(initial_deviation)
        self.parameter_names = tuple(f"head.{c}.bias" for c in range(n_outputs))

    def initial(self, generator: np.random.Generator) -> NDArray[np.float64]:
        return generator.normal(*self._start, size=self.n_outputs)

    def forward(self, parameters_P: Array, expectations_BK: Array) -> Array:
        return expectations_BK + beside(parameters_P, expectations_BK)[None, :]

    def backward(self, parameters_P: Array, expectations_BK: Array, cotangent_BC: Array) -> Array:
        return cotangent_BC

    def sample_gradients(self, parameters_P: Array, expectations_BK: Array, cotangent_BC: Array) -> Array:
        return cotangent_BC


class MLP(Head):
    """Dense layers of the sizes `hidden`, each followed by `activation`, and one to the outputs without: names, order
    and start of parameters are those of `DenseLayers` (``head.<layer>.<out>.<in>.weight``)."""

    name = "mlp"
    follows_observables = False

    def __init__(
        self,
        n_observables: int,
        n_outputs: int,
        *,
        hidden: Sequence[int],
        activation: str = "tanh",
        bias: bool = True,
        initial: str = "uniform",
    ) -> None:
        super().__init__(n_observables, n_outputs)
        sizes = (n_observables, *hidden, n_outputs)
        self.layers = DenseLayers("head", sizes, bias=bias, activation=activation, last="none", initial=initial)
        self.parameter_names = self.layers.parameter_names

    def initial(self, generator: np.random.Generator) -> NDArray[np.float64]:
        return self.layers.initial(generator)

    def forward(self, parameters_P: Array, expectations_BK: Array) -> Array:
        return self.layers.forward(parameters_P, expectations_BK)

    def backward(self, parameters_P: Array, expectations_BK: Array, cotangent_BC: Array) -> Array:
        return self.layers.input_gradient(parameters_P, expectations_BK, cotangent_BC)

    def sample_gradients(self, parameters_P: Array, expectations_BK: Array, cotangent_BC: Array) -> Array:
        return self.layers.sample_gradients(parameters_P, expectations_BK, cotangent_BC)


HeadBuilder = Callable[..., Head]
HEADS: dict[str, HeadBuilder] = {"raw": Raw, "scaled": Scaled, "linear": Linear, "bias": Bias, "mlp": MLP}
