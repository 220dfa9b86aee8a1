"""Models with random parameters, as if a run had left them, and what an export of one is held against."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from qmltrain.data.array_source import array_source
from qmltrain.data.checks import ArrayNames
from qmltrain.data.preprocessing import Preprocessor
from qmltrain.data.scaling import TargetScaler
from qmltrain.models.build import build_model, compile_model
from qmltrain.models.trained import TrainedModel
from tests.small_configs import moons

TRAINING_ROWS = 40


def untrained(
    x: np.ndarray, n_classes: int | None = 2, preprocess: dict[str, Any] | None = None, **changes: Any
) -> TrainedModel:
    """A model for samples like the rows of `x`, of which the first train the preprocessing; `changes` as of `moons`."""
    config = moons(Path("nowhere"), **{"engine__name": "reference", "circuit__n_qubits": 3, **changes})
    source = array_source("npz", x, np.arange(len(x)) % 2, ArrayNames("file"))
    preprocessor = Preprocessor.fit(source, np.arange(TRAINING_ROWS), **(preprocess or {}))
    model = build_model(config, preprocessor.n_features, n_classes)
    theta_P = np.random.default_rng(5).normal(size=model.n_parameters)
    names = tuple(f"class '{k}'" for k in range(n_classes or 0))
    scaler = None if n_classes else TargetScaler(-120.25, 17.125)
    compiled = compile_model(config, model)
    return TrainedModel(config, Path("runs/any"), model, compiled, preprocessor, scaler, theta_P, names, 3)


def check_predictions(trained: TrainedModel, exported: dict[str, Any], x: np.ndarray) -> None:
    """`exported` is what an exported source defines, `x` are raw samples."""
    scores, predictions = exported["scores"](x), exported["predict"](x)
    expected = trained.scores(x)
    assert len(x) > 3 and np.ptp(expected[:, 0]) > 1e-4
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-10)
    assert scores.shape == expected.shape and predictions.dtype == trained.predict(x).dtype
    if trained.class_names:
        assert np.array_equal(predictions, trained.predict(x))
        assert exported["CLASS_NAMES"] == trained.class_names
    else:
        np.testing.assert_allclose(predictions, trained.predict(x), rtol=1e-10)
