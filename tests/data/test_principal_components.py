"""Principal components against scikit-learn, also of wide data and far from the origin."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from sklearn.decomposition import PCA

from qmltrain.data.preprocessing import Preprocessor
from qmltrain.data.registry import build_source
from qmltrain.errors import InputError
from tests.data.small_sources import TRAIN, source_of

generator = np.random.default_rng(42)


def aligned(features, expected):
    """`expected` with each column's sign as in `features`."""
    return expected * np.sign((features * expected).sum(axis=0))


@pytest.mark.parametrize("n_components", [1, 5, 30])
def test_pca_is_that_of_sklearn(n_components, small_chunks):
    source = build_source("digits", {})
    train = np.arange(0, 1797, 2)
    fitted = Preprocessor.fit(source, train, pca=n_components)
    x = source.read(np.arange(1797)).reshape(1797, 64)
    judge = PCA(n_components, svd_solver="full").fit(x[train])
    features = fitted.transform(source.read(np.arange(1797)))
    assert fitted.n_features == n_components
    np.testing.assert_allclose(features, aligned(features, judge.transform(x)), atol=1e-10)
    np.testing.assert_allclose(fitted.pca.variance_ratio_K, judge.explained_variance_ratio_, atol=1e-12)


def test_pca_of_fewer_rows_than_features_is_that_of_sklearn(small_chunks):
    x = generator.normal(size=(40, 200)) * np.linspace(3, 0.1, 200) + 5
    fitted = Preprocessor.fit(source_of(x), np.arange(30), pca=29)
    judge = PCA(29, svd_solver="full").fit(x[:30])
    features = fitted.transform(x)
    np.testing.assert_allclose(features, aligned(features, judge.transform(x)), atol=1e-10)
    np.testing.assert_allclose(fitted.pca.variance_ratio_K, judge.explained_variance_ratio_, atol=1e-12)


def test_pca_of_many_features_takes_no_square_of_them():
    x = generator.normal(size=(12, 2000))
    tracemalloc.start()
    Preprocessor.fit(source_of(x), np.arange(12), pca=3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 2000**2 / 4


def test_pca_far_from_the_origin():
    """The covariance is that about the mean, also where the mean is a million deviations away, or drifts."""
    x = generator.normal(size=(90, 4)) * [4, 3, 2, 1] + 1e6
    x[:, 0] += np.linspace(0, 100, 90)
    features = Preprocessor.fit(source_of(x), TRAIN, pca=3).transform(x)
    judge = PCA(3, svd_solver="full").fit(x[TRAIN]).transform(x)
    np.testing.assert_allclose(features, aligned(features, judge), atol=1e-6)


def test_largest_loading_of_each_component_is_positive():
    for x in (generator.normal(size=(90, 6)), generator.normal(size=(90, 50))):
        components = Preprocessor.fit(source_of(x), TRAIN, pca=5).pca.components_KF
        assert (components[np.arange(5), np.abs(components).argmax(axis=1)] > 0).all()
        np.testing.assert_allclose(components @ components.T, np.eye(5), atol=1e-12)


@pytest.mark.parametrize(
    ("shape", "rank", "wanted", "found"),
    [
        ((90, 3), 3, 8, 3),  # no more features
        ((90, 100), 100, 60, 44),  # no more training rows, less their mean
        ((90, 6), 2, 5, 2),  # the columns depend on each other
        ((90, 100), 7, 9, 7),
        ((90, 6), 6, 4, 4),
    ],
)
def test_at_most_as_many_as_there_are(shape, rank, wanted, found):
    """Those that there are, are the same as where no more are asked for."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(shape[0], rank)) @ generator.normal(size=(rank, shape[1]))
    fitted = Preprocessor.fit(source_of(x), TRAIN, pca=wanted)
    assert fitted.n_features == found
    exact = Preprocessor.fit(source_of(x), TRAIN, pca=found)
    np.testing.assert_allclose(np.abs(fitted.transform(x)), np.abs(exact.transform(x)), rtol=1e-9, atol=1e-9)
    assert fitted.transform(x).std(axis=0).min() > 1e-6


@pytest.mark.parametrize("shape", [(60, 3), (6, 20)])
@pytest.mark.parametrize("size", [1e160, 1e308, 1.7e308])
def test_squares_that_overflow_are_refused(shape, size):
    x = size * np.sign(generator.normal(size=shape))
    with pytest.raises(InputError, match=r"^preprocess\.pca: 2 components .* too large for float64; rescale the data$"):
        Preprocessor.fit(source_of(x), np.arange(shape[0]), pca=2)
