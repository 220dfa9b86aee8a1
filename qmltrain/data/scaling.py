"""Affine scaling of features and of regression targets, fitted on the training rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmltrain.data.protocol import FloatArray
from qmltrain.errors import InputError, StorageError

SCALES = ("none", "standard", "min_max")


@dataclass(frozen=True, eq=False)
class Scaling:
    """``clip((x - center) * factor + shift, low, high)``, feature by feature; with `clips` false not clipped."""

    center_F: FloatArray
    factor_F: FloatArray
    shift_F: FloatArray
    low: float
    high: float
    clips: bool = True

    def transform(self, x_BF: FloatArray) -> FloatArray:
        scaled_BF = (x_BF - self.center_F) * self.factor_F + self.shift_F
        return np.clip(scaled_BF, self.low, self.high) if self.clips else scaled_BF


def fit_scaling(
    chunks: Iterator[FloatArray],
    scale: str,
    low: float,
    high: float,
    clips: bool = True,
    option: str = "preprocess.scale",
) -> Scaling | None:
    """Scaling of the rows in `chunks` (each (b, F)); `option` is for messages.

    `standard`: mean 0, standard deviation 1 (of the population), no clipping. `min_max`: training rows fill
    [low, high], other rows are clipped to it where the scaling `clips`. A feature that is constant on the training rows
    tells nothing: it becomes 0 (`standard`) or the middle of the range (`min_max`) in every row; all constant is
    refused.
    """
    if scale not in SCALES:
        raise InputError(f"{option}: {scale!r} is not known; choose one of {', '.join(SCALES)}")
    if scale == "none":
        return None
    with np.errstate(over="ignore", invalid="ignore"):  # found below, with the feature
        n_rows, mean_F, squares_F, smallest_F, largest_F = _moments(chunks)
    # Not by a variance of 0, which rounding may miss.
    constant_F = smallest_F == largest_F
    if constant_F.all():
        raise InputError(
            f"{option}: {scale} of features that are all constant on the {n_rows} training rows; "
            "there is nothing to learn from"
        )
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        if scale == "standard":
            width_F, center_F, shift_F = np.sqrt(squares_F / n_rows), mean_F, np.zeros_like(mean_F)
            target, low, high = 1.0, -np.inf, np.inf
        else:
            width_F, center_F, target = largest_F - smallest_F, smallest_F, high - low
            shift_F = np.where(constant_F, (low + high) / 2, low)
        factor_F = np.where(constant_F, 0.0, target / width_F)
    usable_F = np.isfinite(factor_F) & np.isfinite(center_F) & np.isfinite(width_F)
    if not usable_F.all():
        feature = int(np.argmin(usable_F))
        raise InputError(
            f"{option}: feature {feature} spans {smallest_F[feature]:g} to {largest_F[feature]:g} on the "
            "training rows, too wide or too narrow for float64; rescale the data"
        )
    return Scaling(center_F, factor_F, shift_F, low, high, clips)


def _moments(chunks: Iterator[FloatArray]) -> tuple[int, FloatArray, FloatArray, FloatArray, FloatArray]:
    """Rows, mean, sum of squared deviations, smallest, largest; chunks joined as by Chan, Golub and LeVeque (1983)."""
    first = next(chunks)
    n_rows, mean_F, smallest_F, largest_F = len(first), first.mean(axis=0), first.min(axis=0), first.max(axis=0)
    squares_F = ((first - mean_F) ** 2).sum(axis=0)
    for x_bF in chunks:
        chunk_mean_F = x_bF.mean(axis=0)
        shift_F = chunk_mean_F - mean_F
        total = n_rows + len(x_bF)
        squares_F += ((x_bF - chunk_mean_F) ** 2).sum(axis=0) + shift_F**2 * (n_rows * len(x_bF) / total)
        mean_F = mean_F + shift_F * (len(x_bF) / total)
        smallest_F, largest_F = np.minimum(smallest_F, x_bF.min(axis=0)), np.maximum(largest_F, x_bF.max(axis=0))
        n_rows = total
    return n_rows, mean_F, squares_F, smallest_F, largest_F


@dataclass(frozen=True)
class TargetScaler:
    """Regression targets to mean 0 and standard deviation 1 on the training rows; `inverse` for metrics."""

    mean: float
    deviation: float

    @classmethod
    def fit(cls, targets: NDArray[np.float64], train_rows: NDArray[Any]) -> TargetScaler:
        """From `targets` (n,) of the training rows; all equal is refused.

        So are targets, of any row, whose squared distance from the mean is no float64, scaled or not: losses and
        metrics square it.
        """
        every = np.asarray(targets, dtype=np.float64)
        values = every[np.sort(train_rows)]
        if not len(values) or values.min() == values.max():
            raise InputError(f"dataset: the targets of the {len(values)} training rows do not vary; nothing to learn")
        with np.errstate(all="ignore"):  # found below
            mean, deviation = float(values.mean()), float(values.std())
            distances = np.maximum(np.abs(every - mean), np.abs((every - mean) / deviation))
            usable = np.isfinite(len(every) * np.square(distances))
        if not (deviation > 0 and usable.all()):
            raise InputError(
                f"dataset: the targets span {every.min():g} to {every.max():g}, those of the training rows have the "
                f"standard deviation {deviation:g}: too wide or too narrow for float64; rescale them"
            )
        return cls(mean, deviation)

    def transform(self, targets: FloatArray) -> FloatArray:
        return (targets - self.mean) / self.deviation

    def inverse(self, scaled: FloatArray) -> FloatArray:
        """Back to the units of the data."""
        return scaled * self.deviation + self.mean

    def state(self) -> dict[str, NDArray[Any]]:
        return {"target_mean": np.array(self.mean), "target_deviation": np.array(self.deviation)}

    @classmethod
    def from_state(cls, state: Mapping[str, NDArray[Any]]) -> TargetScaler:
        try:
            return cls(float(state["target_mean"]), float(state["target_deviation"]))
        except KeyError as error:
            raise StorageError(f"target scaler: the stored state has no {error.args[0]!r}; it is incomplete") from None
