"""Sums in one fixed order are the ordinary ones."""

from __future__ import annotations

import numpy as np

from qmltrain.data.ordered_sums import row_norms, sequential_matmul


def test_ordered_sums_are_the_ordinary_ones():
    generator = np.random.default_rng(42)
    x, weights = generator.normal(size=(2051, 33)), generator.normal(size=(33, 4))
    np.testing.assert_allclose(sequential_matmul(x, weights), x @ weights, atol=1e-12)
    np.testing.assert_allclose(row_norms(x), np.linalg.norm(x, axis=1), atol=1e-12)
