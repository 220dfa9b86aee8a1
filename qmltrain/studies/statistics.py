"""What the draws of a quantity say: mean, variance, quantiles, slopes, each with its uncertainty.

A variance is one over draws, at a fixed column (one parameter, one layer); means over columns are taken afterwards.
Its interval is a BCa bootstrap (Efron, Journal of the American Statistical Association 82, 171 (1987); Efron,
Tibshirani, An Introduction to the Bootstrap (1993), ch. 14): heavy tails, as gradients of global costs have them, make
the plain percentiles too low. Seeds are fixed, so the same draws give the same numbers. Resampling is on counts: a
resample is (how often each group of draws is taken) times (sums over groups), with at most `GROUPS` groups of
consecutive draws, which cost the same for any number of draws.

Shape letters: D draws, G columns, R resamples, U groups, K points.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from types import EllipsisType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qmltrain.blas_threads import one_thread
from qmltrain.engines.protocol import FloatArray
from qmltrain.errors import InputError

CONFIDENCE = 0.95
RESAMPLES = 1_000
GROUPS = 1_000
SEED = 20_180_803
PORTION = 1 << 20  # numbers that are worked on at a time
MOST_MISSING = 0.01  # of the resamples of a slope, whose variance is 0
LEVELS = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)  # of the quantiles: least, median and greatest among them


@dataclass(frozen=True)
class Estimate:
    """A number from draws, and both ends of its `CONFIDENCE` interval; NaN where too few draws say nothing."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Columns:
    """Of each column over draws, arrays (G,): mean and its standard error; variance (divided by D - 1)."""

    n_draws: int
    mean_G: FloatArray
    mean_error_G: FloatArray
    variance_G: FloatArray


def columns(values_DG: ArrayLike) -> Columns:
    """Raises InputError without draws. One draw has no variance: NaN."""
    values = _draws(values_DG)
    n_draws = len(values)
    mean_G = values.mean(axis=0)
    variance_G = np.full(mean_G.shape, np.nan)
    if n_draws > 1:
        for part in _parts(values):
            variance_G[part] = values[..., part].var(axis=0, ddof=1) if values.ndim > 1 else values.var(ddof=1)
    return Columns(n_draws, mean_G, np.sqrt(variance_G / n_draws), variance_G)


def quantiles(values_D: ArrayLike, levels: Sequence[float] = LEVELS) -> FloatArray:
    """Linear between order statistics (definition 7 of Hyndman, Fan, The American Statistician 50, 361 (1996))."""
    return np.quantile(_draws(values_D), levels, axis=0)


def variance(values_DG: ArrayLike, seed: int = SEED) -> Estimate:
    """The variance over draws, its mean over the columns (D, G); or of one column (D,).

    Columns of one draw are resampled together, so their correlations are in the interval.
    """
    values = _draws(values_DG)
    values = values.reshape(len(values), -1)
    value = float(columns(values).variance_G.mean())
    return interval(value, variance_resamples(values, seed), variance_influence(values))


def variance_resamples(values_DG: ArrayLike, seed: int = SEED) -> FloatArray:
    """(R,): the same of bootstrap resamples of the draws; NaN for fewer than two draws."""
    values = _draws(values_DG)
    values = values.reshape(len(values), -1)
    n_draws = len(values)
    if n_draws < 2:
        return np.full(RESAMPLES, np.nan)
    starts, sizes_U = _groups(n_draws)
    sums_UG, squares_D = np.empty((len(starts), values.shape[1])), np.zeros(n_draws)
    for part in _parts(values):
        centred = values[:, part] - values[:, part].mean(axis=0)  # the sums of squares lose no digits
        sums_UG[:, part] = np.add.reduceat(centred, starts, axis=0)
        squares_D += np.einsum("dg,dg->d", centred, centred)
    squares_U = np.add.reduceat(squares_D, starts)
    counts_RU = _counts(len(starts), seed)
    n_R = (counts_RU * sizes_U).sum(axis=1)
    means_RG = _product(counts_RU, sums_UG) / n_R[:, None]
    squares_R = (counts_RU * squares_U).sum(axis=1)
    spread_R = squares_R / n_R - np.einsum("rg,rg->r", means_RG, means_RG)
    # once for the divisor D - 1, once since a resample's spread is on average smaller by the same factor
    return np.maximum(spread_R, 0.0) / values.shape[1] * (n_draws / (n_draws - 1)) ** 2


def mean_resamples(values_D: ArrayLike, seed: int = SEED) -> FloatArray:
    """(R,): means of bootstrap resamples of the draws."""
    values = _draws(values_D)
    starts, sizes_U = _groups(len(values))
    counts_RU = _counts(len(starts), seed)
    sums_U = np.add.reduceat(values, starts)
    found: FloatArray = (counts_RU * sums_U).sum(axis=1) / (counts_RU * sizes_U).sum(axis=1)
    return found


def variance_influence(values_DG: ArrayLike) -> FloatArray:
    """(D,): how each draw moves the mean over columns of the variance, (x - mean)^2 - variance."""
    values = _draws(values_DG)
    values = values.reshape(len(values), -1)
    squares_D = np.zeros(len(values))
    for part in _parts(values):
        squares_D += np.sum((values[:, part] - values[:, part].mean(axis=0)) ** 2, axis=1)
    return (squares_D - squares_D.mean()) / values.shape[1]


def interval(value: float, resamples_R: FloatArray, influence_D: FloatArray) -> Estimate:
    """The BCa interval of `value`: quantiles of its resamples, at levels corrected for bias and skewness."""
    from scipy.special import ndtr, ndtri

    missing = Estimate(value, np.nan, np.nan)
    if not np.isfinite(value) or not np.isfinite(resamples_R).all():
        return missing
    spread = float(np.sum(influence_D**2))
    if spread == 0.0:  # every draw is the same
        return Estimate(value, value, value)
    below = (np.sum(resamples_R < value) + 0.5 * np.sum(resamples_R == value)) / len(resamples_R)
    least = 0.5 / len(resamples_R)
    bias = ndtri(min(max(below, least), 1.0 - least))
    skewness = float(np.sum(influence_D**3)) / (6.0 * spread**1.5)
    ends = bias + ndtri(np.array([0.5 - CONFIDENCE / 2, 0.5 + CONFIDENCE / 2]))
    levels = ndtr(bias + ends / np.maximum(1.0 - skewness * ends, 1e-3))
    low, high = np.quantile(resamples_R, levels)
    return Estimate(value, float(low), float(high))


def identically_zero(gradient_DG: ArrayLike, tolerance: float) -> np.ndarray:
    """(G,) bool: columns that are 0 within `tolerance` in every draw. They are counted and left out of means."""
    gradient = _draws(gradient_DG)
    return np.maximum(gradient.max(axis=0), -gradient.min(axis=0)) <= tolerance


def rounding(precision: str, n_gates: int, scale: float) -> float:
    """A bound on the rounding error of a gradient: eight roundings a gate that add up at random, of an observable of
    norm `scale`."""
    unit = np.finfo(np.float32 if precision == "complex64" else np.float64).eps
    return float(8.0 * unit * np.sqrt(max(n_gates, 1)) * scale)


def slope(x_K: ArrayLike, variance_K: ArrayLike, resamples_KR: ArrayLike) -> Estimate:
    """The slope of ln variance (or of another positive number) against x by least squares, all points of equal weight.

    The interval (percentiles) is that of the draws: how well the slope of these points is known, not how well they lie
    on a line. Resamples of the points must come from seeds of their own. Raises InputError for fewer than two different
    x; a variance that is 0 gives NaN.
    """
    x = np.asarray(x_K, dtype=np.float64)
    if len(np.unique(x)) < 2:
        raise InputError("a slope needs points at two different places")
    centred = x - x.mean()
    weights_K = centred / np.sum(centred**2)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = float(np.sum(weights_K * np.log(np.asarray(variance_K))))
        resampled_R = np.sum(weights_K[:, None] * np.log(np.asarray(resamples_KR)), axis=0)
    finite = np.isfinite(resampled_R)  # not those that took one draw again and again
    if not np.isfinite(value) or finite.mean() < 1.0 - MOST_MISSING:
        return Estimate(value if np.isfinite(value) else np.nan, np.nan, np.nan)
    low, high = np.quantile(resampled_R[finite], [0.5 - CONFIDENCE / 2, 0.5 + CONFIDENCE / 2])
    return Estimate(value, float(low), float(high))


def _draws(values: ArrayLike) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if not array.ndim or not len(array):
        raise InputError("statistics need at least one draw")
    return array


def _parts(values_DG: FloatArray) -> list[slice | EllipsisType]:
    """Columns in portions, so that what is made of them stays small beside the draws."""
    if values_DG.ndim < 2:
        return [...]
    n_columns = values_DG.shape[1]
    step = max(1, PORTION // len(values_DG))
    return [slice(first, first + step) for first in range(0, n_columns, step)]


def _groups(n_draws: int) -> tuple[NDArray[np.int64], FloatArray]:
    """(U,): where each group of consecutive draws begins, and its size."""
    n_groups = min(n_draws, GROUPS)
    starts = np.arange(n_groups) * n_draws // n_groups
    return starts, np.diff(np.append(starts, n_draws)).astype(np.float64)


@functools.lru_cache(maxsize=4)
def _counts(n_groups: int, seed: int) -> FloatArray:
    """(R, U): how often each group is in each resample."""
    generator = np.random.default_rng([seed, n_groups])
    taken_RU = generator.integers(n_groups, size=(RESAMPLES, n_groups)) + n_groups * np.arange(RESAMPLES)[:, None]
    counts = np.bincount(taken_RU.reshape(-1), minlength=RESAMPLES * n_groups)
    return counts.reshape(RESAMPLES, n_groups).astype(np.float64)


def _product(counts_RU: FloatArray, sums_UG: FloatArray) -> FloatArray:
    """Their product, whose last bits would change with the number of BLAS threads."""
    with one_thread():
        return counts_RU @ sums_UG
