"""The options in words: nearest keys and allowed values."""

from __future__ import annotations

import dataclasses

import pytest

from qmltrain.config.reference import allowed_values, known_keys, nearest_key
from qmltrain.config.schema import Config


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("ansatz.layer", "ansatz.layers"),
        ("n_qubits", "circuit.n_qubits"),
        ("epoch", "train.epochs"),
        ("optimiser", "optimizer"),
        ("optimizer.learning_rat", "optimizer.learning_rate"),
        ("something.else", None),
    ],
)
def test_nearest_key(typed, meant):
    assert nearest_key(typed) == meant


def test_every_key_says_what_it_takes():
    keys = known_keys()
    assert len(keys) == len(set(keys)) == sum(len(dataclasses.fields(node)) for node in vars(Config()).values())
    for key in keys:
        allowed = allowed_values(key)
        assert allowed and "|" not in allowed and "None" not in allowed, key
    assert allowed_values("circuit.n_bits") is None
