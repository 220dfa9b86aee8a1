"""From samples to features: resize, standardise, principal components, scale, normalise; all fitted on training rows.

Everything is fitted and applied in chunks, so that memory does not grow with the data; chunks depend on the shape of
a sample alone and rows are taken in the order of the source, so that the same data gives the same bits however it
is stored. A row's features do not depend on the batch they are computed in (see `ordered_sums`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmltrain.data.checks import chunks
from qmltrain.data.ordered_sums import row_norms
from qmltrain.data.pooling import Size, average_pool, pooled_size
from qmltrain.data.principal_components import PrincipalComponents, fit_principal_components
from qmltrain.data.protocol import FloatArray, Source
from qmltrain.data.scaling import Scaling, TargetScaler, fit_scaling
from qmltrain.errors import InputError, StorageError
from qmltrain.wording import plural

__all__ = ["Preprocessor", "TargetScaler"]


@dataclass(frozen=True, eq=False)
class Preprocessor:
    """The fitted steps, in the order in which they are applied; a step that is None is left out."""

    sample_shape: tuple[int, ...]
    resize: Size | None = None
    standard: Scaling | None = None
    pca: PrincipalComponents | None = None
    scaling: Scaling | None = None
    normalize: bool = False

    @classmethod
    def fit(
        cls,
        source: Source,
        train_rows: NDArray[Any],
        *,
        resize: int | Sequence[int] | None = None,
        standardize: bool = False,
        pca: int | None = None,
        scale: str = "none",
        range: Sequence[float] = (-math.pi / 2, math.pi / 2),
        clip: bool = True,
        normalize: bool = False,
    ) -> Preprocessor:
        """Fit on the `train_rows` of `source` and nothing else; options are those of the config group `preprocess`.

        `resize` averages images to a side or [height, width]; `standardize` gives what is left mean 0 and deviation 1;
        `pca` keeps at most that many principal components; `scale` is none, standard or min_max (to `range`, other rows
        clipped to it, or not: `clip`); `normalize` divides each row by its L2 norm. The order of `train_rows` does not
        matter. Raises InputError for an impossible option.
        """
        rows = np.sort(np.asarray(train_rows, dtype=np.int64))
        if not len(rows):
            raise InputError("preprocess: there are no training rows to fit on")
        low, high = _checked_range(range)
        size = None if resize is None else pooled_size(resize, source.info.sample_shape)
        fitted = cls(source.info.sample_shape, size)
        if standardize:
            every = fitted._stream(source, rows)
            standard = fit_scaling(every, "standard", low, high, option="preprocess.standardize")
            fitted = replace(fitted, standard=standard)
        if pca is not None:
            components = fit_principal_components(fitted._stream(source, rows), len(rows), fitted.n_features, pca)
            fitted = replace(fitted, pca=components)
        scaling = fit_scaling(fitted._stream(source, rows), scale, low, high, clip)
        return replace(fitted, scaling=scaling, normalize=bool(normalize))

    @property
    def n_features(self) -> int:
        if self.pca is not None:
            return len(self.pca.components_KF)
        pooled = (*self.resize, *self.sample_shape[2:]) if self.resize else self.sample_shape
        return int(np.prod(pooled))

    def transform(self, x: FloatArray, rows: NDArray[Any] | None = None) -> FloatArray:
        """Features (B, F) of samples `x` (B, *sample_shape); `rows` are their row numbers, for messages.

        Raises InputError with the row number where an all-zero row cannot be normalised, or a feature overflows.
        """
        x = np.asarray(x, dtype=np.float64)
        if x.shape[1:] != self.sample_shape:
            raise InputError(f"preprocess: fitted on samples of shape {self.sample_shape}, found {x.shape[1:]}")
        if self.resize is not None:
            x = average_pool(x, self.resize)
        features_BF = x.reshape(len(x), int(np.prod(x.shape[1:])))
        if self.standard is not None:
            features_BF = self.standard.transform(features_BF)
        if self.pca is not None:
            features_BF = self.pca.transform(features_BF)
        if self.scaling is not None:
            features_BF = self.scaling.transform(features_BF)
        if self.normalize:
            features_BF = _normalized(features_BF, rows)
        finite_BF = np.isfinite(features_BF)
        if not finite_BF.all():
            row = _row(np.all(finite_BF, axis=1), rows)
            raise InputError(f"preprocess: features of row {row} are NaN or infinite; rescale or repair the data")
        return features_BF

    def describe(self) -> str:
        """One line, e.g. "28 x 28, resized to 8 x 8, 16 principal components (81.3 % of the variance), min_max"."""
        if not self.n_features:
            return "none"
        steps = [" x ".join(map(str, self.sample_shape))]
        if self.resize is not None:
            steps.append(f"resized to {self.resize[0]} x {self.resize[1]}")
        if self.standard is not None:
            steps.append("standardised")
        if self.pca is not None:
            share = 100 * float(self.pca.variance_ratio_K.sum())
            steps.append(f"{plural(self.n_features, 'principal component')} ({share:.1f} % of the variance)")
        if self.scaling is not None:
            bounded = math.isfinite(self.scaling.high)
            range_ = f"scaled to [{self.scaling.low:.4g}, {self.scaling.high:.4g}]" + " unclipped" * (
                not self.scaling.clips
            )
            steps.append(range_ if bounded else "standardised")
        if self.normalize:
            steps.append("L2-normalised")
        return ", ".join(steps)

    def state(self) -> dict[str, NDArray[Any]]:
        """All that `from_state` needs, as plain arrays; a step that is left out has no entries."""
        state: dict[str, NDArray[Any]] = {
            "sample_shape": np.array(self.sample_shape, dtype=np.int64),
            "normalize": np.array(self.normalize),
        }
        if self.resize is not None:
            state["resize"] = np.array(self.resize, dtype=np.int64)
        if self.standard is not None:
            state["standard_center"] = self.standard.center_F
            state["standard_factor"] = self.standard.factor_F
        if self.pca is not None:
            state["pca_mean"] = self.pca.mean_F
            state["pca_components"] = self.pca.components_KF
            state["pca_variance_ratio"] = self.pca.variance_ratio_K
        if self.scaling is not None:
            state["scale_center"] = self.scaling.center_F
            state["scale_factor"] = self.scaling.factor_F
            state["scale_shift"] = self.scaling.shift_F
            state["scale_limits"] = np.array([self.scaling.low, self.scaling.high])
            if not self.scaling.clips:
                state["scale_clips"] = np.array(False)
        return state

    @classmethod
    def from_state(cls, state: Mapping[str, NDArray[Any]]) -> Preprocessor:
        """The Preprocessor whose `state()` this was: the same bits out for the same samples in."""
        try:
            standard = pca = scaling = None
            if "standard_center" in state or "standard_factor" in state:
                center_F, factor_F = _floats(state["standard_center"]), _floats(state["standard_factor"])
                standard = Scaling(center_F, factor_F, np.zeros_like(center_F), -math.inf, math.inf)
            if "pca_components" in state:
                pca = PrincipalComponents(
                    _floats(state["pca_mean"]),
                    _floats(state["pca_components"]),
                    _floats(state["pca_variance_ratio"]),
                )
            if "scale_limits" in state:
                low, high = _floats(state["scale_limits"]).tolist()
                center_F, factor_F, shift_F = (_floats(state[f"scale_{p}"]) for p in ("center", "factor", "shift"))
                scaling = Scaling(center_F, factor_F, shift_F, low, high, bool(state.get("scale_clips", True)))
            height_width = np.asarray(state["resize"]).tolist() if "resize" in state else None
            return cls(
                tuple(np.asarray(state["sample_shape"]).tolist()),
                None if height_width is None else (int(height_width[0]), int(height_width[1])),
                standard,
                pca,
                scaling,
                bool(state["normalize"]),
            )
        except (KeyError, ValueError, IndexError) as error:
            raise StorageError(f"preprocessing: the stored state is incomplete or damaged: {error}") from error

    def _stream(self, source: Source, rows: NDArray[np.int64]) -> Iterator[FloatArray]:
        return (self.transform(source.read(piece), piece) for piece in chunks(rows, self.sample_shape))


def _checked_range(limits: Sequence[float]) -> tuple[float, float]:
    values = [float(limit) for limit in limits]
    if len(values) != 2 or not all(map(math.isfinite, values)) or values[0] >= values[1]:
        raise InputError(f"preprocess.range: {list(limits)} is not a range; give [low, high], finite, low below high")
    return values[0], values[1]


def _normalized(features_BF: FloatArray, rows: NDArray[Any] | None) -> FloatArray:
    with np.errstate(over="ignore"):
        norms_B = row_norms(features_BF)
    if not np.isfinite(norms_B).all():
        row = _row(np.isfinite(norms_B), rows)
        raise InputError(f"preprocess.normalize: the norm of row {row} is too large for float64; rescale the data")
    if not norms_B.all():
        raise InputError(
            f"preprocess.normalize: row {_row(norms_B > 0, rows)} is all zero and has no direction; remove it, or set "
            "preprocess.normalize=false"
        )
    return features_BF / norms_B[:, None]


def _row(good_B: NDArray[Any], rows: NDArray[Any] | None) -> int:
    """The number of the first row that is not good."""
    position = int(np.argmin(good_B))
    return position if rows is None else int(rows[position])


def _floats(values: NDArray[Any]) -> FloatArray:
    return np.array(values, dtype=np.float64)
