"""The generators of a benchmark study of quantum models, two classes each, and its published rows.

Bowles, Ahmed, Schuld, "Better than classical? The subtle art of benchmarking quantum machine learning models"
(2024), arXiv:2403.07059, appendix on data. Random numbers come from NumPy's legacy generator (Mersenne Twister) in the
order in which the study drew them, so that a seed gives the study's rows. Its files come from one generator for many
sizes, one set after the other, each followed by the shuffle of its split: `published` names such a series, in which
the set of the given size is found. Class 0 has the label -1, class 1 the label 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qmltrain.data.array_source import ArraySource, array_source
from qmltrain.data.checks import ArrayNames, describe
from qmltrain.data.ordered_sums import sequential_matmul
from qmltrain.data.protocol import FloatArray, PartArray
from qmltrain.data.splits import TEST, TRAIN
from qmltrain.errors import InputError

CLASS_NAMES = ("-1", "1")
TEST_SHARE = 0.2  # of a published set
_Rows = tuple[FloatArray, NDArray[np.int64]]
_Draw = np.random.RandomState


class Series(NamedTuple):
    """Sets that were drawn one after the other from `seed`, behind the sets `before` them: what each is made with."""

    seed: int
    sets: tuple[dict[str, Any], ...]
    before: tuple[dict[str, Any], ...] = ()


_SIZES = range(2, 21)
_MANIFOLDS = tuple({"n_features": n} for n in _SIZES)
_CURVES = tuple({"n_features": n} for n in _SIZES)
SERIES: dict[str, dict[str, Series]] = {
    "linearly_separable": {"linearly_separable": Series(42, tuple({"n_features": n} for n in _SIZES))},
    "hidden_manifold": {
        "hidden_manifold": Series(3, _MANIFOLDS),
        "hidden_manifold_diff": Series(3, tuple({"manifold_dimension": m} for m in _SIZES), _MANIFOLDS),
    },
    "hyperplanes": {"hyperplanes_diff": Series(1, tuple({"n_hyperplanes": k} for k in _SIZES))},
    "two_curves": {
        "two_curves": Series(3, _CURVES),
        "two_curves_diff": Series(3, tuple({"degree": k, "offset": 1 / (2 * k)} for k in _SIZES), _CURVES),
    },
}


def linearly_separable(
    *,
    n_samples: int | None = None,
    n_features: int | None = None,
    margin: float | None = None,
    generator_seed: int | None = None,
    published: str | None = None,
) -> ArraySource:
    """300 points, uniform in a cube of 10 dimensions, on either side of the plane ``sum_i x_i = 0``, but none where
    ``|sum_i x_i|`` is at most the `margin` (null: 0.02 `n_features`)."""
    options = {"n_samples": n_samples, "n_features": n_features, "margin": margin}
    return _source("linearly_separable", _separable, options, generator_seed, published)


def hidden_manifold(
    *,
    n_samples: int | None = None,
    n_features: int | None = None,
    manifold_dimension: int | None = None,
    generator_seed: int | None = None,
    published: str | None = None,
) -> ArraySource:
    """300 points of 6 dimensions, bent into 10 dimensions, labelled there by a network of one random hidden layer:
    ``x = tanh(F c / sqrt(m) - b)``, class 1 where ``v . tanh(W c)`` is above its median.

    Goldt, Mezard, Krzakala, Zdeborova, Phys. Rev. X 10, 041044 (2020).
    """
    options = {"n_samples": n_samples, "n_features": n_features, "manifold_dimension": manifold_dimension}
    return _source("hidden_manifold", _manifold, options, generator_seed, published)


def hyperplanes(
    *,
    n_samples: int | None = None,
    n_features: int | None = None,
    n_hyperplanes: int | None = None,
    manifold_dimension: int | None = None,
    generator_seed: int | None = None,
    published: str | None = None,
) -> ArraySource:
    """150 normal points each, of 3 dimensions, that are on the positive side of an even (class 0) and of an odd number
    of `n_hyperplanes` random hyperplanes (null: 2), mapped linearly into 10 dimensions and standardised."""
    options = {"n_samples": n_samples, "n_features": n_features, "n_hyperplanes": n_hyperplanes}
    options["manifold_dimension"] = manifold_dimension
    return _source("hyperplanes", _planes, options, generator_seed, published)


def two_curves(
    *,
    n_samples: int | None = None,
    n_features: int | None = None,
    degree: int | None = None,
    offset: float | None = None,
    noise: float | None = None,
    generator_seed: int | None = None,
    published: str | None = None,
) -> ArraySource:
    """150 points each on a random curve, a Fourier series of `degree` (null: 5) in each of 10 features, and on the same
    curve moved by `offset` (null: 0.1), with normal `noise` (null: 0.01); standardised."""
    options = {"n_samples": n_samples, "n_features": n_features, "degree": degree, "offset": offset, "noise": noise}
    return _source("two_curves", _curves, options, generator_seed, published)


def bars_and_stripes(
    *,
    n_samples: int | None = None,
    height: int | None = None,
    width: int | None = None,
    noise: float | None = None,
    generator_seed: int | None = None,
) -> ArraySource:
    """1,200 images of 4 x 4 pixels, -1 but for random columns (class 0) or random rows (class 1) of 1, with normal
    `noise` (null: 0.5)."""
    options = {"n_samples": n_samples, "height": height, "width": width, "noise": noise}
    return _source("bars_and_stripes", _bars, options, generator_seed, None)


def _source(
    name: str, make: Callable[..., _Rows], options: Mapping[str, Any], seed: int | None, published: str | None
) -> ArraySource:
    given = {key: value for key, value in options.items() if value is not None}
    _check(given, seed)
    parts: PartArray | None = None
    if published is None:
        seed = seed or 0
        x, y = make(_Draw(seed), **given)
    else:
        series = _series(name, published)
        if seed not in (None, series.seed):
            raise InputError(f"dataset.generator_seed: {seed}; {published} has its own, {series.seed}")
        seed = series.seed
        x, y, parts = _published(series, _set_of(series, published, make.__kwdefaults__ or {}, given), make)
    source = array_source(name, x, y, ArrayNames(name), class_names=CLASS_NAMES, parts=parts)
    origin = f"seed {seed}" if published is None else f"arXiv:2403.07059, {published}"
    return source.told(description=describe(source.info, origin))


def _series(name: str, published: str) -> Series:
    known = SERIES[name]
    if published not in known:
        raise InputError(f"dataset.published: {published!r} is no series of {name}; choose {' or '.join(known)}")
    return known[published]


def _set_of(series: Series, name: str, defaults: Mapping[str, Any], given: Mapping[str, Any]) -> int:
    """The number of the set that has all options as `given`."""
    found = [k for k, one in enumerate(series.sets) if all((dict(defaults) | one)[o] == v for o, v in given.items())]
    key = next(iter(series.sets[0]))
    if len(found) != 1:
        sizes = [one[key] for one in series.sets]
        said = ", ".join(f"dataset.{option}={value}" for option, value in given.items()) or f"no dataset.{key}"
        raise InputError(
            f"dataset.published: {said}; the sets of {name} have dataset.{key}={sizes[0]} to {sizes[-1]}, everything "
            "else is as published: leave it null"
        )
    return found[0]


def _published(series: Series, wanted: int, make: Callable[..., _Rows]) -> tuple[FloatArray, NDArray[Any], PartArray]:
    """Rows of the set, and which of them are its test rows: as scikit-learn's train_test_split takes them."""
    state = _Draw(series.seed)
    for one in (*series.before, *series.sets[: wanted + 1]):
        x, y = make(state, **one)
        shuffled = state.permutation(len(x))
    parts = np.full(len(x), TRAIN, dtype=np.int8)
    parts[shuffled[: math.ceil(TEST_SHARE * len(x))]] = TEST
    return x, y, parts


def _check(given: Mapping[str, Any], seed: int | None) -> None:
    if seed is not None and not 0 <= seed < 2**32:
        raise InputError(f"dataset.generator_seed: {seed} is not possible; 0 to {2**32 - 1}")
    for option, value in given.items():
        least = 0 if option in ("noise", "margin") else 2 if option == "n_samples" else 1
        if option == "offset":
            if not math.isfinite(value):
                raise InputError(f"dataset.offset: {value} is not possible; a finite number")
        elif not least <= value < math.inf:
            raise InputError(f"dataset.{option}: {value} is not possible; at least {least}")


def _halves(n_samples: int) -> int:
    if n_samples % 2:
        raise InputError(f"dataset.n_samples: {n_samples} is odd; both classes have as many")
    return n_samples // 2


def _standardised(x_BF: FloatArray) -> FloatArray:
    return np.asarray((x_BF - x_BF.mean(axis=0)) / x_BF.std(axis=0))


def _two_blocks(half: int) -> NDArray[np.int64]:
    return np.repeat(np.arange(2), half)


def _separable(state: _Draw, *, n_samples: int = 300, n_features: int = 10, margin: float | None = None) -> _Rows:
    least = 0.02 * n_features if margin is None else margin
    x_BF = state.uniform(-1, 1, (2 * n_samples, n_features))
    far = np.abs(x_BF.sum(axis=1)) > least
    if far.sum() < n_samples:
        raise InputError(
            f"dataset.margin: {least:g} leaves {far.sum()} of {2 * n_samples} drawn points, {n_samples} are asked for; "
            "choose a smaller one"
        )
    x_BF = x_BF[far][:n_samples]
    return x_BF, (x_BF.sum(axis=1) <= 0).astype(np.int64)


def _manifold(state: _Draw, *, n_samples: int = 300, n_features: int = 10, manifold_dimension: int = 6) -> _Rows:
    m = manifold_dimension
    features_MF = state.normal(size=(m, n_features))
    c_BM = state.normal(size=(n_samples, m))
    bias_F = state.uniform(-1, 1, n_features)
    x_BF = np.tanh(sequential_matmul(c_BM, features_MF) / np.sqrt(m) - bias_F)
    hidden_MM = state.normal(size=(m, m))
    output_M = state.normal(size=m)
    score_B = sequential_matmul(np.tanh(sequential_matmul(c_BM, hidden_MM.T)), output_M[:, None])[:, 0] / np.sqrt(m)
    return x_BF, (score_B > np.median(score_B)).astype(np.int64)


def _planes(
    state: _Draw, *, n_samples: int = 300, n_features: int = 10, n_hyperplanes: int = 2, manifold_dimension: int = 3
) -> _Rows:
    half = _halves(n_samples)
    normals_KQ = state.uniform(0, 1, (n_hyperplanes, manifold_dimension))
    shifts_K = state.uniform(0, 1, n_hyperplanes)
    x_BQ = state.normal(size=(4 * n_samples, manifold_dimension))
    odd = (sequential_matmul(x_BQ, normals_KQ.T) + shifts_K > 0).sum(axis=1) % 2 == 1
    if min(odd.sum(), (~odd).sum()) < half:
        raise InputError(
            f"dataset.n_hyperplanes: {n_hyperplanes} hyperplanes of this seed leave one class "
            f"{min(odd.sum(), (~odd).sum())} of {4 * n_samples} drawn points, {half} are needed; choose another "
            "dataset.generator_seed"
        )
    both_BQ = np.concatenate([x_BQ[~odd][:half], x_BQ[odd][:half]])
    mixing_QF = state.uniform(0, 1, (manifold_dimension, n_features))
    return _standardised(sequential_matmul(both_BQ, mixing_QF)), _two_blocks(half)


def _curves(
    state: _Draw,
    *,
    n_samples: int = 300,
    n_features: int = 10,
    degree: int = 5,
    offset: float = 0.1,
    noise: float = 0.01,
) -> _Rows:
    half = _halves(n_samples)
    waves_FD2 = state.uniform(0, 1, (n_features, degree + 1, 2))
    waves_FD2 /= np.sqrt(np.square(waves_FD2).sum())
    t_B, noise_BF = np.empty(n_samples), np.empty((n_samples, n_features))
    for row in range(n_samples):
        t_B[row] = state.uniform()
        noise_BF[row] = state.normal(0, noise, n_features)
    angles_BD = np.pi * t_B[:, None] * np.arange(1, degree + 1)
    x_BF = waves_FD2[:, 0].sum(axis=1) + noise_BF
    x_BF += sequential_matmul(np.cos(angles_BD), waves_FD2[:, 1:, 0].T)
    x_BF += sequential_matmul(np.sin(angles_BD), waves_FD2[:, 1:, 1].T)
    x_BF[half:] += offset
    return _standardised(x_BF), _two_blocks(half)


def _bars(state: _Draw, *, n_samples: int = 1200, height: int = 4, width: int = 4, noise: float = 0.5) -> _Rows:
    x_BHW, y_B = np.full((n_samples, height, width), -1.0), np.empty(n_samples, dtype=np.int64)
    for row in range(n_samples):
        y_B[row] = state.uniform() > 0.5
        if y_B[row]:
            x_BHW[row][state.uniform(size=height) > 0.5] = 1
        else:
            x_BHW[row][:, state.uniform(size=width) > 0.5] = 1
        x_BHW[row] += state.normal(0, noise, (height, width))
    return x_BHW, y_B
