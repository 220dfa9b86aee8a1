"""Average pooling of images to any smaller size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qmltrain.data.protocol import FloatArray
from qmltrain.errors import InputError

Size = tuple[int, int]


def pooled_size(resize: int | Sequence[int], sample_shape: tuple[int, ...]) -> Size:
    """Height and width that `preprocess.resize` (side, or [height, width]) asks for, checked against the images."""
    option = f"preprocess.resize: {resize}"
    sides = [resize, resize] if isinstance(resize, int) else list(resize)
    if len(sides) != 2 or not all(isinstance(side, int) and side >= 1 for side in sides):
        raise InputError(f"{option} is not a size; give a side or [height, width], each at least 1")
    if len(sample_shape) not in (2, 3):
        raise InputError(
            f"{option} needs images of shape (height, width) or (height, width, channels), samples have {sample_shape}"
        )
    if sides[0] > sample_shape[0] or sides[1] > sample_shape[1]:
        raise InputError(
            f"{option} would enlarge images of {sample_shape[0]} x {sample_shape[1]} (height x width, channels last); "
            "choose a smaller size"
        )
    return sides[0], sides[1]


def average_pool(images: FloatArray, size: Size) -> FloatArray:
    """(B, H, W, ...) to (B, *size, ...): each new pixel is the mean over its area, shared pixels taken in part."""
    return _pool_axis(_pool_axis(images, 1, size[0]), 2, size[1])


def _pool_axis(images: FloatArray, axis: int, length: int) -> FloatArray:
    """Elementwise sums in the order of the old pixels, so that an image's bits do not depend on its batch."""
    old_length = images.shape[axis]
    if length == old_length:
        return images
    source = np.moveaxis(images, axis, 0)
    pooled = np.zeros((length, *source.shape[1:]))
    # In units of 1 / (length * old_length) of the side, old pixel p covers [p * length, (p + 1) * length) and new
    # pixel i covers [i * old_length, (i + 1) * old_length): overlaps are exact integers.
    for i in range(length):
        start, stop = i * old_length, (i + 1) * old_length
        for p in range(start // length, (stop - 1) // length + 1):
            overlap = min(stop, (p + 1) * length) - max(start, p * length)
            pooled[i] += (overlap / old_length) * source[p]
    return np.ascontiguousarray(np.moveaxis(pooled, 0, axis))
