"""Amplitude encoding: features become the amplitudes of the initial state."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qmltrain.errors import InputError

NORM_TOLERANCE = 1e-6  # float32 features that were normalised before pass


def amplitude_state(
    x_BF: ArrayLike, n_qubits: int, pad_with: float = 0.0, normalize: bool = True, copies: int = 1
) -> NDArray[np.float64]:
    """Features (B, F) -> real initial states (B, 2^n_qubits), float64; feature i is the amplitude of index i.

    Missing amplitudes are filled with `pad_with` first, and the row is divided by its L2 norm after that, as
    PennyLane's AmplitudeEmbedding does. Without `normalize` each row must have norm 1 within 1e-6. Several `copies` of
    the state are side by side, on n_qubits / copies each (a Kronecker product). Raises
    InputError for more than 2^n features, values that are not finite, all-zero rows and rows of another norm, each
    with the first such row's number.
    """
    if copies > 1:
        return power(amplitude_state(x_BF, n_qubits // copies, pad_with, normalize), copies)
    features_BF = np.asarray(x_BF, dtype=np.float64)
    if features_BF.ndim != 2:
        raise InputError(f"amplitude encoding: features must be (samples, features), found shape {features_BF.shape}")
    n_samples, n_features = features_BF.shape
    size = 2**n_qubits
    if n_features > size:
        raise InputError(
            f"amplitude encoding: {n_features} features do not fit into the {size} amplitudes of {n_qubits} qubits; "
            f"set circuit.n_qubits to {(n_features - 1).bit_length()} or more, or reduce the features (preprocess.pca)"
        )
    _refuse(
        np.count_nonzero(np.isfinite(features_BF), axis=1) < n_features,
        "has values that are not finite; clean the data",
    )
    state_BN = np.full((n_samples, size), float(pad_with))
    state_BN[:, :n_features] = features_BF
    # Scaled before squaring, so that no finite row overflows or vanishes.
    largest_B = np.abs(state_BN).max(axis=1, keepdims=True)
    if normalize:
        _refuse(largest_B[:, 0] == 0.0, "is all zero and cannot be normalised; drop it or set encoding.pad_with")
        state_BN /= largest_B
        state_BN /= np.linalg.norm(state_BN, axis=1, keepdims=True)
        return state_BN
    with np.errstate(over="ignore"):  # an infinite norm is refused below
        norm_B = np.linalg.norm(state_BN, axis=1)
    wrong_B = np.abs(norm_B - 1.0) > NORM_TOLERANCE
    if wrong_B.any():
        found = norm_B[int(np.argmax(wrong_B))]
        _refuse(wrong_B, f"has norm {found:.6g} where 1 is needed; set encoding.normalize=true")
    return state_BN


def power(state_BN: NDArray[np.float64], copies: int) -> NDArray[np.float64]:
    """(B, N^copies): the Kronecker product of each state with itself."""
    product = state_BN
    for _ in range(copies - 1):
        product = (product[:, :, None] * state_BN[:, None, :]).reshape(len(state_BN), -1)
    return product


def power_gradient(gradient_BN: NDArray[np.float64], state_BS: NDArray[np.float64], copies: int) -> NDArray[np.float64]:
    """d loss / d state (B, S) of what `power` is made of, from that of the product, (B, S^copies)."""
    n_samples, size = state_BS.shape
    if copies == 1:
        return gradient_BN
    others = power(state_BS, copies - 1)
    total = np.zeros_like(state_BS)
    for copy in range(copies):
        by_copy = gradient_BN.reshape(n_samples, size**copy, size, size ** (copies - 1 - copy))
        moved = np.moveaxis(by_copy, 2, 1).reshape(n_samples, size, -1)
        total += np.einsum("bso,bo->bs", moved, others)
    return total


def check_amplitude_rows(
    features_BF: NDArray[np.float64], rows_B: NDArray[np.int64], n_qubits: int, pad_with: float, normalize: bool
) -> None:
    """Raise InputError for the first sample that `amplitude_state` would refuse, by its row in the data set.

    Takes no memory for states, so a whole data set can be checked before anything is written.
    """
    n_padded = 2**n_qubits - features_BF.shape[1]
    if normalize:
        bad_B = ~features_BF.any(axis=1) & (n_padded == 0 or pad_with == 0.0)
        reason = "is all zero and cannot be normalised; drop it or set encoding.pad_with"
    else:
        with np.errstate(over="ignore"):  # an infinite norm is not 1
            padded = n_padded * np.square(pad_with) if n_padded else 0.0
            squares_B = np.einsum("bf,bf->b", features_BF, features_BF) + padded
        bad_B = ~(np.abs(np.sqrt(squares_B) - 1.0) <= NORM_TOLERANCE)
        found = np.sqrt(squares_B[int(np.argmax(bad_B))]) if len(squares_B) else 1.0
        reason = f"has norm {found:.6g} where 1 is needed; set encoding.normalize=true"
    if bad_B.any():
        raise InputError(f"encoding.name: amplitude: row {rows_B[int(np.argmax(bad_B))]} of the data set {reason}")


def _refuse(bad_B: NDArray[np.bool_], reason: str) -> None:
    if bad_B.any():
        row, count = int(np.argmax(bad_B)), int(bad_B.sum())
        others = f" (and {count - 1} more)" if count > 1 else ""
        raise InputError(f"amplitude encoding: sample {row} of the batch{others} {reason}")
