"""Preprocessing against scikit-learn, against itself in other batches, and after a round trip of its state."""

from __future__ import annotations

import math

import h5py
import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler, normalize
from threadpoolctl import threadpool_limits

from qmltrain.data import checks
from qmltrain.data.preprocessing import Preprocessor
from qmltrain.data.protocol import SourceInfo
from qmltrain.data.registry import build_source
from qmltrain.errors import InputError, StorageError
from tests.data.small_sources import TRAIN, source_of
from tests.data.writers import write_hdf5

generator = np.random.default_rng(42)


def test_normalize_is_that_of_sklearn_without_overflow():
    x = generator.normal(size=(9, 5)) * np.array([1e200, 1e-200, 1, 1, 1, 1, 1, 1, 1])[:, None]
    features = Preprocessor.fit(source_of(x), np.arange(9), normalize=True).transform(x)
    np.testing.assert_allclose(features, normalize(x / np.abs(x).max(axis=1, keepdims=True)), atol=1e-14)


def test_resize_options():
    images = source_of(generator.normal(size=(20, 6, 8)))
    train = np.arange(20)
    assert Preprocessor.fit(images, train, resize=4).n_features == 16
    assert Preprocessor.fit(images, train, resize=[3, 8]).n_features == 24
    assert Preprocessor.fit(images, train, resize=(6, 8)).n_features == 48
    colour = source_of(generator.normal(size=(20, 6, 8, 3)))
    assert Preprocessor.fit(colour, train, resize=2, pca=5).n_features == 5
    assert Preprocessor.fit(colour, train, resize=2).n_features == 12


ALL_STEPS = {"resize": [7, 5], "pca": 9, "scale": "min_max", "range": [-1, 2], "normalize": True}
SOME_STEPS = [
    {},
    ALL_STEPS,
    {"scale": "standard"},
    {"pca": 20, "scale": "standard", "normalize": True},
    {"resize": 1},
    {"pca": 1},
    {"normalize": True},
    {"standardize": True, "pca": 9, "scale": "min_max", "clip": False},
    {"standardize": True, "resize": 5, "pca": 6, "scale": "none"},
]


@pytest.mark.parametrize("options", SOME_STEPS)
def test_features_of_a_row_do_not_depend_on_its_batch(options):
    source = build_source("digits", {})
    fitted = Preprocessor.fit(source, np.arange(1000), **options)
    whole = fitted.transform(source.read(np.arange(1797)))
    assert whole.shape == (1797, fitted.n_features)
    for rows in ([0], [1796], [3, 1, 2], range(5, 22), range(100, 900), []):
        rows = np.array(rows, dtype=int)
        assert np.array_equal(fitted.transform(source.read(rows)), whole[rows])


@pytest.mark.parametrize("options", SOME_STEPS)
def test_streamed_fit_equals_that_in_memory(options, tmp_path, small_chunks):
    x = generator.integers(0, 256, (90, 8, 6)).astype(np.uint8)
    x[:, 3, 2] = 7
    file = write_hdf5(tmp_path / "data.h5", x, np.arange(90) % 2, chunks=(4, 8, 6), compression="gzip")
    streamed = build_source("hdf5", {"path": str(file)})
    shuffled = np.random.default_rng(0).permutation(TRAIN)
    states = [
        Preprocessor.fit(source, rows, **options).state()
        for source, rows in ((source_of(x), TRAIN), (streamed, TRAIN), (streamed, shuffled))
    ]
    for other in states[1:]:
        assert states[0].keys() == other.keys()
        assert all(np.array_equal(states[0][key], other[key]) for key in other)


def test_number_of_chunks_changes_rounding_only(monkeypatch):
    source = build_source("digits", {})
    once = Preprocessor.fit(source, np.arange(900), pca=6, scale="standard")
    monkeypatch.setattr(checks, "CHUNK_BYTES", 1)  # a row at a time
    by_row = Preprocessor.fit(source, np.arange(900), pca=6, scale="standard")
    for key, value in once.state().items():
        np.testing.assert_allclose(by_row.state()[key], value, atol=1e-10)


def test_standardised_before_the_components_as_sklearn_does_it():
    x = build_source("digits", {}).read(np.arange(1797)).reshape(1797, 64)
    x[:, 5] = 3.25  # constant
    train = np.arange(0, 1797, 3)
    fitted = Preprocessor.fit(source_of(x), train, standardize=True, pca=7)
    scaler = StandardScaler().fit(x[train])
    pca = PCA(7, svd_solver="full").fit(scaler.transform(x[train]))
    judge, found = pca.transform(scaler.transform(x)), fitted.transform(x)
    np.testing.assert_allclose(found * np.sign((found * judge).sum(axis=0)), judge, atol=1e-8)
    assert fitted.describe().startswith("64, standardised, 7 principal components (")


def test_only_training_rows_are_fitted_on():
    x = generator.normal(size=(90, 4))
    changed = x.copy()
    changed[1::2] = 1e9
    for options in ({"pca": 2}, {"pca": 2, "standardize": True}, {"scale": "standard"}, {"scale": "min_max"}):
        first, second = (Preprocessor.fit(source_of(data), TRAIN, **options).state() for data in (x, changed))
        assert all(np.array_equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("shape", [(700, 500), (500, 700)])
def test_fit_does_not_depend_on_the_threads_of_blas(shape):
    x = np.random.default_rng(5).normal(size=shape)
    states = []
    for threads in (1, 2, 4):
        with threadpool_limits(threads, user_api="blas"):
            states.append(Preprocessor.fit(source_of(x), np.arange(shape[0]), pca=8).state())
    assert all(np.array_equal(states[0][key], other[key]) for other in states[1:] for key in other)


@pytest.mark.parametrize("options", SOME_STEPS)
def test_state_round_trip_through_hdf5_is_exact(options, tmp_path):
    source = build_source("digits", {})
    fitted = Preprocessor.fit(source, np.arange(500), **options)
    with h5py.File(tmp_path / "state.h5", "w") as file:
        for key, value in fitted.state().items():
            file[key] = value
    with h5py.File(tmp_path / "state.h5") as file:
        restored = Preprocessor.from_state({key: file[key][()] for key in file})
    assert restored.n_features == fitted.n_features and restored.describe() == fitted.describe()
    x = source.read(np.arange(600))
    assert np.array_equal(restored.transform(x), fitted.transform(x))
    assert restored.state().keys() == fitted.state().keys()


def test_damaged_state_is_a_storage_error():
    state = Preprocessor.fit(build_source("digits", {}), np.arange(500), **ALL_STEPS).state()
    for key in ("sample_shape", "normalize", "pca_mean", "scale_center"):
        with pytest.raises(StorageError, match="stored state is incomplete"):
            Preprocessor.from_state({name: value for name, value in state.items() if name != key})
    for damage in ({"scale_limits": np.zeros(3)}, {"standard_center": np.zeros(64)}, {"standard_factor": np.ones(64)}):
        with pytest.raises(StorageError):
            Preprocessor.from_state(state | damage)


def test_describe():
    fitted = Preprocessor.fit(build_source("digits", {}), np.arange(500), **ALL_STEPS)
    assert fitted.describe().startswith("8 x 8, resized to 7 x 5, 9 principal components (")
    assert fitted.describe().endswith("% of the variance), scaled to [-1, 2], L2-normalised")


ONES = np.ones((90, 4, 4))
WIDE = np.where(np.arange(90)[:, None] % 4 == 0, 1.7e308, -1.7e308)


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        (ONES, {"resize": 5}, "preprocess.resize: 5 would enlarge images of 4 x 4"),
        (ONES, {"resize": [2, 5]}, r"preprocess.resize: \[2, 5\] would enlarge"),
        (ONES, {"resize": 0}, "preprocess.resize: 0 is not a size"),
        (ONES, {"resize": [2]}, r"preprocess.resize: \[2\] is not a size"),
        (ONES[:, 0], {"resize": 2}, r"preprocess.resize: 2 needs images of shape .*, samples have \(4,\)"),
        (ONES, {"pca": 0}, "preprocess.pca: 0 components of 45 training rows; at least 1"),
        (ONES, {"pca": 2}, "preprocess.pca: 2: the 45 training rows do not vary"),
        (ONES, {"scale": "robust"}, "preprocess.scale: 'robust' is not known; choose one of none, standard, min_max"),
        (ONES, {"scale": "standard"}, "preprocess.scale: standard of features that are all constant"),
        (ONES, {"standardize": True, "pca": 2}, "preprocess.standardize: standard of features that are all constant"),
        (WIDE, {"standardize": True, "pca": 1}, "preprocess.standardize: feature 0 spans -1.7e.308 to 1.7e.308"),
        (WIDE, {"scale": "min_max"}, "preprocess.scale: feature 0 spans -1.7e.308 to 1.7e.308"),
        (ONES, {"range": [1, 1]}, r"preprocess.range: \[1, 1\] is not a range"),
        (ONES, {"range": [0, math.inf]}, "preprocess.range: .* is not a range"),
        (ONES, {"range": [0, 1, 2]}, "preprocess.range: .* is not a range"),
    ],
)
def test_impossible_options(x, options, message):
    with pytest.raises(InputError, match=f"^{message}"):
        Preprocessor.fit(source_of(x), TRAIN, **options)


def test_too_large_a_matrix_is_refused_before_it_is_made():
    with pytest.raises(InputError, match="need a matrix of 8.0 GiB, allowed are 0.5; make the samples smaller"):
        Preprocessor.fit(_Wide(), np.arange(40_000), pca=2)


class _Wide:
    """Claims a size and cannot be read."""

    info = SourceInfo("wide", 40_000, (2**15,), "regression")


def test_no_training_rows():
    with pytest.raises(InputError, match="no training rows"):
        Preprocessor.fit(source_of(ONES), np.array([], dtype=int))


def test_zero_row_is_named_with_its_number():
    x = generator.normal(size=(90, 3))
    x[[40, 50]] = 0
    fitted = Preprocessor.fit(source_of(x), TRAIN, normalize=True)
    with pytest.raises(InputError, match=r"^preprocess\.normalize: row 40 is all zero"):
        fitted.transform(x)
    with pytest.raises(InputError, match="row 50 is all zero"):
        fitted.transform(x[[7, 50]], np.array([7, 50]))


def test_other_samples_than_fitted_on():
    fitted = Preprocessor.fit(source_of(ONES), TRAIN)
    with pytest.raises(InputError, match=r"fitted on samples of shape \(4, 4\), found \(4, 5\)"):
        fitted.transform(np.ones((2, 4, 5)))


def test_features_that_overflow_are_refused():
    x = np.array([[1.0, 2.0], [2.0, 1.0], [3.0, 5.0], [1.7e308, 1.7e308]])
    fitted = Preprocessor.fit(source_of(x), np.arange(3), normalize=True)
    with pytest.raises(InputError, match=r"^preprocess\.normalize: the norm of row 13 is too large"):
        fitted.transform(x, np.arange(10, 14))
    narrow = Preprocessor.fit(source_of(x / 1e9), np.arange(3), scale="standard")
    with np.errstate(over="ignore"), pytest.raises(InputError, match=r"^preprocess: features of row 3 are NaN or inf"):
        narrow.transform(x)
