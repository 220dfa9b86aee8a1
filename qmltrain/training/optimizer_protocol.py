"""What an optimiser is: from a gradient to the next parameters, float64 on the host.

There are two kinds, told apart by `full_batch`:

* a step of a first-order optimiser takes the gradient of a mini-batch and the learning rate of the step;
* a step of a full-batch optimiser (`lbfgs`) takes a function that evaluates loss and gradient over all training
  samples, calls it as often as it needs, and says when it is done. It takes no learning rate, schedule or clipping.

Either way the state is a dictionary of arrays: saved and loaded, the next step has the same bits. Sums are NumPy's
own, never BLAS, whose results depend on the number of threads.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from qmltrain.errors import StorageError

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
    """An optimiser that evaluates the whole training set as often as it needs, one iteration per call.

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
