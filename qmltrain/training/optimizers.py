"""Optimisers: from a gradient to the next parameters, float64 on the host.

``OPTIMIZERS[name](n_parameters, **options)`` makes one; its keyword-only parameters are its options. There are two
kinds, told apart by `full_batch`:

* a step of a first-order optimiser takes the gradient of a mini-batch and the learning rate of the step;
* a step of a full-batch optimiser (`lbfgs`) takes a function that evaluates loss and gradient over all training
  samples, calls it as often as it needs, and says when it is done. It takes no learning rate, schedule or clipping.

Either way the state is a dictionary of arrays: saved and loaded, the next step has the same bits. Sums are NumPy's
own, never BLAS, whose results depend on the number of threads.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from qmltrain.errors import InputError, NonFiniteError, StorageError

FloatArray = NDArray[np.float64]
State = dict[str, NDArray[Any]]
Evaluate = Callable[[FloatArray], tuple[float, FloatArray]]


class Optimizer(ABC):
    """A first-order optimiser of `n_parameters` parameters."""

    name: ClassVar[str]
    full_batch: ClassVar[bool] = False

    def __init__(self, n_parameters: int) -> None:
        self.n_parameters = n_parameters
        self._state: State = {}

    @abstractmethod
    def step(self, parameters_P: FloatArray, gradient_P: FloatArray, learning_rate: float) -> FloatArray:
        """The next parameters, a new array; moves the state on."""

    def state(self) -> State:
        """A copy of all that the next step depends on beside its arguments."""
        return {name: value.copy() for name, value in self._state.items()}

    def load_state(self, state: State) -> None:
        """Go on from `state` (of `state()`). Raises StorageError where it is not one of this optimiser's."""
        check_state(self.name, state, {name: (value.shape, value.dtype) for name, value in self._state.items()})
        self._state = {name: np.array(value) for name, value in state.items()}


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


@dataclass(frozen=True)
class FullBatchStep:
    """Where one iteration arrived: loss and gradient belong to `parameters_P`.

    `evaluations` calls of the function were made. `finished` is None to go on, else why there is no use in it.
    """

    parameters_P: FloatArray
    loss: float
    gradient_P: FloatArray
    evaluations: int
    finished: str | None


class FullBatchOptimizer(ABC):
    """An optimiser that evaluates the whole training set as often as it needs, one iteration a call.

    Call `step` with the parameters that the last call returned until it says `finished`; between two calls is the
    time to log, to save `state()`, to stop and to resume.
    """

    name: ClassVar[str]
    full_batch: ClassVar[bool] = True

    @abstractmethod
    def step(self, parameters_P: FloatArray, evaluate: Evaluate) -> FullBatchStep:
        """One iteration. ``evaluate(parameters_P) -> (loss, gradient_P)`` must be deterministic.

        Where it raises, the state is as before the call.
        """

    @abstractmethod
    def state(self) -> State: ...

    @abstractmethod
    def load_state(self, state: State) -> None: ...


def clip_by_global_norm(gradient_P: FloatArray, limit: float | None) -> tuple[FloatArray, float]:
    """(gradient, its L2 norm before): scaled to the norm `limit` where it is longer; `limit` None only measures.

    Raises NonFiniteError for a gradient that holds NaN or infinity, InputError for a limit that is not positive.
    """
    if limit is not None and not (math.isfinite(limit) and limit > 0):
        raise InputError(f"optimizer.clip_norm: {limit} is not possible; choose a number greater than 0, or null")
    norm = global_norm(gradient_P)
    if not math.isfinite(norm):
        raise NonFiniteError("the gradient holds NaN or infinity")
    if limit is None or norm <= limit:
        return gradient_P, norm
    return gradient_P * (limit / norm), norm


def global_norm(gradient_P: FloatArray) -> float:
    """The L2 norm, NaN or infinity where an entry is; neither overflows nor underflows in between."""
    largest = float(np.max(np.abs(gradient_P), initial=0.0))
    if largest == 0.0 or not math.isfinite(largest):
        return largest
    if 1e-100 < largest < 1e100:
        return math.sqrt(float(np.sum(np.square(gradient_P))))
    return largest * math.sqrt(float(np.sum(np.square(gradient_P / largest))))


def check_state(optimizer: str, state: State, expected: Mapping[str, tuple[tuple[int, ...], np.dtype[Any]]]) -> None:
    """Raise StorageError where `state` has not just the `expected` arrays, each of its shape and type."""
    if set(state) != set(expected):
        raise StorageError(
            f"optimizer state: found {', '.join(sorted(state)) or 'nothing'}; "
            f"{optimizer} needs {', '.join(sorted(expected)) or 'nothing'}"
        )
    for name, (shape, dtype) in expected.items():
        value = np.asarray(state[name])
        if value.shape != shape or value.dtype != dtype:
            raise StorageError(
                f"optimizer state: {name} is {value.dtype} {value.shape}; {optimizer} needs {dtype} {shape}"
            )


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


def _lbfgs(n_parameters: int) -> FullBatchOptimizer:
    from qmltrain.training.lbfgs import LBFGS  # here, because it is built upon this module

    return LBFGS(n_parameters)


OptimizerBuilder = Callable[..., Optimizer | FullBatchOptimizer]
OPTIMIZERS: dict[str, OptimizerBuilder] = {"sgd": SGD, "adam": Adam, "adamw": AdamW, "lbfgs": _lbfgs}
