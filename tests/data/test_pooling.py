"""Average pooling to any smaller size, by repeating pixels until both grids fit."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from qmltrain.data.pooling import average_pool

generator = np.random.default_rng(42)


def pooled_by_repetition(images, size):
    """Independent of the code under test: repeat every pixel until both grids fit, then take block means."""
    height, width = images.shape[1:3]
    fine = images.repeat(size[0], axis=1).repeat(size[1], axis=2)
    blocks = fine.reshape(len(images), size[0], height, size[1], width, *images.shape[3:])
    return blocks.mean(axis=(2, 4))


@pytest.mark.parametrize("shape", [(8, 8), (5, 7), (6, 4, 3), (1, 9)])
def test_average_pool_by_area(shape):
    images = generator.normal(size=(3, *shape))
    for size in itertools.product(range(1, shape[0] + 1), range(1, shape[1] + 1)):
        pooled = average_pool(images, size)
        assert pooled.shape == (3, *size, *shape[2:])
        np.testing.assert_allclose(pooled, pooled_by_repetition(images, size), atol=1e-13)
