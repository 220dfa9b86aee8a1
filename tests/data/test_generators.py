"""Generated data sets: random Fourier series, and generators of scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.data.registry import build_source
from qmltrain.errors import InputError


def refused(message: str, name: str, options: dict, test_path: str | None = None) -> None:
    with pytest.raises(InputError, match=message) as caught:
        build_source(name, options, test_path)
    assert "\n" not in str(caught.value)


def test_fourier_series_has_its_frequencies_and_no_others():
    source = build_source("fourier_series", {"n_samples": 300, "n_frequencies": 4, "generator_seed": 2})
    x, y = source.read(np.arange(300))[:, 0], source.labels()

    def waves(n):
        return np.stack([f(k * x) for k in range(n + 1) for f in (np.cos, np.sin)], axis=1)

    for n, exact in ((3, False), (4, True)):
        residual = y - waves(n) @ np.linalg.lstsq(waves(n), y, rcond=None)[0]
        assert (np.max(np.abs(residual)) < 1e-10) == exact
    noisy = build_source("fourier_series", {"n_samples": 300, "n_frequencies": 4, "generator_seed": 2, "noise": 0.1})
    assert np.std(noisy.labels() - y) == pytest.approx(0.1, rel=0.2)
    for option, value in (("n_samples", 1), ("n_frequencies", 0), ("noise", -1.0)):
        refused(rf"^dataset\.{option}: ", "fourier_series", {option: value})


def test_friedman_is_that_of_sklearn():
    from sklearn.datasets import make_friedman1

    x, y = make_friedman1(50, 7, noise=0.5, random_state=3)
    options = {"n_samples": 50, "n_features": 7, "noise": 0.5, "generator_seed": 3}
    source = build_source("make_friedman1", options)
    np.testing.assert_array_equal(source.read(np.arange(50)), x)
    np.testing.assert_array_equal(source.labels(), y)
    refused(r"^dataset\.n_features: 4 is too few", "make_friedman1", {"n_features": 4})
