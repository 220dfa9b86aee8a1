"""L-BFGS on the full batch, one iteration a call, resumable between any two of them.

Nocedal, Wright, Numerical Optimization (2nd ed.), algorithms 7.4 (two-loop recursion), 3.5 and 3.6 (line search to
the strong Wolfe conditions). SciPy's L-BFGS-B runs to its end in one call and keeps its history inside, so a run
that was stopped could not go on with the same bits; here the history is the state. The dot products are NumPy sums:
BLAS would make the last bits depend on the number of threads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from qmltrain.errors import NonFiniteError
from qmltrain.training.optimizers import (
    Evaluate,
    FloatArray,
    FullBatchOptimizer,
    FullBatchStep,
    State,
    check_state,
    global_norm,
)

HISTORY = 10  # pairs kept; each costs two rows of parameters
SUFFICIENT_DECREASE = 1e-4  # c_1 of the Wolfe conditions
CURVATURE = 0.9  # c_2
MAX_EVALUATIONS = 20  # of one line search
GRADIENT_TOLERANCE = 1e-5  # largest entry: SciPy's default as well
LOSS_TOLERANCE = 1e7 * float(np.finfo(np.float64).eps)  # relative decrease: SciPy's default as well
MIN_CURVATURE = 1e-10  # pairs with s.y <= MIN_CURVATURE y.y are not kept: they would spoil the definiteness


@dataclass(frozen=True)
class _Trial:
    """The point at `length` along the search direction; `slope` is the derivative along it."""

    length: float
    parameters_P: FloatArray
    loss: float
    gradient_P: FloatArray
    slope: float


class LBFGS(FullBatchOptimizer):
    """Limited-memory BFGS with `HISTORY` pairs and a strong Wolfe line search.

    The state is the point with its loss and gradient and the pairs (s, y) of the last steps; between iterations
    nothing else exists, so a run that resumes from it makes the same evaluations. Where the line search finds no
    lower loss along the quasi-Newton direction, the history is dropped and the gradient tried; where that fails too
    the loss cannot be told apart from its rounding and the search is finished.
    """

    name = "lbfgs"

    def __init__(self, n_parameters: int) -> None:
        self.n_parameters = n_parameters
        self._iterations = 0
        self._point_P: FloatArray | None = None
        self._loss = math.nan
        self._gradient_P = np.empty(0)
        self._steps: list[FloatArray] = []
        self._changes: list[FloatArray] = []

    def step(self, parameters_P: FloatArray, evaluate: Evaluate) -> FullBatchStep:
        """One iteration from `parameters_P`: where the last one ended, else ValueError.

        Raises NonFiniteError where `evaluate` gives NaN or infinity.
        """
        if parameters_P.shape != (self.n_parameters,) or parameters_P.dtype != np.float64:
            raise ValueError(
                f"lbfgs: expected float64 ({self.n_parameters},), found {parameters_P.dtype} {parameters_P.shape}"
            )
        evaluations = 0
        if self._point_P is None:
            self._point_P = parameters_P.copy()
            self._loss, self._gradient_P = _checked(evaluate, parameters_P)
            evaluations = 1
        elif not np.array_equal(parameters_P, self._point_P):
            raise ValueError("lbfgs: the parameters are not those the last iteration ended at")
        if _largest(self._gradient_P) <= GRADIENT_TOLERANCE:
            return self._result(evaluations, _SMALL_GRADIENT)

        start = _Trial(0.0, self._point_P, self._loss, self._gradient_P, 0.0)
        found = None
        for attempt in (0, 1):
            if attempt and not self._steps:
                break
            if attempt:
                self._steps, self._changes = [], []
            direction_P = self._direction()
            first_length = 1.0 if self._steps else min(1.0, 1.0 / global_norm(direction_P))
            found, used = _line_search(evaluate, start, direction_P, first_length)
            evaluations += used
            if found is not None:
                break
        if found is None:
            return self._result(evaluations, "no lower loss along the gradient: the limit of the precision")

        self._remember(found.parameters_P - start.parameters_P, found.gradient_P - start.gradient_P)
        self._iterations += 1
        self._point_P, self._loss, self._gradient_P = found.parameters_P, found.loss, found.gradient_P
        if _largest(found.gradient_P) <= GRADIENT_TOLERANCE:
            return self._result(evaluations, _SMALL_GRADIENT)
        if start.loss - found.loss <= LOSS_TOLERANCE * max(abs(start.loss), abs(found.loss), 1.0):
            return self._result(evaluations, f"the loss fell by less than {LOSS_TOLERANCE:.1e} of itself")
        return self._result(evaluations, None)

    def state(self) -> State:
        """Rows of `steps` and `changes` are the pairs, oldest first; `point` is empty before the first step."""
        return {
            "iterations": np.array(self._iterations, dtype=np.int64),
            "point": np.empty(0) if self._point_P is None else self._point_P.copy(),
            "loss": np.array(self._loss, dtype=np.float64),
            "gradient": self._gradient_P.copy(),
            "steps": np.array(self._steps, dtype=np.float64).reshape(-1, self.n_parameters),
            "changes": np.array(self._changes, dtype=np.float64).reshape(-1, self.n_parameters),
        }

    def load_state(self, state: State) -> None:
        """Go on from `state` (of `state()`). Raises StorageError where it does not fit."""
        n_pairs = min(len(np.atleast_1d(state.get("steps", ()))), HISTORY)
        started = np.size(state.get("point", ())) > 0
        point, pairs = ((self.n_parameters if started else 0),), (n_pairs, self.n_parameters)
        float64, int64 = np.dtype(np.float64), np.dtype(np.int64)
        expected = {"iterations": ((), int64), "loss": ((), float64), "point": (point, float64)}
        expected |= {"gradient": (point, float64), "steps": (pairs, float64), "changes": (pairs, float64)}
        check_state(self.name, state, expected)
        self._iterations = int(state["iterations"])
        self._point_P = np.array(state["point"], dtype=np.float64) if started else None
        self._loss = float(state["loss"])
        self._gradient_P = np.array(state["gradient"], dtype=np.float64)
        self._steps = [np.array(row, dtype=np.float64) for row in state["steps"]]
        self._changes = [np.array(row, dtype=np.float64) for row in state["changes"]]

    def _direction(self) -> FloatArray:
        """Minus the inverse Hessian estimate times the gradient (two-loop recursion)."""
        direction_P = -self._gradient_P
        weights = []
        pairs = list(zip(self._steps, self._changes, strict=True))
        for step_P, change_P in reversed(pairs):
            weight = _dot(step_P, direction_P) / _dot(step_P, change_P)
            direction_P = direction_P - weight * change_P
            weights.append(weight)
        if pairs:
            step_P, change_P = pairs[-1]
            direction_P = direction_P * (_dot(step_P, change_P) / _dot(change_P, change_P))
        for (step_P, change_P), weight in zip(pairs, reversed(weights), strict=True):
            direction_P = direction_P + (weight - _dot(change_P, direction_P) / _dot(step_P, change_P)) * step_P
        return direction_P

    def _remember(self, step_P: FloatArray, change_P: FloatArray) -> None:
        if _dot(step_P, change_P) > MIN_CURVATURE * _dot(change_P, change_P):
            self._steps = [*self._steps, step_P][-HISTORY:]
            self._changes = [*self._changes, change_P][-HISTORY:]

    def _result(self, evaluations: int, finished: str | None) -> FullBatchStep:
        assert self._point_P is not None
        return FullBatchStep(self._point_P.copy(), self._loss, self._gradient_P.copy(), evaluations, finished)


_SMALL_GRADIENT = f"the largest entry of the gradient is at most {GRADIENT_TOLERANCE:g}"


def _line_search(
    evaluate: Evaluate, start: _Trial, direction_P: FloatArray, first_length: float
) -> tuple[_Trial | None, int]:
    """(a point along the direction that meets the strong Wolfe conditions, evaluations made).

    Algorithm 3.5, lengths doubling until a minimum is bracketed, then 3.6 inside. Where the conditions cannot be met
    within `MAX_EVALUATIONS`, the lowest point with sufficient decrease serves, or None where there is none.
    """
    slope = _dot(start.gradient_P, direction_P)
    if slope >= 0.0:
        return None, 0
    start = _Trial(0.0, start.parameters_P, start.loss, start.gradient_P, slope)

    def trial(length: float) -> _Trial:
        parameters_P = start.parameters_P + length * direction_P
        loss, gradient_P = _checked(evaluate, parameters_P)
        return _Trial(length, parameters_P, loss, gradient_P, _dot(gradient_P, direction_P))

    def too_high(point: _Trial) -> bool:
        return point.loss > start.loss + SUFFICIENT_DECREASE * point.length * slope

    low, high, length = start, None, first_length
    for used in range(1, MAX_EVALUATIONS + 1):
        point = trial(length)
        if too_high(point) or point.loss >= low.loss:
            high = point
        elif abs(point.slope) <= CURVATURE * -slope:
            return point, used
        else:
            # The minimum lies on the side that the slope at the new lowest point falls to.
            if high is None and point.slope >= 0.0 or high is not None and point.slope * (high.length - low.length) >= 0:
                high = low
            low = point
        if high is None:
            length = 2.0 * length
            continue
        if abs(high.length - low.length) <= 1e-14 * max(high.length, low.length):
            break
        length = _between(low, high)
    return (low if low.length > 0.0 else None), used


def _between(low: _Trial, high: _Trial) -> float:
    """The minimum of the cubic through both losses and slopes (equation 3.59), kept off the interval's ends."""
    width = high.length - low.length
    d_1 = low.slope + high.slope - 3.0 * (high.loss - low.loss) / width
    square = d_1 * d_1 - low.slope * high.slope
    fraction = 0.5
    if square >= 0.0:
        d_2 = math.copysign(math.sqrt(square), width)
        denominator = high.slope - low.slope + 2.0 * d_2
        if denominator != 0.0:
            fraction = 1.0 - (high.slope + d_2 - d_1) / denominator
    return low.length + min(max(fraction, 0.1), 0.9) * width


def _checked(evaluate: Evaluate, parameters_P: FloatArray) -> tuple[float, FloatArray]:
    loss, gradient_P = evaluate(parameters_P)
    if not (math.isfinite(loss) and np.all(np.isfinite(gradient_P))):
        raise NonFiniteError("lbfgs: the loss or its gradient holds NaN or infinity")
    return float(loss), np.array(gradient_P, dtype=np.float64)


def _dot(a_P: FloatArray, b_P: FloatArray) -> float:
    return float(np.sum(a_P * b_P))


def _largest(gradient_P: FloatArray) -> float:
    return float(np.max(np.abs(gradient_P), initial=0.0))
