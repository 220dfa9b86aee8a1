"""Generators of the benchmark study: its published numbers, and a second derivation, loop by loop, on NumPy's global
generator with scikit-learn's split."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.model_selection import train_test_split

from qmltrain.data.benchmark_sets import SERIES
from qmltrain.data.registry import build_source
from qmltrain.data.splits import TEST, TRAIN
from tests.data.refusals import refused

# Mean over the features of the absolute rank correlation with the label, training rows, as published (arXiv:2403.07059,
# profiles of its data sets): series -> (option, value for 2, value for 20).
CORRELATIONS = {
    "linearly_separable": ("n_features", 0.649126154638572, 0.198298362093471),
    "hidden_manifold": ("n_features", 0.328009969004473, 0.239971621148258),
    "hidden_manifold_diff": ("manifold_dimension", 0.422915399897323, 0.132600781029057),
    "hyperplanes_diff": ("n_hyperplanes", 0.337259364097988, 0.201720505596806),
    "two_curves": ("n_features", 0.0431212225478928, 0.462798592610966),
    "two_curves_diff": ("degree", 0.552244862845965, 0.0849172981757817),
}
ENTRY_OF = {series: entry for entry, known in SERIES.items() for series in known}


def rows_of(name, **options):
    source = build_source(name, options)
    return source.read(np.arange(source.info.n_samples)), source.labels(), source.info.parts


@pytest.mark.parametrize("series", ENTRY_OF)
@pytest.mark.parametrize("size", [2, 20])
def test_rank_correlations_are_the_published_ones(series, size):
    option, *expected = CORRELATIONS[series]
    x, y, parts = rows_of(ENTRY_OF[series], published=series, **{option: size})
    train = parts == TRAIN
    assert (train.sum(), (parts == TEST).sum()) == (240, 60)
    found = np.mean([abs(spearmanr(column, y[train])[0]) for column in x[train].T])
    assert found == pytest.approx(expected[size == 20], abs=1e-12)


def test_images_are_the_published_ones():
    """Of the study's figure, whose script labels rows -1; its package labels them +1, and so do we."""
    x, y, _ = rows_of("bars_and_stripes", n_samples=50, height=16, width=16, generator_seed=42)
    assert x.shape == (50, 16, 16)
    np.testing.assert_allclose(x[0, 0, :3], [-3.062745063468006457e-01, 1.475184841198451613, 1.408222540475663642])
    np.testing.assert_allclose(x[49, 15, 14:], [-1.541798272336268871e00, 1.519193018579816368e00])
    assert (1 - y[:12]).tolist() == [1, 0, 1, 0, 1, 1, 0, 0, 0, 0, 0, 1]


def separable(n, d, margin):
    points = 2 * np.random.rand(2 * n, d) - 1
    kept = [point for point in points if abs(sum(point)) > margin][:n]
    return np.array(kept), np.array([-1 if sum(point) > 0 else 1 for point in kept])


def manifold(n, d, m):
    mixing, inner, bias = np.random.randn(m, d), np.random.randn(n, m), 2 * np.random.rand(d) - 1
    weights, output = np.random.randn(m, m), np.random.randn(m)
    points = np.array([[np.tanh(c @ mixing[:, j] / m**0.5 - bias[j]) for j in range(d)] for c in inner])
    scores = np.array([output @ np.tanh(weights @ c) / m**0.5 for c in inner])
    return points, np.where(scores > np.median(scores), 1, -1)


def planes(n, d, k, q):
    normals, shifts, points = np.random.rand(k, q), np.random.rand(k), np.random.randn(4 * n, q)
    sides = [sum(normal @ x + shift > 0 for normal, shift in zip(normals, shifts, strict=True)) for x in points]
    even = [x for x, count in zip(points, sides, strict=True) if count % 2 == 0][: n // 2]
    odd = [x for x, count in zip(points, sides, strict=True) if count % 2 == 1][: n // 2]
    mixed = np.array(even + odd) @ np.random.rand(q, d)
    return (mixed - mixed.mean(0)) / mixed.std(0), np.array([-1] * (n // 2) + [1] * (n // 2))


def curves(n, d, degree, offset, noise):
    waves = np.random.rand(d, degree + 1, 2)
    waves = waves / np.linalg.norm(waves)
    points = []
    for shift in (0, offset):
        for _ in range(n // 2):
            t = np.random.rand()
            clean = [
                sum(w[f, 0] * np.cos(f * np.pi * t) + w[f, 1] * np.sin(f * np.pi * t) for f in range(1, degree + 1))
                + w[0, 0]
                + w[0, 1]
                for w in waves
            ]
            points.append(np.array(clean) + shift + np.random.normal(0, noise, d))
    points = np.array(points)
    return (points - points.mean(0)) / points.std(0), np.array([-1] * (n // 2) + [1] * (n // 2))


def images(n, height, width, noise):
    found, labels = [], []
    for _ in range(n):
        image = -np.ones((height, width))
        if np.random.rand() > 0.5:
            for row, coin in enumerate(np.random.rand(height)):
                image[row] = 1 if coin > 0.5 else -1
            labels.append(1)
        else:
            for column, coin in enumerate(np.random.rand(width)):
                image[:, column] = 1 if coin > 0.5 else -1
            labels.append(-1)
        found.append(image + np.random.normal(0, noise, (height, width)))
    return np.array(found), np.array(labels)


@pytest.mark.parametrize(
    ("name", "options", "make"),
    [
        ("linearly_separable", {"n_samples": 31, "n_features": 3, "margin": 0.2}, lambda: separable(31, 3, 0.2)),
        ("linearly_separable", {}, lambda: separable(300, 10, 0.2)),
        ("hidden_manifold", {"n_samples": 30, "n_features": 5, "manifold_dimension": 3}, lambda: manifold(30, 5, 3)),
        ("hidden_manifold", {"n_samples": 31, "n_features": 1}, lambda: manifold(31, 1, 6)),
        (
            "hyperplanes",
            {"n_samples": 40, "n_features": 4, "n_hyperplanes": 5, "manifold_dimension": 2},
            lambda: planes(40, 4, 5, 2),
        ),
        (
            "two_curves",
            {"n_samples": 24, "n_features": 3, "degree": 4, "offset": -0.3, "noise": 0.2},
            lambda: curves(24, 3, 4, -0.3, 0.2),
        ),
        ("two_curves", {"n_features": 1, "noise": 0.0}, lambda: curves(300, 1, 5, 0.1, 0.0)),
        ("bars_and_stripes", {"n_samples": 25, "height": 3, "width": 5, "noise": 0.1}, lambda: images(25, 3, 5, 0.1)),
        ("bars_and_stripes", {}, lambda: images(1200, 4, 4, 0.5)),
    ],
)
@pytest.mark.parametrize("seed", [0, 7])
def test_rows_are_those_of_the_definition(name, options, make, seed):
    np.random.seed(seed)
    expected, labels = make()
    before = np.random.get_state()[1].tolist()
    source = build_source(name, options | {"generator_seed": seed})
    assert np.random.get_state()[1].tolist() == before  # the global generator is the user's
    np.testing.assert_allclose(source.read(np.arange(len(labels))), expected, rtol=0, atol=1e-12)
    assert source.labels().tolist() == ((labels + 1) // 2).tolist()
    assert source.info.class_names == ("-1", "1") and source.info.parts is None


@pytest.mark.parametrize(
    ("name", "series", "options", "before"),
    [
        (
            "two_curves",
            "two_curves_diff",
            {"degree": 3},
            [lambda d=d: curves(300, d, 5, 0.1, 0.01) for d in range(2, 21)]
            + [lambda k=k: curves(300, 10, k, 1 / (2 * k), 0.01) for k in (2, 3)],
        ),
        (
            "linearly_separable",
            "linearly_separable",
            {"n_features": 5},
            [lambda d=d: separable(300, d, 0.02 * d) for d in range(2, 6)],
        ),
    ],
)
def test_a_published_set_is_drawn_behind_those_before_it_and_split_by_sklearn(name, series, options, before):
    np.random.seed(SERIES[name][series].seed)
    for make in before:
        x, y = make()
        parts = train_test_split(x, y, test_size=0.2)
    found, labels, given = rows_of(name, published=series, **options)
    for part, rows, expected in ((TRAIN, parts[0], parts[2]), (TEST, parts[1], parts[3])):
        ours, theirs = np.column_stack([found, 2 * labels - 1])[given == part], np.column_stack([rows, expected])
        order = [np.lexsort(np.round(table, 6).T) for table in (ours, theirs)]
        np.testing.assert_allclose(ours[order[0]], theirs[order[1]], rtol=0, atol=1e-12)


def test_published_properties():
    x, y, _ = rows_of("linearly_separable", n_samples=500, n_features=4, margin=0.5, generator_seed=9)
    sums = x.sum(axis=1)
    assert np.abs(sums).min() > 0.5 and np.array_equal(sums <= 0, y == 1) and np.abs(x).max() <= 1
    for name in ("hyperplanes", "two_curves"):
        x, y, _ = rows_of(name, generator_seed=3)
        assert x.shape == (300, 10) and np.bincount(y).tolist() == [150, 150]
        np.testing.assert_allclose(x.mean(axis=0), 0, atol=1e-12)
        np.testing.assert_allclose(x.std(axis=0), 1, rtol=1e-12)
    x, y, _ = rows_of("hidden_manifold", generator_seed=3)
    assert x.shape == (300, 10) and np.bincount(y).tolist() == [150, 150] and np.abs(x).max() < 1


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("two_curves", {"n_samples": 31}, r"n_samples: 31 is odd"),
        ("hyperplanes", {"n_samples": 31}, r"n_samples: 31 is odd"),
        ("bars_and_stripes", {"n_samples": 1}, r"n_samples: 1 is not possible; at least 2"),
        ("two_curves", {"noise": -0.1}, r"noise: -0\.1 is not possible"),
        ("two_curves", {"offset": float("nan")}, r"offset: nan is not possible"),
        ("hidden_manifold", {"manifold_dimension": 0}, r"manifold_dimension: 0 is not possible"),
        ("linearly_separable", {"n_features": 2, "margin": 2.5}, r"margin: 2\.5 leaves 0 of 600 drawn points"),
        (
            "hyperplanes",
            {"manifold_dimension": 1},
            r"n_hyperplanes: 2 hyperplanes of this seed leave one class 112 of 1200",
        ),
        ("bars_and_stripes", {"generator_seed": -1}, r"generator_seed: -1 is not possible"),
        ("two_curves", {"published": "hyperplanes_diff"}, r"published: 'hyperplanes_diff' is no series of two_curves"),
        ("two_curves", {"published": "two_curves"}, r"published: no dataset\.n_features; the sets of two_curves have"),
        (
            "two_curves",
            {"published": "two_curves", "n_features": 21},
            r"published: dataset\.n_features=21; .* dataset\.n_features=2 to 20",
        ),
        (
            "two_curves",
            {"published": "two_curves", "n_features": 4, "noise": 0.5},
            r"published: dataset\.n_features=4, dataset\.noise=0\.5; ",
        ),
        (
            "two_curves",
            {"published": "two_curves", "n_features": 4, "generator_seed": 4},
            r"generator_seed: 4; two_curves has its own, 3",
        ),
    ],
)
def test_impossible_options(name, options, message):
    refused(name, rf"^dataset\.{message}", **options)


def test_what_is_as_published_may_be_said():
    said = {"degree": 5, "noise": 0.01, "n_samples": 300, "generator_seed": 3}
    plain = build_source("two_curves", {"published": "two_curves", "n_features": 3})
    assert build_source("two_curves", {"published": "two_curves", "n_features": 3} | said).checksum == plain.checksum
