"""Runs that leave out what the answer does not need: stored, stopped, used; the same numbers as with everything."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

import qmltrain
from qmltrain.config.schema import Config
from qmltrain.engines.cones.program import ConesProgram
from qmltrain.fusion.reductions import planner
from qmltrain.sessions.training_run import run_directory
from qmltrain.verbs import train
from tests.sessions.stopped_runs import assert_same_bits, stop_and_go_on
from tests.small_configs import CONTEXT, moons


def many_qubits(root: Path, **changes) -> Config:
    """60 qubits; each observable sees three."""
    changes = {
        "circuit__n_qubits": 60,
        "ansatz__layers": 2,
        "engine__name": "auto",
        "encoding__repeats": None,
    } | changes
    return moons(root, **changes)


def test_a_run_of_many_qubits_is_stopped_and_goes_on_with_the_same_bits(tmp_path):
    whole = many_qubits(tmp_path / "whole")
    assert train.run(whole, CONTEXT) == 0
    stopped = stop_and_go_on(many_qubits(tmp_path / "stopped"), 5)
    assert_same_bits(run_directory(whole), stopped)


def test_what_was_left_out_is_stored_and_taken_by_a_loaded_model(tmp_path):
    config = many_qubits(tmp_path)
    assert train.run(config, CONTEXT) == 0
    choices = json.loads(qmltrain.open_run(run_directory(config)).attributes["choices"])
    assert choices["reductions"] == list(planner.REDUCTIONS)
    trained = qmltrain.load(run_directory(config))
    assert isinstance(trained.compiled.program, ConesProgram)
    assert trained.predict(np.zeros((3, 2))).shape == (3,)


def test_the_same_numbers_with_and_without(tmp_path):
    losses = []
    for asked in (None, []):
        config = many_qubits(tmp_path, circuit__n_qubits=12, engine__reductions=asked)
        assert train.run(config, CONTEXT) == 0
        run = qmltrain.open_run(run_directory(config))
        assert bool(json.loads(run.attributes["choices"])["reductions"]) == (asked is None)
        losses.append(run.table("metrics")["train/loss"])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-9)
