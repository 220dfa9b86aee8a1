"""Data sets of scikit-learn: the same samples and labels as from scikit-learn itself."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import sklearn.datasets

from qmltrain.data import sklearn_sources
from qmltrain.data.registry import build_source
from qmltrain.errors import InputError
from tests.data.refusals import refused


@pytest.mark.parametrize("name", ["digits", "iris", "wine", "breast_cancer"])
def test_bundled_sets_are_those_of_sklearn(name):
    bundle = getattr(sklearn.datasets, f"load_{name}")()
    source = build_source(name, {})
    x = bundle.images if name == "digits" else bundle.data
    assert np.array_equal(source.read(np.arange(source.info.n_samples)), x)
    assert np.array_equal(source.labels(), bundle.target)
    assert source.info.class_names == tuple(str(c) for c in bundle.target_names)
    assert source.info.feature_names == (() if name == "digits" else tuple(map(str, bundle.feature_names)))


def test_diabetes_is_unscaled_regression():
    bundle = sklearn.datasets.load_diabetes(scaled=False)
    x, y = bundle.data, bundle.target
    source = build_source("diabetes", {})
    assert source.info.feature_names == tuple(bundle.feature_names)
    assert source.info.task == "regression"
    assert np.array_equal(source.read(np.arange(442)), x) and np.array_equal(source.labels(), y)


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("make_moons", {"n_samples": 31, "noise": 0.3, "generator_seed": 5}, {"noise": 0.3}),
        ("make_circles", {"n_samples": 31, "noise": 0.3, "generator_seed": 5}, {"noise": 0.3, "factor": 0.5}),
        (
            "make_blobs",
            {"n_samples": 31, "n_features": 3, "n_classes": 4, "generator_seed": 5},
            {"n_features": 3, "centers": 4},
        ),
        (
            "make_classification",
            {"n_samples": 31, "n_features": 3, "n_classes": 4, "generator_seed": 5},
            {"n_features": 3, "n_informative": 3, "n_redundant": 0, "n_classes": 4, "n_clusters_per_class": 1},
        ),
    ],
)
def test_generators_are_those_of_sklearn(name, options, expected):
    x, y = getattr(sklearn.datasets, name)(31, random_state=5, **expected)
    source = build_source(name, options)
    assert np.array_equal(source.read(np.arange(31)), x) and np.array_equal(source.labels(), y)
    assert build_source(name, options | {"generator_seed": 6}).checksum != source.checksum


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("make_moons", {"n_samples": 1}, "n_samples: 1 is fewer than the 2 classes"),
        ("make_moons", {"noise": -0.1}, "noise: -0.1 is not possible"),
        ("make_circles", {"noise": float("nan")}, "noise: nan is not possible"),
        ("make_circles", {"generator_seed": -1}, "generator_seed: -1 is not possible"),
        ("make_blobs", {"n_classes": 1}, "n_classes: 1 is not possible; at least 2"),
        ("make_blobs", {"n_features": 0}, "n_features: 0 is not possible"),
        ("make_classification", {"n_features": 2, "n_classes": 5}, "n_classes: 5 clusters do not fit on the 4 corners"),
    ],
)
def test_impossible_generator_options(name, options, message):
    with pytest.raises(InputError, match=f"^dataset.{message}"):
        build_source(name, options)


def test_as_many_clusters_as_corners():
    assert len(build_source("make_classification", {"n_features": 2, "n_classes": 4}).info.class_names) == 4


def test_friedman_is_that_of_sklearn():
    from sklearn.datasets import make_friedman1

    x, y = make_friedman1(50, 7, noise=0.5, random_state=3)
    options = {"n_samples": 50, "n_features": 7, "noise": 0.5, "generator_seed": 3}
    source = build_source("make_friedman1", options)
    np.testing.assert_array_equal(source.read(np.arange(50)), x)
    np.testing.assert_array_equal(source.labels(), y)
    refused("make_friedman1", r"^dataset\.n_features: 4 is too few", n_features=4)


def test_bundled_sets_need_no_import_of_sklearn():
    """It takes longer than many a training."""
    lines = ["import sys", "from qmltrain.data.registry import build_source"]
    lines += [f"build_source({name!r}, {{}})" for name in ("digits", "iris", "wine", "breast_cancer", "diabetes")]
    code = "; ".join([*lines, "print('sklearn' in sys.modules)"])
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "False\n"


def test_a_file_that_is_not_there(monkeypatch):
    monkeypatch.setattr(sklearn_sources, "find_spec", lambda name: None)
    refused("iris", "dataset.name: iris.csv of scikit-learn is not there")
