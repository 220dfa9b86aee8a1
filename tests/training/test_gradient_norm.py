"""The length of a gradient, also where squares overflow, and gradients clipped to one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmltrain.errors import InputError, NonFiniteError
from qmltrain.training.gradient_norm import clip_by_global_norm, global_norm


@given(st.integers(0, 1000), st.floats(1e-3, 1e3), st.sampled_from([1e-200, 1.0, 1e200]))
def test_clipping(seed: int, limit: float, scale: float) -> None:
    gradient = np.random.default_rng(seed).normal(size=6) * scale
    clipped, norm = clip_by_global_norm(gradient, limit)
    np.testing.assert_allclose(norm / scale, np.linalg.norm(gradient / scale), rtol=1e-14)
    if norm <= limit:
        assert np.array_equal(clipped, gradient)
    else:
        np.testing.assert_allclose(clipped, gradient * (limit / norm), rtol=1e-14)
        np.testing.assert_allclose(global_norm(clipped), limit, rtol=1e-12)


def test_clipping_at_the_edges() -> None:
    assert clip_by_global_norm(np.zeros(4), 1.0)[1] == 0.0
    assert clip_by_global_norm(np.empty(0), 1.0)[1] == 0.0
    unclipped, norm = clip_by_global_norm(np.array([3.0, 4.0]), None)
    assert norm == 5.0 and np.array_equal(unclipped, [3.0, 4.0])
    for bad in (np.nan, np.inf, -np.inf):
        with pytest.raises(NonFiniteError):
            clip_by_global_norm(np.array([1.0, bad]), 1.0)
    for limit in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(InputError, match=r"optimizer\.clip_norm"):
            clip_by_global_norm(np.ones(2), limit)
