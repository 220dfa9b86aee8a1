"""Where the circuit's parameters start.

One rule: a parameter that multiplies a feature starts at 1 and one added to a feature's term at 0, so that a trained
encoding starts as the plain one, ``angle = x``, whatever `train.initial` says; with `train.initial_features` both are
uniform in that range instead. All others are drawn by `INITIALIZERS[train.initial]`. What a parameter does is read from
the circuit's angles, not from its name, so the rule holds for circuits of the user's own as well. (A head starts its
own parameters: `Head.initial`.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from qmltrain.circuit.circuit import Circuit
from qmltrain.errors import InputError, UnusedOptionError
from qmltrain.training.identity_blocks import IdentityBlocks

ParameterKind = Literal["angle", "feature_weight", "feature_bias"]
Initializer = Callable[..., NDArray[np.float64]]


def uniform(
    generator: np.random.Generator, count: int, *, scale: float = math.pi, range: Sequence[float] | None = None
) -> NDArray[np.float64]:
    """Uniform in [-scale, scale], or in `range` [low, high]; pi covers every rotation once."""
    low, high = (-scale, scale) if range is None else range
    return generator.uniform(low, high, size=count)


def normal(generator: np.random.Generator, count: int, *, scale: float = 0.1) -> NDArray[np.float64]:
    """Normal with mean 0 and standard deviation `scale`: near the identity, away from barren plateaus."""
    return generator.normal(0.0, scale, size=count)


def zeros(generator: np.random.Generator, count: int) -> NDArray[np.float64]:
    """All 0: every rotation is the identity."""
    return np.zeros(count)


def beta(
    generator: np.random.Generator, count: int, *, scale: float = math.pi, shape: Sequence[float] = (2.0, 2.0)
) -> NDArray[np.float64]:
    """``scale (2 b - 1)`` with b of the Beta distribution of `shape` [alpha, beta]: in [-scale, scale], densest inside
    where both are above 1. After Kulshrestha, Safro, arXiv:2204.13751, who fit the shape to the data."""
    first, second = shape
    return scale * (2.0 * generator.beta(first, second, size=count) - 1.0)


INITIALIZERS: dict[str, Initializer] = {"uniform": uniform, "normal": normal, "zeros": zeros, "beta": beta}
IDENTITY = "identity"  # not drawn one by one: `identity_blocks` looks at the circuit


def parameter_kinds(circuit: Circuit) -> tuple[ParameterKind, ...]:
    """What each parameter of the circuit does.

    One that does several things, or nothing, is an "angle" (a weight that is also an angle of its own must be free).
    """
    roles: list[set[ParameterKind]] = [set() for _ in range(circuit.n_parameters)]
    for angle in circuit.slots.shared + circuit.slots.per_sample:
        if angle.weight is not None:
            roles[angle.weight].add("angle" if angle.feature is None else "feature_weight")
        if angle.bias is not None:
            roles[angle.bias].add("angle" if angle.feature is None else "feature_bias")
    return tuple(next(iter(role)) if len(role) == 1 else "angle" for role in roles)


def initial_parameters(
    circuit: Circuit,
    name: str,
    generator: np.random.Generator,
    scale: float | None = None,
    shape: Sequence[float] | None = None,
    range: Sequence[float] | None = None,
    features: Sequence[float] | None = None,
) -> NDArray[np.float64]:
    """Initial values of the circuit's parameters, (P,) float64.

    Only the parameters of kind "angle" are drawn, in order: making features trainable leaves the ansatz where it
    started. With `features` [low, high] theirs are drawn after them. "identity" makes pairs of layers that cancel
    (`identity_blocks`). Raises InputError for an unknown name, for a scale, shape or range that it does not take or
    that is none, and where no identity is possible.
    """
    return InitialParameters(circuit, name, scale, shape, range, features).draw(generator)


class InitialParameters:
    """As `initial_parameters`, of which many are drawn."""

    def __init__(
        self,
        circuit: Circuit,
        name: str,
        scale: float | None = None,
        shape: Sequence[float] | None = None,
        range: Sequence[float] | None = None,
        features: Sequence[float] | None = None,
    ) -> None:
        if name not in INITIALIZERS and name != IDENTITY:
            raise InputError(
                f"train.initial: {name!r} is not known; choose one of {', '.join(INITIALIZERS)}, {IDENTITY}, from_run"
            )
        options: dict[str, Any] = {}
        takes = ("scale",) if name == IDENTITY else tuple(INITIALIZERS[name].__kwdefaults__ or {})
        for option, value in (("scale", scale), ("shape", shape)):
            if value is None:
                continue
            if option not in takes:
                raise UnusedOptionError(f"train.initial_{option}", f"not used by {name}; leave it null")
            numbers = [value] if isinstance(value, int | float) else list(value)
            if not all(math.isfinite(number) and number > 0.0 for number in numbers):
                raise InputError(f"train.initial_{option}: {value} is not possible; choose a number greater than 0")
            options[option] = value
        if shape is not None and len(shape) != 2:
            raise InputError(f"train.initial_shape: [alpha, beta] is needed, found {list(shape)}")
        if range is not None:
            if "range" not in takes:
                raise UnusedOptionError("train.initial_range", f"not used by {name}; leave it null")
            if scale is not None:
                raise UnusedOptionError("train.initial_scale", "not used beside train.initial_range; leave one null")
            options["range"] = _checked_range("train.initial_range", range)
        kinds = np.array(parameter_kinds(circuit), dtype=object)
        of_features = np.isin(kinds, ("feature_weight", "feature_bias"))
        self._features = None if features is None else _checked_range("train.initial_features", features)
        if self._features is not None and not of_features.any():
            raise UnusedOptionError(
                "train.initial_features", "not used by this circuit: no weight or bias of a feature; leave it null"
            )
        self._name, self._options = name, options
        self._fixed_P = np.zeros(circuit.n_parameters)
        self._fixed_P[kinds == "feature_weight"] = 1.0
        self._drawn, self._of_features = np.flatnonzero(kinds == "angle"), np.flatnonzero(of_features)
        self._blocks = IdentityBlocks(circuit) if name == IDENTITY else None

    def draw(self, generator: np.random.Generator) -> NDArray[np.float64]:
        """(P,)."""
        if self._blocks is not None:
            parameters_P = self._fixed_P + self._blocks.draw(generator, **self._options)
        else:
            parameters_P = self._fixed_P.copy()
            parameters_P[self._drawn] = INITIALIZERS[self._name](generator, len(self._drawn), **self._options)
        if self._features is not None:
            parameters_P[self._of_features] = generator.uniform(*self._features, size=len(self._of_features))
        return parameters_P


def _checked_range(where: str, values: Sequence[float]) -> tuple[float, float]:
    ends = tuple(float(value) for value in values)
    if len(ends) != 2 or not all(map(math.isfinite, ends)) or not ends[0] < ends[1]:
        raise InputError(f"{where}: [low, high] with low < high is needed, found {list(values)}")
    return ends[0], ends[1]
