"""Sums with one fixed order, term by term in the index of the feature.

A matrix product of BLAS may round a row differently in a batch of 1, of 32 and of 10,000, and with another number of
threads. Features must not depend on the batch they were computed in: cached and streamed training would differ in
their last bits, and a resumed run from an uninterrupted one. Products and sums here are elementwise over the batch,
each rounded once, so that a row's bits depend on that row alone. Shape letters: B batch, F features, K outputs.
"""

from __future__ import annotations

import numpy as np

from qmltrain.data.protocol import FloatArray

_ROWS = 2048  # rows at a time, so that partial sums stay in the cache; no effect on the result


def sequential_matmul(x_BF: FloatArray, weights_FK: FloatArray) -> FloatArray:
    """``x_BF @ weights_FK``, (B, K): terms are added one after the other, feature 0 first.

    Another order than `qmltrain.training.reduction.tree_matmul`, so other last bits.
    """
    (n_rows, n_features), n_outputs = x_BF.shape, weights_FK.shape[1]
    product_BK = np.empty((n_rows, n_outputs))
    for start in range(0, n_rows, _ROWS):
        x_Fb = np.ascontiguousarray(x_BF[start : start + _ROWS].T)
        sum_Kb = np.zeros((n_outputs, x_Fb.shape[1]))
        term_Kb = np.empty_like(sum_Kb)
        for feature in range(n_features):
            np.multiply(weights_FK[feature, :, None], x_Fb[feature], out=term_Kb)
            sum_Kb += term_Kb
        product_BK[start : start + _ROWS] = sum_Kb.T
    return product_BK


def row_norms(x_BF: FloatArray) -> FloatArray:
    """L2 norm of each row, (B,); scaled by the largest element, so that squares neither overflow nor vanish."""
    largest_B = np.abs(x_BF).max(axis=1)
    divisor_B = np.where(largest_B > 0, largest_B, 1.0)
    squares_B = np.zeros(len(x_BF))
    for feature in range(x_BF.shape[1]):
        squares_B += (x_BF[:, feature] / divisor_B) ** 2
    return divisor_B * np.sqrt(squares_B)
