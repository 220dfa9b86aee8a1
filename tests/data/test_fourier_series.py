"""Random Fourier series: their frequencies, judged by least squares."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.data.registry import build_source
from tests.data.refusals import refused


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
        refused("fourier_series", rf"^dataset\.{option}: ", **{option: value})
