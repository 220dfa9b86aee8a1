"""The extension shuffles as NumPy's Generator does; where there is none, or NumPy draws otherwise, NumPy does it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmltrain.data import shuffling
from qmltrain.engines.cpu import extension
from qmltrain.errors import EngineUnavailableError
from tests.examples import examples

needs_extension = pytest.mark.skipif(extension.unavailable_reason() is not None, reason="no C++ extension")


@pytest.fixture(autouse=True)
def looked_for_anew():
    shuffling._native.cache_clear()
    yield
    shuffling._native.cache_clear()


def by_numpy(rows: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    seeds = np.random.SeedSequence(seed, spawn_key=(epoch,))
    return np.random.Generator(np.random.PCG64(seeds)).permutation(rows)


def by_us(rows: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    return shuffling.permutation(rows, np.random.SeedSequence(seed, spawn_key=(epoch,)))


@needs_extension
@settings(max_examples=examples(100), deadline=None)
@given(st.integers(0, 700), st.integers(0, 2**70), st.integers(0, 2**31))
def test_the_same_rows_as_numpy(n, seed, epoch):
    assert shuffling._native() is not None
    rows = np.arange(n, dtype=np.int64) * 7 - 3
    before = rows.copy()
    assert by_us(rows, seed, epoch).tobytes() == by_numpy(rows, seed, epoch).tobytes()
    np.testing.assert_array_equal(rows, before)


@needs_extension
@pytest.mark.parametrize("n", [2**k + more for k in (1, 2, 8, 16, 17) for more in (-1, 0, 1)])
def test_where_a_number_of_rows_takes_one_bit_more(n):
    rows = np.arange(n, dtype=np.int64)
    assert by_us(rows, 5, 2).tobytes() == by_numpy(rows, 5, 2).tobytes()


@needs_extension
def test_rows_that_lie_apart_and_wrong_arguments():
    rows = np.arange(100, dtype=np.int64)[::-2]
    assert by_us(rows, 1, 1).tobytes() == by_numpy(rows, 1, 1).tobytes()
    with pytest.raises(ValueError, match="state and increment"):
        extension.load().shuffle([1, 2, 3], np.arange(4))
    with pytest.raises(TypeError):
        extension.load().shuffle([1, 2, 3, 4], np.arange(4.0))


def test_without_the_extension(monkeypatch):
    def missing():
        raise EngineUnavailableError("not built")

    monkeypatch.setattr(extension, "load", missing)
    assert shuffling._native() is None
    rows = np.arange(50, dtype=np.int64)
    assert by_us(rows, 3, 4).tobytes() == by_numpy(rows, 3, 4).tobytes()


@needs_extension
def test_a_numpy_that_draws_otherwise_is_followed(monkeypatch):
    """Whoever has no extension must get the same rows."""
    monkeypatch.setattr(shuffling, "_by_numpy", lambda rows, seeds: rows[::-1].copy())
    assert shuffling._native() is None
    assert by_us(np.arange(3), 0, 0).tolist() == [2, 1, 0]
