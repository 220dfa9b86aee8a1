"""Which feature values an encoding can take; the check is on data, so it is made when data is there."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qmltrain.circuit.circuit import Circuit
from qmltrain.errors import InputError


class FeatureDomain:
    """What features `circuit` is defined at; made once, checked on every batch.

    All values must be finite; features under an arccos (the `chebyshev` encoding) in [-1, 1]; with
    `encoding_name` "basis" all features 0 or 1. The number of features must be the circuit's. (Rules on whole rows of
    amplitude encoding are in `qmltrain.circuit.amplitude`.) `under_arccos` and `bits` say which of these there are.
    """

    def __init__(self, circuit: Circuit, encoding_name: str = "") -> None:
        self.n_features = circuit.n_features
        self.bits = encoding_name == "basis"
        self.under_arccos = sorted(
            {
                angle.feature.indices[0]
                for angle in circuit.slots.per_sample
                if angle.feature is not None and angle.feature.kind == "arccos"
            }
        )

    @property
    def restricted(self) -> bool:
        """Whether there are finite values that a feature cannot take."""
        return self.bits or bool(self.under_arccos)

    def check(self, x_BF: ArrayLike, rows_B: NDArray[np.int64] | None = None) -> None:
        """Raise InputError, naming sample and feature, where the circuit is not defined at a value of `x_BF` (B, F).

        `rows_B` are the samples' numbers in the data set (null: 0, 1, ...).
        """
        features_BF = np.asarray(x_BF, dtype=np.float64)
        if features_BF.ndim != 2 or features_BF.shape[1] != self.n_features:
            raise InputError(
                f"features: the circuit takes {self.n_features} features per sample, found an array of shape "
                f"{features_BF.shape}"
            )
        rows_B = np.arange(len(features_BF)) if rows_B is None else rows_B
        _refuse(~np.isfinite(features_BF), features_BF, rows_B, "is not finite; clean the data")
        if self.under_arccos:
            outside_BF = np.zeros(features_BF.shape, dtype=bool)
            outside_BF[:, self.under_arccos] = np.abs(features_BF[:, self.under_arccos]) > 1.0
            _refuse(
                outside_BF,
                features_BF,
                rows_B,
                "is outside [-1, 1], where arccos is defined; set preprocess.range=[-1, 1], and clip",
            )
        if self.bits:
            bits_BF = (features_BF == 0.0) | (features_BF == 1.0)
            _refuse(~bits_BF, features_BF, rows_B, "is neither 0 nor 1, as the basis encoding needs; binarise the data")


def _refuse(bad_BF: np.ndarray, features_BF: np.ndarray, rows_B: np.ndarray, reason: str) -> None:
    if bad_BF.any():
        row, column = (int(index) for index in np.argwhere(bad_BF)[0])
        count = int(bad_BF.sum())
        others = f" ({count - 1} more)" if count > 1 else ""
        raise InputError(
            f"features: sample {rows_B[row]}, feature {column}: {features_BF[row, column]:.6g} {reason}{others}"
        )
