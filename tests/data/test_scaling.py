"""Scaling of features and targets against scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from qmltrain.data.preprocessing import Preprocessor
from qmltrain.data.scaling import TargetScaler
from qmltrain.errors import InputError, StorageError
from tests.data.small_sources import TRAIN, source_of

generator = np.random.default_rng(42)


def test_standard_is_that_of_sklearn(small_chunks):
    x = generator.normal(size=(90, 5)) * [1, 1e-6, 1e6, 3, 1] + [0, 5, 1e9, -2, 1e-3]
    features = Preprocessor.fit(source_of(x), TRAIN, scale="standard").transform(x)
    np.testing.assert_allclose(features, StandardScaler().fit(x[TRAIN]).transform(x), rtol=1e-10, atol=1e-10)


def test_min_max_is_that_of_sklearn_and_clips_other_rows(small_chunks):
    x = generator.normal(size=(90, 5)) * [1, 1e-6, 1e6, 3, 1] + [0, 5, 1e9, -2, 1e-3]
    features = Preprocessor.fit(source_of(x), TRAIN, scale="min_max", range=[-0.5, math.pi]).transform(x)
    judge = MinMaxScaler((-0.5, math.pi), clip=True).fit(x[TRAIN]).transform(x)
    np.testing.assert_allclose(features, judge, atol=1e-10)
    assert features.min() >= -0.5 and features.max() <= math.pi
    assert MinMaxScaler((-0.5, math.pi)).fit(x[TRAIN]).transform(x).max() > math.pi  # there was something to clip


def test_min_max_that_does_not_clip_is_that_of_sklearn():
    x = generator.normal(size=(90, 5)) * [1, 1e-6, 1e6, 3, 1] + [0, 5, 1e9, -2, 1e-3]
    fitted = Preprocessor.fit(source_of(x), TRAIN, scale="min_max", range=[-0.5, math.pi], clip=False)
    judge = MinMaxScaler((-0.5, math.pi)).fit(x[TRAIN]).transform(x)
    np.testing.assert_allclose(fitted.transform(x), judge, atol=1e-10)
    assert fitted.transform(x).max() > math.pi and fitted.describe().endswith("scaled to [-0.5, 3.142] unclipped")
    clipped = Preprocessor.fit(source_of(x), TRAIN, scale="min_max", range=[-0.5, math.pi]).state()
    assert fitted.state().keys() - clipped.keys() == {"scale_clips"}  # older runs have none


def test_constant_features_become_the_middle():
    x = generator.normal(size=(90, 3))
    x[:, 1] = 0.7  # whose mean over 45 rows is not 0.7 in float64
    x[1, 1] = 5.0  # not a training row
    source = source_of(x)
    assert (Preprocessor.fit(source, TRAIN, scale="standard").transform(x)[:, 1] == 0).all()
    assert (Preprocessor.fit(source, TRAIN, scale="min_max", range=[1, 2]).transform(x)[:, 1] == 1.5).all()


def test_target_scaler():
    targets = generator.normal(50, 9, 90)
    scaler = TargetScaler.fit(targets, TRAIN[::-1])
    judge = StandardScaler().fit(targets[TRAIN, None])
    np.testing.assert_allclose(scaler.transform(targets), judge.transform(targets[:, None])[:, 0], atol=1e-12)
    np.testing.assert_allclose(scaler.inverse(scaler.transform(targets)), targets, rtol=1e-14)
    assert TargetScaler.from_state(scaler.state()) == scaler == TargetScaler.fit(targets, TRAIN)
    with pytest.raises(InputError, match="the targets of the 45 training rows do not vary"):
        TargetScaler.fit(np.ones(90), TRAIN)
    with pytest.raises(StorageError, match="'target_deviation'"):
        TargetScaler.from_state({"target_mean": np.array(1.0)})


@pytest.mark.parametrize(
    "targets",
    [
        np.where(np.arange(90) % 4, 1e160, -1e160),  # the squares overflow
        np.where(np.arange(90) % 4, 0.0, 1e-200),  # and so do they underflow
        np.where(np.arange(90) == 1, 1e200, np.arange(90.0)),  # a row that is not trained on
        np.where(np.arange(90) == 1, 1e10, np.arange(90) * 1e-150),  # finite, but not in standard deviations
    ],
)
def test_targets_that_float64_cannot_square_are_refused(targets):
    assert 1 not in TRAIN
    with pytest.raises(InputError, match=r"^dataset: the targets span .* rescale them$"):
        TargetScaler.fit(targets, TRAIN)
    assert np.isfinite(TargetScaler.fit(np.arange(90) * 1e140, TRAIN).deviation)
