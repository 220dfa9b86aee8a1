"""Amplitude encoding: padding, normalising, and rows that cannot be a state."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.circuit.amplitude import amplitude_state, check_amplitude_rows
from qmltrain.errors import InputError


def test_pads_before_it_normalises() -> None:
    state_BN = amplitude_state([[3.0, 4.0, 0.0]], 2)
    np.testing.assert_allclose(state_BN, [[0.6, 0.8, 0, 0]], atol=1e-15)
    padded_BN = amplitude_state([[1.0, 1.0, 1.0]], 2, pad_with=1.0)
    np.testing.assert_allclose(padded_BN, [[0.5, 0.5, 0.5, 0.5]], atol=1e-15)
    assert padded_BN.dtype == np.float64 and padded_BN.flags.c_contiguous


def test_keeps_signs_order_and_batch() -> None:
    x_BF = np.array([[1.0, -2.0, 3.0, -4.0, 5.0], [0.0, 0.0, 0.0, 0.0, -1.0]])
    state_BN = amplitude_state(x_BF, 3)
    np.testing.assert_allclose(state_BN[:, :5], x_BF / np.linalg.norm(x_BF, axis=1, keepdims=True), atol=1e-15)
    assert state_BN.shape == (2, 8) and not state_BN[:, 5:].any()
    assert amplitude_state(np.zeros((0, 3)), 2).shape == (0, 4)


def test_one_feature_on_one_qubit() -> None:
    np.testing.assert_array_equal(amplitude_state([[-7.0]], 1), [[-1.0, 0.0]])


@pytest.mark.parametrize("size", [1e-300, 1e-170, 1e170, 1e300])
def test_rows_of_any_size_normalise(size: float) -> None:
    np.testing.assert_allclose(amplitude_state([[3 * size, 4 * size]], 1), [[0.6, 0.8]], rtol=1e-15)


def test_without_normalize_the_norm_must_be_one() -> None:
    x_BF = [[0.6, 0.8], [1.0, 0.0]]
    np.testing.assert_array_equal(amplitude_state(x_BF, 1, normalize=False), x_BF)
    single = np.array([[0.6, 0.8]], dtype=np.float32)
    assert amplitude_state(single, 1, normalize=False).shape == (1, 2)
    with pytest.raises(
        InputError, match=r"sample 1 of the batch has norm 5 where 1 is needed; set encoding\.normalize"
    ):
        amplitude_state([[1.0, 0.0], [3.0, 4.0]], 1, normalize=False)
    with pytest.raises(InputError, match=r"sample 0 of the batch has norm 1\.4142"):
        amplitude_state([[1.0]], 1, pad_with=1.0, normalize=False)


@pytest.mark.parametrize("copies", [2, 3])
def test_copies_are_a_kronecker_product(copies: int) -> None:
    x_BF = np.random.default_rng(0).normal(size=(3, 3))
    one_BS = amplitude_state(x_BF, 2, pad_with=0.25)
    state_BN = amplitude_state(x_BF, 2 * copies, pad_with=0.25, copies=copies)
    for one, state in zip(one_BS, state_BN, strict=True):
        expected = np.kron(one, one) if copies == 2 else np.kron(one, np.kron(one, one))
        np.testing.assert_allclose(state, expected, atol=1e-15)


def test_an_all_zero_row_is_named() -> None:
    with pytest.raises(InputError, match=r"sample 2 of the batch \(and 1 more\) is all zero"):
        amplitude_state([[1.0, 2.0], [0.0, 1.0], [0.0, 0.0], [0.0, 0.0]], 2)
    np.testing.assert_array_equal(amplitude_state([[0.0, 0.0, 0.0]], 2, pad_with=2.0), [[0, 0, 0, 1.0]])


@pytest.mark.parametrize(
    ("x_BF", "n", "message"),
    [
        (np.ones((1, 5)), 2, r"5 features do not fit into the 4 amplitudes of 2 qubits; set circuit\.n_qubits to 3"),
        (np.ones((1, 17)), 4, r"set circuit\.n_qubits to 5"),
        (np.ones(4), 2, r"found shape \(4,\)"),
        (np.array([[1.0, 1.0], [np.nan, 1.0]]), 1, r"sample 1 of the batch has values that are not finite"),
        (np.array([[np.inf, 1.0]]), 1, r"sample 0 of the batch has values that are not finite"),
        (np.array([[np.inf, -np.inf]]), 1, r"not finite"),
    ],
)
@pytest.mark.parametrize("normalize", [True, False])
def test_bad_features_are_refused(x_BF: np.ndarray, n: int, message: str, normalize: bool) -> None:
    with pytest.raises(InputError, match=message):
        amplitude_state(x_BF, n, normalize=normalize)


@pytest.mark.parametrize("pad_with", [1e200, 1e-200])
def test_rows_with_huge_and_tiny_padding_are_checked(pad_with: float) -> None:
    """Their squares are no numbers of double precision, or 0."""
    x_BF, rows_B = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]), np.array([4, 7])
    check_amplitude_rows(x_BF, rows_B, 2, pad_with, normalize=True)
    with pytest.raises(InputError, match="row 7 of the data set is all zero"):
        check_amplitude_rows(x_BF, rows_B, 2, 0.0, normalize=True)
    norm = "inf" if pad_with > 1 else "0"
    bad = 4 if pad_with > 1 else 7
    with pytest.raises(InputError, match=f"row {bad} of the data set has norm {norm} where 1 is needed"):
        check_amplitude_rows(x_BF, rows_B, 2, pad_with, normalize=False)


def test_the_check_takes_no_memory_for_what_is_padded():
    with pytest.raises(InputError, match="row 3 of the data set has norm 1.04"):
        check_amplitude_rows(np.ones((1, 1)), np.array([3]), 40, 1.0, normalize=False)
