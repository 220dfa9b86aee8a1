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


@dataclass(frozen=True)
class _Pair:
    """s = difference of the points, y = difference of their gradients, over one iteration."""

    step_P: FloatArray
    change_P: FloatArray


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
        self._point: _Trial | None = None
        self._pairs: tuple[_Pair, ...] = ()

    def step(self, parameters_P: FloatArray, evaluate: Evaluate) -> FullBatchStep:
        """One iteration from `parameters_P`: where the last one ended, else ValueError.

        Raises NonFiniteError where `evaluate` gives NaN or infinity. Where it raises, the state is as before.
        """
        start, evaluations = self._start(evaluate, parameters_P)
        if _largest(start.gradient_P) <= GRADIENT_TOLERANCE:
            return self._arrive(start, self._pairs, evaluations, _SMALL_GRADIENT)
        pairs = self._pairs
        found, used = _descend(evaluate, start, pairs)
        evaluations += used
        if found is None and pairs:
            pairs = ()
            found, used = _descend(evaluate, start, pairs)
            evaluations += used
        if found is None:
            return self._arrive(start, pairs, evaluations, "no lower loss along the gradient: limit of the precision")

        self._iterations += 1
        pair = _Pair(found.parameters_P - start.parameters_P, found.gradient_P - start.gradient_P)
        if _dot(pair.step_P, pair.change_P) > MIN_CURVATURE * _dot(pair.change_P, pair.change_P):
            pairs = (*pairs, pair)[-HISTORY:]
        finished = None
        if _largest(found.gradient_P) <= GRADIENT_TOLERANCE:
            finished = _SMALL_GRADIENT
        elif start.loss - found.loss <= LOSS_TOLERANCE * max(abs(start.loss), abs(found.loss), 1.0):
            finished = f"the loss fell by less than {LOSS_TOLERANCE:.1e} of itself"
        return self._arrive(found, pairs, evaluations, finished)

    def state(self) -> State:
        """Rows of `steps` and `changes` are the pairs, oldest first; `point` is empty before the first step."""
        point = self._point or _Trial(0.0, np.empty(0), math.nan, np.empty(0), 0.0)
        shape = (len(self._pairs), self.n_parameters)
        return {
            "iterations": np.array(self._iterations, dtype=np.int64),
            "point": point.parameters_P.copy(),
            "loss": np.array(point.loss, dtype=np.float64),
            "gradient": point.gradient_P.copy(),
            "steps": np.array([pair.step_P for pair in self._pairs], dtype=np.float64).reshape(shape),
            "changes": np.array([pair.change_P for pair in self._pairs], dtype=np.float64).reshape(shape),
        }

    def load_state(self, state: State) -> None:
        """Go on from `state` (of `state()`). Raises StorageError where it does not fit."""
        started = np.size(state.get("point", ())) > 0
        n_pairs = min(len(np.atleast_1d(state.get("steps", ()))), HISTORY)
        number, point, pairs = (), (self.n_parameters if started else 0,), (n_pairs, self.n_parameters)
        shapes = {"loss": number, "point": point, "gradient": point, "steps": pairs, "changes": pairs}
        expected = {name: (shape, np.dtype(np.float64)) for name, shape in shapes.items()}
        check_state(self.name, state, {"iterations": (number, np.dtype(np.int64)), **expected})
        own = {name: np.array(value) for name, value in state.items()}
        self._iterations = int(own["iterations"])
        self._point = _Trial(0.0, own["point"], float(own["loss"]), own["gradient"], 0.0) if started else None
        self._pairs = tuple(_Pair(*rows) for rows in zip(own["steps"], own["changes"], strict=True))

    def _start(self, evaluate: Evaluate, parameters_P: FloatArray) -> tuple[_Trial, int]:
        """The point to go on from, and the evaluations that took."""
        if parameters_P.shape != (self.n_parameters,) or parameters_P.dtype != np.float64:
            raise ValueError(
                f"lbfgs: expected float64 ({self.n_parameters},), found {parameters_P.dtype} {parameters_P.shape}"
            )
        if self._point is None:
            return _Trial(0.0, parameters_P.copy(), *_checked(evaluate, parameters_P), 0.0), 1
        if not np.array_equal(parameters_P, self._point.parameters_P):
            raise ValueError("lbfgs: the parameters are not those the last iteration ended at")
        return self._point, 0

    def _arrive(self, point: _Trial, pairs: tuple[_Pair, ...], evaluations: int, finished: str | None) -> FullBatchStep:
        self._point, self._pairs = point, pairs
        return FullBatchStep(point.parameters_P.copy(), point.loss, point.gradient_P.copy(), evaluations, finished)


def _descend(evaluate: Evaluate, start: _Trial, pairs: tuple[_Pair, ...]) -> tuple[_Trial | None, int]:
    """(the point that a line search along the quasi-Newton direction finds, or None; evaluations made)."""
    direction_P = _direction(start.gradient_P, pairs)
    first_length = 1.0 if pairs else min(1.0, 1.0 / global_norm(direction_P))  # a first move of at most 1 radian
    return _line_search(evaluate, start, direction_P, first_length)


def _direction(gradient_P: FloatArray, pairs: tuple[_Pair, ...]) -> FloatArray:
    """Minus the inverse Hessian estimate times the gradient (two-loop recursion)."""
    direction_P = -gradient_P
    weights = []
    for pair in reversed(pairs):
        weight = _dot(pair.step_P, direction_P) / _dot(pair.step_P, pair.change_P)
        direction_P = direction_P - weight * pair.change_P
        weights.append(weight)
    if pairs:
        newest = pairs[-1]
        direction_P = direction_P * (_dot(newest.step_P, newest.change_P) / _dot(newest.change_P, newest.change_P))
    for pair, weight in zip(pairs, reversed(weights), strict=True):
        correction = _dot(pair.change_P, direction_P) / _dot(pair.step_P, pair.change_P)
        direction_P = direction_P + (weight - correction) * pair.step_P
    return direction_P


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

    low, length = start, first_length
    high: _Trial | None = None  # the other end of the interval, once there is one
    for used in range(1, MAX_EVALUATIONS + 1):
        point = trial(length)
        if too_high(point) or point.loss >= low.loss:
            high = point
        elif abs(point.slope) <= CURVATURE * -slope:
            return point, used
        else:
            # A lower point. Where its slope rises towards `high` (at first: towards longer steps), the minimum lies
            # on its other side, that of the old lowest point.
            towards = 1.0 if high is None else high.length - low.length
            if point.slope * towards >= 0.0:
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
