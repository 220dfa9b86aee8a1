"""L-BFGS on the full batch, one iteration per call, resumable between any two of them.

SciPy's minimize(method="L-BFGS-B") runs to its end in one call and keeps its history inside, so a run that was stopped
could not go on with the same bits. Its public parts can: `scipy.optimize.LbfgsInvHessProduct` multiplies with the
inverse Hessian estimate (two-loop recursion: Nocedal, Wright, Numerical Optimization, 2nd ed., algorithm 7.4),
`scipy.optimize.line_search` finds a step that meets the strong Wolfe conditions (algorithms 3.5 and 3.6). What is ours
is the state between two iterations, and when to end. SciPy's dot products are BLAS, whose last bits depend on the
number of threads: it is held at one.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np

from qmltrain.blas_threads import one_thread
from qmltrain.errors import NonFiniteError
from qmltrain.training.gradient_norm import global_norm
from qmltrain.training.optimizer_protocol import (
    Evaluate,
    FloatArray,
    FullBatchOptimizer,
    FullBatchStep,
    State,
    check_state,
)

HISTORY = 10  # pairs kept; each costs two rows of parameters
SUFFICIENT_DECREASE = 1e-4  # c_1 of the Wolfe conditions
CURVATURE = 0.9  # c_2
MAX_ROUNDS = 10  # of the line search: lengths tried until a minimum is bracketed; inside the bracket as many again
GRADIENT_TOLERANCE = 1e-5  # largest entry: SciPy's default as well
LOSS_TOLERANCE = 1e7 * float(np.finfo(np.float64).eps)  # relative decrease: SciPy's default as well
MIN_CURVATURE = 1e-10  # pairs with s.y <= MIN_CURVATURE y.y are not kept: they would spoil the definiteness


@dataclass(frozen=True)
class _Point:
    """Parameters with their loss and its gradient."""

    parameters_P: FloatArray
    loss: float
    gradient_P: FloatArray


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
        self._point: _Point | None = None
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
        point = self._point or _Point(np.empty(0), math.nan, np.empty(0))
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
        self._point = _Point(own["point"], float(own["loss"]), own["gradient"]) if started else None
        self._pairs = tuple(_Pair(*rows) for rows in zip(own["steps"], own["changes"], strict=True))

    def _start(self, evaluate: Evaluate, parameters_P: FloatArray) -> tuple[_Point, int]:
        """The point to go on from, and the evaluations that took."""
        if parameters_P.shape != (self.n_parameters,) or parameters_P.dtype != np.float64:
            raise ValueError(
                f"lbfgs: expected float64 ({self.n_parameters},), found {parameters_P.dtype} {parameters_P.shape}"
            )
        if self._point is None:
            return _Point(parameters_P.copy(), *_checked(evaluate, parameters_P)), 1
        if not np.array_equal(parameters_P, self._point.parameters_P):
            raise ValueError("lbfgs: the parameters are not those the last iteration ended at")
        return self._point, 0

    def _arrive(self, point: _Point, pairs: tuple[_Pair, ...], evaluations: int, finished: str | None) -> FullBatchStep:
        self._point, self._pairs = point, pairs
        return FullBatchStep(point.parameters_P.copy(), point.loss, point.gradient_P.copy(), evaluations, finished)


_SMALL_GRADIENT = f"the largest entry of the gradient is at most {GRADIENT_TOLERANCE:g}"
_NOT_CONVERGED = "The line search algorithm|Rounding errors prevent the line search"  # what SciPy warns of


def _descend(evaluate: Evaluate, start: _Point, pairs: tuple[_Pair, ...]) -> tuple[_Point | None, int]:
    """(the point that a line search along the quasi-Newton direction finds, or None; evaluations made)."""
    with one_thread():
        return _line_search(evaluate, start, _direction(start.gradient_P, pairs))


def _direction(gradient_P: FloatArray, pairs: tuple[_Pair, ...]) -> FloatArray:
    """Minus the inverse Hessian estimate times the gradient; a first move of at most 1 radian along the gradient.

    SciPy's operator starts the recursion from the identity I, where gamma I with gamma = s.y / y.y of the newest pair
    belongs (equation 7.20). With H(S, Y, gamma I) = gamma H(S / sqrt(gamma), sqrt(gamma) Y, I) it does.
    """
    from scipy.optimize import LbfgsInvHessProduct

    if not pairs:
        return -gradient_P * min(1.0, 1.0 / global_norm(gradient_P))
    newest = pairs[-1]
    gamma = _dot(newest.step_P, newest.change_P) / _dot(newest.change_P, newest.change_P)
    steps = np.array([pair.step_P for pair in pairs]) / math.sqrt(gamma)
    changes = np.array([pair.change_P for pair in pairs]) * math.sqrt(gamma)
    return -gamma * LbfgsInvHessProduct(steps, changes).matvec(gradient_P)


def _line_search(evaluate: Evaluate, start: _Point, direction_P: FloatArray) -> tuple[_Point | None, int]:
    """(a point along the direction that meets the strong Wolfe conditions, evaluations made).

    Where SciPy finds none in its rounds, the lowest of the points it tried serves that has sufficient decrease, or
    None where no one has.
    """
    from scipy.optimize import line_search

    slope = _dot(start.gradient_P, direction_P)
    if slope >= 0.0:
        return None, 0
    trials: dict[bytes, _Point] = {}  # SciPy asks for loss and gradient one after the other; we have both at once

    def at(parameters_P: FloatArray) -> _Point:
        key = parameters_P.tobytes()
        if key not in trials:
            trials[key] = _Point(parameters_P.copy(), *_checked(evaluate, parameters_P))
        return trials[key]

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", _NOT_CONVERGED, RuntimeWarning)
        length, *_, found = line_search(
            lambda parameters_P: at(parameters_P).loss,
            lambda parameters_P: at(parameters_P).gradient_P,
            start.parameters_P,
            direction_P,
            start.gradient_P,
            start.loss,
            c1=SUFFICIENT_DECREASE,
            c2=CURVATURE,
            maxiter=MAX_ROUNDS,
        )
    if found is not None:
        return at(start.parameters_P + length * direction_P), len(trials)

    def enough(point: _Point) -> bool:
        along = _dot(start.gradient_P, point.parameters_P - start.parameters_P)
        return point.loss < start.loss and point.loss <= start.loss + SUFFICIENT_DECREASE * along

    lower = [point for point in trials.values() if enough(point)]
    return min(lower, key=lambda point: point.loss, default=None), len(trials)


def _checked(evaluate: Evaluate, parameters_P: FloatArray) -> tuple[float, FloatArray]:
    loss, gradient_P = evaluate(parameters_P)
    if not (math.isfinite(loss) and np.all(np.isfinite(gradient_P))):
        raise NonFiniteError("lbfgs: the loss or its gradient holds NaN or infinity")
    return float(loss), np.array(gradient_P, dtype=np.float64)


def _dot(a_P: FloatArray, b_P: FloatArray) -> float:
    return float(np.sum(a_P * b_P))


def _largest(gradient_P: FloatArray) -> float:
    return float(np.max(np.abs(gradient_P), initial=0.0))
