"""Heads: from expectation values to the outputs that a loss takes, with their own trainable parameters.

A head is built for a number of observables and outputs, ``HEADS[name](n_observables, n_outputs)``, and is a pure
function of its parameters: it holds none. All is written on the array namespace of the expectations (array API), in
float64, so it runs where they are, and no value is ever looked at on the host; `parameters_P` may come from there.
Sums follow the fixed tree of `qmltrain.training.reduction`: the bits of a sample, and of a block of 16, do not depend
on the chunk it came in.

Shape letters: B batch (of a chunk), K observables, C outputs, P parameters of the head, G blocks of `BLOCK` samples.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from qmltrain.circuit.observables import Observables
from qmltrain.engines.protocol import BLOCK
from qmltrain.errors import InputError
from qmltrain.gf2 import walsh_hadamard
from qmltrain.training.losses import LOSSES
from qmltrain.training.reduction import SLAB, array_namespace, block_sums, joined, tree_matmul, tree_sum

Array = Any

EXACT_RANGE_QUBITS = 16  # observable_range: eigenvalues of diagonal sums on up to so many qubits, else a bound


class Head(ABC):
    """`follows_observables`: output c is observable c, up to a positive factor; as many, and of the same sign."""

    name: ClassVar[str]
    follows_observables: ClassVar[bool]
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
    follows_observables = True

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
    follows_observables = True
    parameter_names = ("head.factor",)

    def initial(self, generator: np.random.Generator) -> NDArray[np.float64]:
        return np.ones(1)

    def forward(self, parameters_P: Array, expectations_BK: Array) -> Array:
        return expectations_BK * _beside(parameters_P, expectations_BK)[0:1]

    def backward(self, parameters_P: Array, expectations_BK: Array, cotangent_BC: Array) -> Array:
        return cotangent_BC * _beside(parameters_P, cotangent_BC)[0:1]

    def sample_gradients(self, parameters_P: Array, expectations_BK: Array, cotangent_BC: Array) -> Array:
        return tree_sum((cotangent_BC * expectations_BK).T)[:, None]


class Linear(Head):
    """``outputs_c = sum_k W_ck expectation_k + b_c``: any number of outputs from any number of observables.

    Parameters are W row by row (``head.<c>.<k>.weight``), then b (``head.<c>.bias``). W starts uniform in
    +-1/sqrt(K), so that the variance of an output does not grow with K; b starts at 0.
    """

    name = "linear"
    follows_observables = False

    def __init__(self, n_observables: int, n_outputs: int) -> None:
        super().__init__(n_observables, n_outputs)
        self.parameter_names = tuple(
            f"head.{c}.{k}.weight" for c in range(n_outputs) for k in range(n_observables)
        ) + tuple(f"head.{c}.bias" for c in range(n_outputs))

    def initial(self, generator: np.random.Generator) -> NDArray[np.float64]:
        bound = 1.0 / math.sqrt(self.n_observables)
        weights = generator.uniform(-bound, bound, size=self.n_outputs * self.n_observables)
        return np.concatenate([weights, np.zeros(self.n_outputs)])

    def forward(self, parameters_P: Array, expectations_BK: Array) -> Array:
        weight_CK, bias_C = self._weight_and_bias(parameters_P, expectations_BK)
        return tree_matmul(expectations_BK, weight_CK.T) + bias_C[None, :]

    def backward(self, parameters_P: Array, expectations_BK: Array, cotangent_BC: Array) -> Array:
        weight_CK, _ = self._weight_and_bias(parameters_P, expectations_BK)
        return tree_matmul(cotangent_BC, weight_CK)

    def sample_gradients(self, parameters_P: Array, expectations_BK: Array, cotangent_BC: Array) -> Array:
        xp = array_namespace(expectations_BK)
        weight_BCK = cotangent_BC[:, :, None] * expectations_BK[:, None, :]
        n_samples, n_weights = expectations_BK.shape[0], self.n_outputs * self.n_observables
        return xp.concat([xp.reshape(weight_BCK, (n_samples, n_weights)), cotangent_BC], axis=1)

    def _weight_and_bias(self, parameters_P: Array, like: Array) -> tuple[Array, Array]:
        xp = array_namespace(like)
        parameters_P = _beside(parameters_P, like)
        n_weights = self.n_outputs * self.n_observables
        weight_CK = xp.reshape(parameters_P[:n_weights], (self.n_outputs, self.n_observables))
        return weight_CK, parameters_P[n_weights:]


def _beside(parameters_P: Array, like: Array) -> Array:
    """The parameters as an array of the namespace and dtype of `like`; no copy where they are."""
    return array_namespace(like).asarray(parameters_P, dtype=like.dtype)


HeadBuilder = Callable[..., Head]
HEADS: dict[str, HeadBuilder] = {"raw": Raw, "scaled": Scaled, "linear": Linear}


def check_head(
    head: str,
    loss: str,
    n_observables: int,
    n_classes: int | None,
    expectation_range: tuple[float, float] | None = None,
) -> int:
    """The number of outputs that `head` must give for `loss` on this task; InputError where they do not go together.

    `n_classes` None means regression. `expectation_range` (lowest, highest possible expectation, `observable_range`)
    is looked at where one output decides between two classes by its sign: a head that only scales cannot give
    both signs if its observable cannot.
    """
    for key, name, registry in (("head.name", head, HEADS), ("loss.name", loss, LOSSES)):
        if name not in registry:
            raise InputError(f"{key}: {name!r} is not known; choose one of {', '.join(registry)}")
    needed = LOSSES[loss](n_classes)
    if not needed.supervised and head != "raw":
        raise InputError(
            f"head.name: found {head}; {loss} takes the observable's expectation as it is, choose head.name=raw"
        )
    if not getattr(HEADS[head], "follows_observables", False):
        return needed.n_outputs
    if not needed.supervised and n_observables != 1:
        raise InputError(
            f"observable.name: {n_observables} observables, but {loss} takes one alone; choose a sum (pauli, ising, "
            "...), or one qubit with observable.qubits"
        )
    if n_observables != needed.n_outputs:
        observables = "one observable" if needed.n_outputs == 1 else f"{needed.n_outputs} observables"
        raise InputError(
            f"head.name: {head} gives an output for each of the {n_observables} observables, but {loss} takes "
            f"{needed.n_outputs}; choose head.name=linear, or {observables}"
        )
    if needed.signed and expectation_range is not None:
        low, high = expectation_range
        if not low < 0.0 < high:
            raise InputError(
                f"head.name: {head} keeps the sign of the observable, whose values lie in [{low:g}, {high:g}], so "
                f"{loss} would predict one class for every sample; choose head.name=linear, or an observable of both "
                "signs such as Z"
            )
    return needed.n_outputs


def observable_range(observables: Observables) -> tuple[float, float]:
    """(lowest, highest) expectation that any of the observables can take.

    Exact for diagonal observables on up to `EXACT_RANGE_QUBITS` qubits (their greatest and least eigenvalue, by a
    Walsh-Hadamard transform of the coefficients); else the bound constant +- sum of the absolute coefficients, which
    contains it.
    """
    lows, highs = zip(*(_range_of_sum(observables, index) for index in range(observables.n_observables)), strict=True)
    return min(lows), max(highs)


def _range_of_sum(observables: Observables, index: int) -> tuple[float, float]:
    terms = [(observables.strings[column], value) for column, value in observables.coefficients[index].items()]
    constant = observables.constants[index]
    support = 0
    for string, _ in terms:
        support |= string.z_mask
    qubits = [q for q in range(support.bit_length()) if support >> q & 1]
    if any(string.x_mask for string, _ in terms) or len(qubits) > EXACT_RANGE_QUBITS:
        radius = sum(abs(value) for _, value in terms)
        return constant - radius, constant + radius
    values = np.zeros(1 << len(qubits))
    values[0] = constant
    for string, value in terms:
        values[sum((string.z_mask >> q & 1) << bit for bit, q in enumerate(qubits))] += value
    values = walsh_hadamard(values)
    return float(values.min()), float(values.max())
