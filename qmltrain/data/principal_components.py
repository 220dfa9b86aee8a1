"""Principal components of rows that come in chunks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from qmltrain.data.ordered_sums import sequential_matmul
from qmltrain.data.protocol import FloatArray
from qmltrain.errors import InputError
from qmltrain.units import GIB

MEMORY_LIMIT = 512 * 2**20  # bytes of the matrix that is decomposed


@dataclass(frozen=True, eq=False)
class PrincipalComponents:
    """`mean_F`, orthonormal rows `components_KF` by falling variance, and the share of all variance in each."""

    mean_F: FloatArray
    components_KF: FloatArray
    variance_ratio_K: FloatArray

    def transform(self, x_BF: FloatArray) -> FloatArray:
        """Projections (B, K)."""
        return sequential_matmul(x_BF - self.mean_F, self.components_KF.T)


def fit_principal_components(
    chunks: Iterator[FloatArray], n_rows: int, n_features: int, n_components: int
) -> PrincipalComponents:
    """The first `n_components` of the rows in `chunks` (each (b, F)), which together are `n_rows`; fewer where there
    are no more: of few features or rows, or where the rows vary in fewer directions.

    Fewer rows than features: singular value decomposition of the centred rows. Otherwise the covariance, gathered
    chunk by chunk with the update of Chan, Golub and LeVeque (1983), then its eigenvectors; memory F^2 whatever the
    number of rows. The largest loading of each component is made positive. BLAS runs on one thread here, since the
    last bits of a decomposition change with the number of threads. Raises InputError where there is no component at
    all, the matrix would be too large, or squares overflow.
    """
    from threadpoolctl import threadpool_limits

    option = f"preprocess.pca: {n_components}"
    if n_components < 1 or n_rows < 2:
        raise InputError(f"{option} components of {n_rows} training rows; at least 1, of at least 2 training rows")
    n_components = most_components(n_components, n_rows, n_features)
    matrix_bytes = 8 * min(n_rows, n_features) * n_features
    if matrix_bytes > MEMORY_LIMIT:
        raise InputError(
            f"{option} components of {n_features} features need a matrix of {matrix_bytes / GIB:.1f} GiB, allowed "
            f"are {MEMORY_LIMIT / GIB:.1f}; make the samples smaller, images with preprocess.resize"
        )
    decompose = _from_rows if n_rows < n_features else _from_covariance
    try:
        with threadpool_limits(1, user_api="blas"), np.errstate(over="ignore", invalid="ignore"):
            mean_F, components_KF, variance_K, total_variance = decompose(chunks, n_rows, n_features, n_components)
    except OverflowError:
        raise InputError(
            f"{option} components of features whose squared spread is too large for float64; rescale the data"
        ) from None
    rounding = max(n_rows, n_features) * np.finfo(np.float64).eps * max(variance_K[0], 0.0)
    usable = int(np.count_nonzero(variance_K > rounding))
    if not usable:
        raise InputError(f"{option}: the {n_rows} training rows do not vary; there is nothing to learn from")
    components_KF, variance_K = components_KF[:usable], variance_K[:usable]
    largest_K = np.abs(components_KF).argmax(axis=1)
    signs_K = np.sign(components_KF[np.arange(usable), largest_K])
    return PrincipalComponents(mean_F, components_KF * signs_K[:, None], variance_K / total_variance)


def most_components(wanted: int, n_rows: int, n_features: int) -> int:
    """How many principal components `n_rows` rows can have, of at most `wanted`."""
    return max(0, min(wanted, n_rows - 1, n_features))


_Decomposition = tuple[FloatArray, FloatArray, FloatArray, float]


def _from_rows(chunks: Iterator[FloatArray], n_rows: int, n_features: int, n_components: int) -> _Decomposition:
    centred = np.empty((n_rows, n_features))
    filled = 0
    for x_bF in chunks:
        centred[filled : filled + len(x_bF)] = x_bF
        filled += len(x_bF)
    mean_F = centred.mean(axis=0)
    centred -= mean_F
    _check_finite(centred)
    _, singular, components = np.linalg.svd(centred, full_matrices=False)
    variance = singular**2 / (n_rows - 1)
    _check_finite(variance)
    return mean_F, components[:n_components], variance[:n_components], float(variance.sum())


def _from_covariance(chunks: Iterator[FloatArray], n_rows: int, n_features: int, n_components: int) -> _Decomposition:
    from scipy.linalg import eigh

    seen = 0
    mean_F = np.zeros(n_features)
    scatter_FF = np.zeros((n_features, n_features))
    for x_bF in chunks:
        total = seen + len(x_bF)
        shift_F = x_bF.mean(axis=0) - mean_F
        # One row more carries the scatter between the chunk's mean and the mean so far.
        centred = np.empty((len(x_bF) + 1, n_features))
        centred[:-1] = x_bF - (mean_F + shift_F)
        centred[-1] = shift_F * np.sqrt(seen * len(x_bF) / total)
        scatter_FF += centred.T @ centred
        mean_F += shift_F * (len(x_bF) / total)
        seen = total
    scatter_FF /= n_rows - 1
    _check_finite(scatter_FF)
    total_variance = float(np.trace(scatter_FF))
    variance, components = eigh(
        scatter_FF, overwrite_a=True, subset_by_index=(n_features - n_components, n_features - 1)
    )
    return mean_F, components.T[::-1], variance[::-1], total_variance


def _check_finite(values: FloatArray) -> None:
    if not np.isfinite(values).all():
        raise OverflowError
