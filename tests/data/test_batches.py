"""The order of rows and the features of batches: functions of their arguments alone."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from qmltrain.data.array_source import array_source
from qmltrain.data.batches import BatchOrder, PreparedData
from qmltrain.data.checks import ArrayNames
from qmltrain.data.preprocessing import Preprocessor
from qmltrain.data.registry import build_source
from qmltrain.data.scaling import TargetScaler
from qmltrain.data.selection import select
from qmltrain.errors import InputError
from tests.data.writers import write_hdf5

ROWS = np.arange(10, 47)  # 37 rows


@pytest.mark.parametrize("batch_size", [1, 5, 8, 36, 37])
def test_an_epoch_has_each_row_once_and_keeps_the_short_batch(batch_size):
    order = BatchOrder(ROWS, batch_size, seed=3)
    batches = order.batches(0)
    assert len(batches) == order.n_batches == -(-37 // batch_size)
    assert [len(batch) for batch in batches[:-1]] == [batch_size] * (len(batches) - 1)
    assert len(batches[-1]) == 37 - batch_size * (len(batches) - 1)
    assert np.array_equal(np.sort(np.concatenate(batches)), ROWS)


def test_epochs_and_seeds_differ_and_repeat():
    def order(seed, epoch):
        return np.concatenate(BatchOrder(ROWS, 8, seed).batches(epoch)).tolist()

    orders = [order(seed, epoch) for seed in (0, 1) for epoch in range(5)]
    assert len({tuple(rows) for rows in orders}) == 10
    assert order(1, 4) == orders[-1]


def test_epoch_is_the_child_of_the_seed_so_resume_needs_no_state():
    order = BatchOrder(ROWS, 8, seed=9)
    uninterrupted = [batch.tolist() for epoch in range(6) for batch in order.batches(epoch)]
    resumed = BatchOrder(ROWS, 8, seed=9)
    rest = [batch.tolist() for epoch in range(4, 6) for batch in resumed.batches(epoch)]
    assert uninterrupted[4 * order.n_batches :] == rest
    child = np.random.SeedSequence(9).spawn(6)[5]
    assert np.array_equal(np.concatenate(order.batches(5)), np.random.default_rng(child).permutation(ROWS))


def test_an_impossible_batch_size():
    with pytest.raises(InputError, match=r"^train.batch_size: 0 is not possible"):
        BatchOrder(ROWS, 0, seed=0)


def test_a_batch_is_at_most_all_rows():
    order, whole = BatchOrder(ROWS, 38, seed=4), BatchOrder(ROWS, 37, seed=4)
    assert (order.batch_size, order.n_batches) == (37, 1)
    np.testing.assert_array_equal(order.batches(3), whole.batches(3))


def test_with_replacement_each_row_of_each_batch_is_drawn_anew():
    order = BatchOrder(ROWS, 8, seed=3, replacement=True)
    assert order.n_batches == BatchOrder(ROWS, 8, seed=3).n_batches == 5
    epochs = [order.batches(epoch) for epoch in range(2000)]
    assert {len(batch) for batches in epochs for batch in batches} == {8}
    assert all(np.isin(batch, ROWS).all() for batches in epochs for batch in batches)
    counts = np.bincount(np.concatenate([np.concatenate(batches) for batches in epochs]) - 10)
    expected = 2000 * 40 / 37
    assert len(counts) == 37 and np.abs(counts - expected).max() < 5 * np.sqrt(expected)
    twice = np.mean([len(set(batch.tolist())) for batches in epochs for batch in batches])
    assert twice == pytest.approx(37 * (1 - (1 - 1 / 37) ** 8), abs=0.05)  # different rows of a batch
    again = BatchOrder(ROWS, 8, seed=3, replacement=True).batches(1999)
    assert [batch.tolist() for batch in again] == [batch.tolist() for batch in epochs[1999]]


@pytest.fixture
def streamed_digits(tmp_path):
    digits = build_source("digits", {})
    x, y = digits.read(np.arange(1797)), digits.labels()
    file = write_hdf5(tmp_path / "digits.h5", x, y, chunks=(50, 8, 8))
    return select(build_source("hdf5", {"path": str(file)}), classes=list(range(10)), samples=1500, seed=1)


@pytest.mark.parametrize("options", [{"pca": 7, "scale": "min_max"}, {"resize": 3, "scale": "standard"}, {}])
def test_cached_and_streamed_features_are_the_same_bits(options, streamed_digits):
    fitted = Preprocessor.fit(streamed_digits, np.arange(1000), **options)
    cached = PreparedData(streamed_digits, fitted)
    size = 8 * 1500 * fitted.n_features
    assert cached.is_cached and PreparedData(streamed_digits, fitted, cache_bytes=size).is_cached
    streamed = PreparedData(streamed_digits, fitted, cache_bytes=size - 1)
    assert not streamed.is_cached and streamed.n_features == cached.n_features == fitted.n_features
    for batch_size in (1, 37, 1000):
        batches = BatchOrder(np.arange(1000), batch_size, seed=5).batches(2)[:12]
        for first, second, rows in zip(cached.stream(batches), streamed.stream(batches), batches, strict=True):
            assert np.array_equal(first.rows, rows) and np.array_equal(second.rows, rows)
            assert np.array_equal(first.features_BF, second.features_BF)
            assert np.array_equal(first.features_BF, streamed.features(rows))
            assert np.array_equal(first.labels, second.labels)
            assert np.array_equal(first.labels, streamed_digits.labels()[rows])


def test_features_belong_to_the_caller():
    source = build_source("iris", {})
    data = PreparedData(source, Preprocessor.fit(source, np.arange(150)))
    rows = np.arange(4)
    data.features(rows)[:] = 0
    assert np.array_equal(data.features(rows), source.read(rows))


def test_labels_are_scaled_targets():
    source = build_source("diabetes", {})
    scaler = TargetScaler.fit(source.labels(), np.arange(400))
    data = PreparedData(source, Preprocessor.fit(source, np.arange(400)), scaler)
    rows = np.array([3, 410])
    assert np.array_equal(data.labels(rows), scaler.transform(source.labels()[rows]))
    assert data.labels(np.arange(442)).dtype == np.float64


class Watched:
    """Iris that tells which rows were read, by whom, and fails at row 100."""

    def __init__(self):
        self.base = build_source("iris", {})
        self.reads = []
        self.read_second = threading.Event()

    def __getattr__(self, name):
        return getattr(self.base, name)

    def read(self, rows):
        self.reads.append((rows.tolist(), threading.current_thread().name))
        if len(self.reads) == 2:
            self.read_second.set()
        if 100 in rows:
            raise InputError("row 100 is bad")
        return self.base.read(rows)


def streamed_iris():
    source = Watched()
    return source, PreparedData(source, Preprocessor.fit(source.base, np.arange(150)), cache_bytes=0)


def test_one_batch_is_read_ahead_and_no_more():
    source, data = streamed_iris()
    stream = data.stream([np.array([row]) for row in range(5)])
    assert next(stream).rows.tolist() == [0]
    assert source.read_second.wait(timeout=10)  # the next one comes while this one is in use
    assert [rows for rows, _ in source.reads] == [[0], [1]]
    assert all("read-ahead" in thread for _, thread in source.reads)
    stream.close()
    assert not any("read-ahead" in thread.name for thread in threading.enumerate())


def test_an_error_ahead_is_raised_at_its_own_batch():
    _, data = streamed_iris()
    stream = data.stream([np.array([0]), np.array([100]), np.array([1])])
    assert next(stream).rows.tolist() == [0]
    with pytest.raises(InputError, match="row 100 is bad"):
        next(stream)


def test_no_batches():
    _, data = streamed_iris()
    assert list(data.stream([])) == []
    assert list(PreparedData(data.source.base, data.preprocessor).stream([])) == []


def test_zero_row_is_named_with_its_row_number():
    x = np.ones((50, 2))
    x[33] = 0
    source = array_source("npz", x, np.arange(50) % 2, ArrayNames("file"))
    with pytest.raises(InputError, match="row 33 is all zero"):
        PreparedData(source, Preprocessor.fit(source, np.arange(50), normalize=True))


@pytest.mark.parametrize("replacement", [False, True])
@pytest.mark.parametrize(("n_rows", "size"), [(10, 3), (9, 3), (2, 5), (1, 1)])
def test_offsets_say_where_batches_begin(n_rows, size, replacement):
    order = BatchOrder(np.arange(n_rows) * 7, size, 3, replacement)
    shuffled, offsets = order.shuffled(2), order.offsets
    batches = [shuffled[begin:end].tolist() for begin, end in zip(offsets[:-1], offsets[1:], strict=True)]
    assert batches == [batch.tolist() for batch in order.batches(2)]
