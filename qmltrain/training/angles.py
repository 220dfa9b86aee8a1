"""Parameters and features to slot values, and slot gradients back: the chain rule, in one place.

value = scale * f(x) * theta[weight] + theta[bias] + offset

d value / d theta[weight] = scale * f(x),   d value / d theta[bias] = 1,   d value / d x = scale * w * f'(x)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qmltrain.circuit.angle import Angle, Feature
from qmltrain.circuit.circuit import Circuit
from qmltrain.engines.protocol import Array, FloatArray
from qmltrain.errors import InputError, NonFiniteError
from qmltrain.training.reduction import array_namespace

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class AngleColumns:
    """Angles of slots as index arrays; `weight` and `bias` point into theta followed by a 1 and a 0."""

    scale: FloatArray
    offset: FloatArray
    weight: IntArray
    bias: IntArray

    @classmethod
    def of(cls, angles: Sequence[Angle], n_parameters: int) -> AngleColumns:
        one, zero = n_parameters, n_parameters + 1
        # without a feature and without a weight the product is absent: scale 0
        scale = [a.scale if a.feature is not None or a.weight is not None else 0.0 for a in angles]
        return cls(
            np.array(scale, dtype=np.float64),
            np.array([a.offset for a in angles], dtype=np.float64),
            np.array([one if a.weight is None else a.weight for a in angles], dtype=np.int64),
            np.array([zero if a.bias is None else a.bias for a in angles], dtype=np.int64),
        )


class AngleMap:
    """theta_P, x_BF to the values of slots, and the way back. Made once for a circuit.

    `features`: of per-sample slots.
    """

    def __init__(self, circuit: Circuit) -> None:
        self.n_parameters = circuit.n_parameters
        self.n_features = circuit.n_features
        slots = circuit.slots
        self.shared_columns = AngleColumns.of(slots.shared, self.n_parameters)
        self.per_sample_columns = AngleColumns.of(slots.per_sample, self.n_parameters)
        self.features = [angle.feature for angle in slots.per_sample if angle.feature is not None]
        self._linear = np.array([f.indices[0] if f.kind == "linear" else -1 for f in self.features], dtype=np.int64)
        self._only_linear = bool(np.all(self._linear >= 0))
        self._each_once = bool(np.array_equal(self._linear, np.arange(self.n_features)))
        self._has_trainable_encoding = any(a.weight is not None or a.bias is not None for a in slots.per_sample)

    def shared(self, theta_P: FloatArray) -> FloatArray:
        """(S,) values of the shared slots. Raises NonFiniteError where one is NaN or infinite: engines make angles
        fractions of 2 pi, which would hide it."""
        extended, columns = _extended(theta_P), self.shared_columns
        values_S: FloatArray = columns.scale * extended[columns.weight] + extended[columns.bias] + columns.offset
        return _require_finite(values_S, "shared")

    def per_sample(self, theta_P: FloatArray, x_BF: FloatArray) -> FloatArray:
        """(B, S') values of the per-sample slots. Raises NonFiniteError as `shared` does, and InputError where arccos
        is asked of a feature outside [-1, 1]."""
        extended, columns = _extended(theta_P), self.per_sample_columns
        result_BS: FloatArray = columns.scale * extended[columns.weight] * self.feature_values(x_BF)
        result_BS += extended[columns.bias] + columns.offset
        return _require_finite(result_BS, "per-sample")

    def feature_values(self, x_BF: FloatArray) -> FloatArray:
        """(B, S') f(x) of every per-sample slot."""
        if self._each_once:
            return x_BF
        if self._only_linear:
            return x_BF[:, self._linear]
        return np.stack([feature_value(f, x_BF) for f in self.features], axis=1)

    def shared_gradient(self, gradient_S: FloatArray) -> FloatArray:
        """Gradient of the shared slots (S,) or (B, S) -> (P,) or (B, P)."""
        return self._scatter(gradient_S * self.shared_columns.scale, gradient_S, self.shared_columns)

    @property
    def has_trainable_encoding(self) -> bool:
        """Whether any per-sample angle has a trainable weight or bias."""
        return self._has_trainable_encoding

    def encoding_factors(self, x_BF: FloatArray) -> FloatArray:
        """(B, S') scale * f(x) of every per-sample slot: what `encoding_terms` takes beside the gradients."""
        return self.per_sample_columns.scale * self.feature_values(x_BF)

    def encoding_sums(self, gradient_BS: FloatArray, x_BF: FloatArray) -> FloatArray:
        """(B, 2 S'): what of each sample's per-sample slot gradients enters weights, then biases.

        Linear, so it may be summed over samples in any fixed order before `encoding_gradient`.
        """
        return self.encoding_terms(gradient_BS, self.encoding_factors(x_BF))

    def encoding_terms(self, gradient_BS: Array, factors_BS: Array) -> Array:
        """`encoding_sums` from `encoding_factors`, on the array namespace of the gradients."""
        return array_namespace(gradient_BS).concat([gradient_BS * factors_BS, gradient_BS], axis=1)

    def encoding_gradient(self, sums_2S: FloatArray) -> FloatArray:
        """Sums (2 S',) or (B, 2 S') of `encoding_sums` -> (P,) or (B, P)."""
        half = sums_2S.shape[-1] // 2
        return self._scatter(sums_2S[..., :half], sums_2S[..., half:], self.per_sample_columns)

    def _scatter(self, weighted: FloatArray, plain: FloatArray, columns: AngleColumns) -> FloatArray:
        size = self.n_parameters + 2
        if weighted.ndim == 2:
            pairs = zip(weighted, plain, strict=True)
            return np.stack([self._scatter(a, b, columns) for a, b in pairs])
        total: FloatArray = np.bincount(columns.weight, weighted, minlength=size).astype(np.float64)
        total = total + np.bincount(columns.bias, plain, minlength=size)
        return total[: self.n_parameters]

    def input_gradient(self, gradient_BS: FloatArray, theta_P: FloatArray, x_BF: FloatArray) -> FloatArray:
        """Gradient of the per-sample slots (B, S') -> (B, F) with respect to the features."""
        extended = _extended(theta_P)
        factor_BS = gradient_BS * self.per_sample_columns.scale * extended[self.per_sample_columns.weight]
        result = np.zeros_like(x_BF, dtype=np.float64)
        for column, feature in enumerate(self.features):
            for index, derivative in _derivatives(feature, x_BF):
                result[:, index] += factor_BS[:, column] * derivative
        return result


def _require_finite(values: FloatArray, kind: str) -> FloatArray:
    if np.isfinite(values).all():
        return values
    where = tuple(np.argwhere(~np.isfinite(values))[0])
    raise NonFiniteError(
        f"the angle of {kind} slot {where[-1]} is {values[where]}; a parameter or a feature is NaN or infinite"
    )


def _extended(theta_P: FloatArray) -> FloatArray:
    """What `AngleColumns.weight` and `.bias` point into."""
    return np.concatenate([theta_P, (1.0, 0.0)])


def feature_value(feature: Feature, x_BF: FloatArray) -> FloatArray:
    """f(x) of every sample (B,). Raises InputError where arccos is asked of a number outside [-1, 1]."""
    columns = x_BF[:, list(feature.indices)]
    if feature.kind == "linear":
        return columns[:, 0]
    if feature.kind == "arccos":
        bad = np.flatnonzero(np.abs(columns[:, 0]) > 1)
        if len(bad):
            raise InputError(
                f"feature {feature.indices[0]} of sample {bad[0]} is {columns[bad[0], 0]:.6g}: arccos needs [-1, 1]; "
                "set preprocess.scale=min_max preprocess.range=[-1,1]"
            )
        return np.arccos(columns[:, 0])
    return np.prod(feature.centre - columns, axis=1)


def _derivatives(feature: Feature, x_BF: FloatArray) -> list[tuple[int, FloatArray]]:
    """(feature index, df/dx_index) for each factor; an index that occurs twice gives two entries."""
    columns = x_BF[:, list(feature.indices)]
    if feature.kind == "linear":
        return [(feature.indices[0], np.ones(len(x_BF)))]
    if feature.kind == "arccos":
        return [(feature.indices[0], -1 / np.sqrt(np.maximum(1e-300, 1 - columns[:, 0] ** 2)))]
    factors = feature.centre - columns
    return [(i, -np.prod(np.delete(factors, k, axis=1), axis=1)) for k, i in enumerate(feature.indices)]
