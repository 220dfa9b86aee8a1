"""Optimisers: first-order ones, and the registry of all.

``OPTIMIZERS[name](n_parameters, **options)`` makes one; its keyword-only parameters are its options.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from qmltrain.errors import InputError
from qmltrain.training.lbfgs import LBFGS
from qmltrain.training.optimizer_protocol import FloatArray, FullBatchOptimizer, Optimizer


class SGD(Optimizer):
    """``v <- momentum v + g;  theta <- theta - lr v``, with ``g + weight_decay theta`` in the place of g.

    Momentum as of Sutskever, Martens, Dahl, Hinton (ICML 2013) in the form that multiplies the learning rate last,
    as PyTorch's SGD without dampening. `weight_decay` is the gradient of ``weight_decay |theta|^2 / 2``.
    """

    name = "sgd"

    def __init__(self, n_parameters: int, *, momentum: float = 0.0, weight_decay: float = 0.0) -> None:
        super().__init__(n_parameters)
        self.momentum = _fraction("momentum", momentum)
        self.weight_decay = _not_negative("weight_decay", weight_decay)
        if momentum:
            self._state = {"velocity": np.zeros(n_parameters)}

    def step(self, parameters_P: FloatArray, gradient_P: FloatArray, learning_rate: float) -> FloatArray:
        _check_shapes(self.n_parameters, parameters_P, gradient_P)
        direction_P = gradient_P + self.weight_decay * parameters_P if self.weight_decay else gradient_P
        if self.momentum:
            direction_P = self.momentum * self._state["velocity"] + direction_P
            self._state["velocity"] = direction_P
        return parameters_P - learning_rate * direction_P


class Adam(Optimizer):
    """Adam with bias correction: Kingma, Ba, "Adam: a method for stochastic optimization", arXiv:1412.6980.

    ``theta <- theta - lr m^ / (sqrt(v^) + epsilon)``, m^ = m / (1 - beta_1^t), v^ = v / (1 - beta_2^t).
    """

    name = "adam"

    def __init__(self, n_parameters: int, *, beta_1: float = 0.9, beta_2: float = 0.999, epsilon: float = 1e-8) -> None:
        super().__init__(n_parameters)
        self.beta_1 = _fraction("beta_1", beta_1)
        self.beta_2 = _fraction("beta_2", beta_2)
        if not (math.isfinite(epsilon) and epsilon > 0):
            raise InputError(f"optimizer.epsilon: {epsilon} is not possible; choose a number greater than 0")
        self.epsilon = epsilon
        self._state = {
            "steps": np.zeros((), dtype=np.int64),
            "first_moment": np.zeros(n_parameters),
            "second_moment": np.zeros(n_parameters),
        }

    def step(self, parameters_P: FloatArray, gradient_P: FloatArray, learning_rate: float) -> FloatArray:
        _check_shapes(self.n_parameters, parameters_P, gradient_P)
        steps = int(self._state["steps"]) + 1
        first_P = self.beta_1 * self._state["first_moment"] + (1.0 - self.beta_1) * gradient_P
        second_P = self.beta_2 * self._state["second_moment"] + (1.0 - self.beta_2) * np.square(gradient_P)
        self._state = {"steps": np.array(steps, dtype=np.int64), "first_moment": first_P, "second_moment": second_P}
        first_P = first_P / (1.0 - self.beta_1**steps)
        second_P = second_P / (1.0 - self.beta_2**steps)
        return parameters_P - learning_rate * first_P / (np.sqrt(second_P) + self.epsilon)


class AdamW(Adam):
    """Adam with decoupled weight decay: Loshchilov, Hutter, arXiv:1711.05101, in PyTorch's form.

    ``theta <- (1 - lr weight_decay) theta``, then Adam's step, whose moments never see the decay.
    """

    name = "adamw"

    def __init__(
        self,
        n_parameters: int,
        *,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(n_parameters, beta_1=beta_1, beta_2=beta_2, epsilon=epsilon)
        self.weight_decay = _not_negative("weight_decay", weight_decay)

    def step(self, parameters_P: FloatArray, gradient_P: FloatArray, learning_rate: float) -> FloatArray:
        decayed_P = (1.0 - learning_rate * self.weight_decay) * parameters_P
        return super().step(decayed_P, gradient_P, learning_rate)


def _check_shapes(n_parameters: int, *arrays: FloatArray) -> None:
    for array in arrays:
        if array.shape != (n_parameters,) or array.dtype != np.float64:
            raise ValueError(f"optimizer: expected float64 ({n_parameters},), found {array.dtype} {array.shape}")


def _fraction(option: str, value: float) -> float:
    if not 0.0 <= value < 1.0:
        raise InputError(f"optimizer.{option}: {value} is not possible; choose from 0 up to, not including, 1")
    return value


def _not_negative(option: str, value: float) -> float:
    if not (math.isfinite(value) and value >= 0):
        raise InputError(f"optimizer.{option}: {value} is not possible; choose 0 or more")
    return value


OptimizerBuilder = Callable[..., Optimizer | FullBatchOptimizer]
OPTIMIZERS: dict[str, OptimizerBuilder] = {"sgd": SGD, "adam": Adam, "adamw": AdamW, "lbfgs": LBFGS}
