"""Arrays in a source come back to the last bit, in decimals and in base64."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from qmltrain.numpy_source import arrays
from qmltrain.numpy_source.arrays import Arrays


def read_back(written: Arrays) -> dict:
    space = {"np": np, "base64": base64} if written.imports else {"np": np}
    exec("\n".join(written.lines()), space)
    return space


@pytest.mark.parametrize("shape", [(1,), (3,), (50,), (1, 1), (1, 4), (5, 1), (3, 40), (17, 400), (5000,)])
def test_every_bit_comes_back(shape):
    generator = np.random.default_rng(1)
    values = generator.normal(size=shape) * 10.0 ** generator.integers(-300, 300, shape)
    values.flat[0] = -0.0
    written = Arrays()
    assert written.add("VALUES", values) == "VALUES"
    written.add("OTHER", values.T)
    found = read_back(written)
    for name, expected in (("VALUES", values), ("OTHER", values.T)):
        assert found[name].shape == expected.shape and found[name].dtype == np.float64
        assert found[name].tobytes() == np.ascontiguousarray(expected).tobytes()
    assert max(map(len, written.lines())) <= 120


def test_long_arrays_are_no_longer_decimals():
    short, long = Arrays(), Arrays()
    short.add("A", np.zeros(arrays.READABLE))
    long.add("A", np.zeros(arrays.READABLE + 1))
    assert not short.imports and "base64" not in "\n".join(short.lines())
    assert long.imports == ("base64",) and long.lines()[0] == "# 4097 numbers of float64, little-endian, in base64"
