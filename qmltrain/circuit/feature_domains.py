"""Which feature values an encoding can take; the check is on data, so it is made when data is there."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from qmltrain.circuit.circuit import Circuit
from qmltrain.errors import InputError


class FeatureDomain:
    """What features `circuit` is defined at; made once, checked on every batch.

    All values must be finite; features under an arccos (the `chebyshev` encoding) in [-1, 1]; with
    `encoding_name` "basis" all features 0 or 1. The number of features must be the circuit's. (Rules on whole rows of
    amplitude encoding are in `qmltrain.circuit.amplitude`.)
    """

    def __init__(self, circuit: Circuit, encoding_name: str = "") -> None:
        self.n_features = circuit.n_features
        self.bits = encoding_name == "basis"
        self._under_arccos = sorted(
            {
                angle.feature.indices[0]
                for angle in circuit.slots.per_sample
                if angle.feature is not None and angle.feature.kind == "arccos"
            }
        )

    def check(self, x_BF: ArrayLike) -> None:
        """Raise InputError, naming sample and feature, where the circuit is not defined at a value of `x_BF` (B, F)."""
        features_BF = np.asarray(x_BF, dtype=np.float64)
        if features_BF.ndim != 2 or features_BF.shape[1] != self.n_features:
            raise InputError(
                f"features: the circuit takes {self.n_features} features a sample, found an array of shape "
                f"{features_BF.shape}"
            )
        _refuse(~np.isfinite(features_BF), features_BF, "is not finite; clean the data")
        if self._under_arccos:
            outside_BF = np.zeros(features_BF.shape, dtype=bool)
            outside_BF[:, self._under_arccos] = np.abs(features_BF[:, self._under_arccos]) > 1.0
            _refuse(
                outside_BF, features_BF, "is outside [-1, 1], where arccos is defined; set preprocess.range=[-1, 1]"
            )
        if self.bits:
            bits_BF = (features_BF == 0.0) | (features_BF == 1.0)
            _refuse(~bits_BF, features_BF, "is neither 0 nor 1, as the basis encoding needs; binarise the data")


def check_feature_values(circuit: Circuit, x_BF: ArrayLike, encoding_name: str = "") -> None:
    """`FeatureDomain.check` in one call."""
    FeatureDomain(circuit, encoding_name).check(x_BF)


def _refuse(bad_BF: np.ndarray, features_BF: np.ndarray, reason: str) -> None:
    if bad_BF.any():
        row, column = (int(index) for index in np.argwhere(bad_BF)[0])
        count = int(bad_BF.sum())
        others = f" ({count - 1} more)" if count > 1 else ""
        raise InputError(f"features: sample {row}, feature {column}: {features_BF[row, column]:.6g} {reason}{others}")
