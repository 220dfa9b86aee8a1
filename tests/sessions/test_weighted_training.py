"""Class weights through a whole training: kept with the run, the same numbers when it is evaluated again."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.errors import InputError
from qmltrain.models.trained import load
from qmltrain.runs.views import open_run
from qmltrain.sessions.results import summary_of
from qmltrain.sessions.training_run import run_directory
from qmltrain.verbs import evaluate, train
from tests.sessions.stopped_runs import assert_same_bits, stop_and_go_on
from tests.small_configs import CONTEXT, moons


@pytest.fixture
def uneven(tmp_path):
    """Options of a data set in which one class is rare."""
    generator = np.random.default_rng(0)
    y = np.array([0] * 50 + [1] * 10)
    np.savez(tmp_path / "uneven.npz", x=generator.normal(size=(60, 2)) + y[:, None], y=y)
    return {
        "dataset__name": "npz", "dataset__path": str(tmp_path / "uneven.npz"), "dataset__n_samples": None,
        "dataset__noise": None, "dataset__generator_seed": None,
    }  # fmt: skip


@pytest.mark.parametrize("weights", ["balanced", [0.5, 3]])
def test_weights_are_kept_with_the_run(tmp_path, uneven, capsys, weights):
    whole = moons(tmp_path / "whole", loss__class_weights=weights, **uneven)
    assert train.run(whole, CONTEXT) == 0
    loss = load(run_directory(whole)).model.loss
    np.testing.assert_allclose(loss.weights_C, [36 / (2 * 30), 36 / (2 * 6)] if weights == "balanced" else weights)
    found = summary_of(open_run(run_directory(whole)).attributes)["val/loss"]
    capsys.readouterr()
    assert evaluate.run(run_directory(whole), CONTEXT) == 0
    assert f"{found:.4f}" in capsys.readouterr().out
    stopped = moons(tmp_path / "stopped", loss__class_weights=weights, **uneven)
    assert_same_bits(run_directory(whole), stop_and_go_on(stopped, 4))


def test_weights_change_what_is_learned(tmp_path, uneven):
    plain, weighted = (moons(tmp_path, loss__class_weights=given, **uneven) for given in (None, "balanced"))
    for config in (plain, weighted):
        assert train.run(config, CONTEXT) == 0
    ends = [open_run(run_directory(config)).parameters.to_numpy()[-1] for config in (plain, weighted)]
    assert not np.allclose(*ends)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss__class_weights": [1.0, 2.0, 3.0]}, "3 weights for 2 classes"),
        ({"loss__class_weights": "balanced", "loss__name": "expectation", "head__name": "raw"}, "with no classes"),
    ],
)
def test_weights_that_cannot_be(tmp_path, changes, message):
    with pytest.raises(InputError, match=r"^loss\.class_weights: .*" + message):
        train.run(moons(tmp_path, **changes), CONTEXT)
