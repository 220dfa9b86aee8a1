"""A loaded model has the plans of its run, whatever it is asked: the same bits, pickled or not."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import qmltrain
from qmltrain.config.schema import Config
from qmltrain.engines.cpu import unavailable_reason
from qmltrain.runs.views import open_run
from qmltrain.verbs import train
from tests.small_configs import CONTEXT


@pytest.mark.skipif(unavailable_reason() is not None, reason="no C++ extension")
@pytest.mark.parametrize(("n_qubits", "layers"), [(4, 40), (9, 2)])
def test_predictions_are_those_of_the_run(tmp_path, n_qubits, layers):
    config = Config()
    config.circuit.n_qubits, config.ansatz.layers = n_qubits, layers
    config.encoding.name, config.encoding.repeats = "angle", None
    config.dataset.name, config.preprocess.pca = "iris", 4
    config.engine.name, config.train.epochs, config.train.batch_size = "cpu", 2, 1000
    config.train.baseline, config.run.dir, config.run.progress = False, str(tmp_path / "run"), "none"
    assert train.run(config, CONTEXT) == 0
    own, model = open_run(tmp_path / "run").evaluation("test"), qmltrain.load(tmp_path / "run")
    assert model.compiled.reductions.samples == 90
    from sklearn.datasets import load_iris

    samples = load_iris().data[np.asarray(own["rows"])]
    scores = model.scores(samples)
    np.testing.assert_array_equal(scores, np.asarray(own["scores"]))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).scores(samples), scores)
