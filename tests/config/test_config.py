"""The schema: what is refused, with which words, and that a stored config comes back equal."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmltrain.config import (
    Config,
    allowed_values,
    from_yaml,
    known_keys,
    nearest_key,
    options,
    to_dict,
    to_yaml,
    validate,
)
from qmltrain.errors import InputError


def changed(key: str, value: object) -> Config:
    config = Config()
    group, name = key.split(".")
    assert hasattr(getattr(config, group), name)
    setattr(getattr(config, group), name, value)
    return config


IMPOSSIBLE = [
    ("circuit.n_qubits", 0),
    ("circuit.n_qubits", 45),
    ("circuit.n_qubits", True),
    ("encoding.repeats", 0),
    ("encoding.pad_with", math.inf),
    ("ansatz.layers", -1),
    ("ansatz.layers", 10**12),
    ("ansatz.ranges", [0]),
    ("ansatz.ratio_imprimitive", 1.0),
    ("observable.qubits", [0, 0]),
    ("observable.qubits", [8]),
    ("observable.states", ["012"]),
    ("observable.states", [-1]),
    ("observable.couplings", [1.0, math.nan]),
    ("loss.delta", 0.0),
    ("loss.class_weights", "equal"),
    ("loss.class_weights", [1.0, -1.0]),
    ("dataset.sha256", "abc"),
    ("dataset.noise", -0.1),
    ("dataset.n_classes", 1),
    ("dataset.generator_seed", 2**32),
    ("dataset.classes", [3, 3]),
    ("dataset.validation", -0.1),
    ("dataset.test", 1.0),
    ("dataset.validation", 0.8),
    ("preprocess.resize", 0),
    ("preprocess.resize", [8]),
    ("preprocess.pca", 0),
    ("preprocess.scale", "minmax"),
    ("preprocess.range", [1.0, -1.0]),
    ("preprocess.range", [0.0, math.nan]),
    ("optimizer.learning_rate", 0.0),
    ("optimizer.learning_rate", math.nan),
    ("optimizer.beta_2", 1.0),
    ("optimizer.clip_norm", 0.0),
    ("schedule.final_fraction", 1.5),
    ("engine.name", "gpu"),
    ("engine.precision", "float32"),
    ("engine.threads", -1),
    ("engine.memory_gib", 0.0),
    ("gradient.mode", "adjoint"),
    ("gradient.checkpoint_interval", 0),
    ("train.epochs", 0),
    ("train.batch_size", 0),
    ("train.monitor", "test/loss"),
    ("train.monitor", "val/"),
    ("train.initial", "random"),
    ("train.initial_shape", [0.0, 1.0]),
    ("train.initial_rest", "from_run"),
    ("train.freeze", []),
    ("train.freeze", [-1]),
    ("train.freeze", [True]),
    ("run.name", "a/b"),
    ("run.name", ".."),
    ("run.name", "two\nlines"),
    ("run.seed", -1),
    ("run.seed", 2**63),
    ("run.save_every", 0),
    ("run.resume", "yes"),
    ("run.gradients", "all"),
    ("run.progress", "tqdm"),
    ("run.log_seconds", 0.0),
    ("study.rows", 0),
]


@pytest.mark.parametrize(("key", "value"), IMPOSSIBLE)
def test_impossible_values_are_refused_in_one_line_that_names_the_key(key, value):
    with pytest.raises(InputError) as refused:
        validate(changed(key, value))
    message = str(refused.value)
    assert key in message and "found" in message and "allowed" in message
    assert "\n" not in message and len(message) < 300


@pytest.mark.parametrize("key", [key for key, _, item in options(Config()) if item.metadata["rule"]])
@pytest.mark.parametrize("nonsense", ["", " ", [], [""], {}], ids=repr)
def test_no_rule_takes_nonsense_or_breaks_on_it(key, nonsense):
    with pytest.raises(InputError, match=key):
        validate(changed(key, nonsense))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("circuit.n_qubits", 1),
        ("circuit.n_qubits", 40),
        ("observable.states", [0, "0110"]),
        ("observable.qubits", [7, 0]),
        ("loss.class_weights", "balanced"),
        ("loss.class_weights", [0.0, 2]),
        ("preprocess.resize", 7),
        ("preprocess.resize", [14, 7]),
        ("preprocess.pca", None),
        ("dataset.classes", [3, 6]),
        ("train.monitor", "val/balanced_accuracy"),
        ("run.name", "größe 1"),
        ("run.seed", 2**63 - 1),
    ],
)
def test_possible_values_at_the_edges(key, value):
    config = changed(key, value)
    assert validate(config) is config


def test_defaults_are_valid_and_of_their_declared_kind():
    config = validate(Config())
    assert config == Config() and config.preprocess.range is not Config().preprocess.range
    for key, value, item in options(config):
        assert (value is None) <= ("None" in str(item.type) or item.type == "Any"), key
        assert item.metadata["meaning"], key


@settings(max_examples=30)
@given(
    seed=st.none() | st.integers(0, 2**63 - 1),
    rate=st.floats(1e-300, 1e300),
    name=st.text("aZ0-_. ä:#'\"{}[]%&*!|>", min_size=1).filter(lambda text: text.strip() not in ("", ".", "..")),
    classes=st.none() | st.lists(st.integers(0, 9) | st.text("abc", min_size=1), min_size=1, unique=True),
)
def test_a_stored_config_comes_back_equal(seed, rate, name, classes):
    config = Config()
    config.run.seed_split, config.optimizer.learning_rate, config.run.name = seed, rate, name
    config.dataset.classes = classes
    stored = to_yaml(config)
    assert from_yaml(stored) == config
    assert to_yaml(from_yaml(stored)) == stored


def test_to_dict_is_a_copy():
    config = Config()
    to_dict(config)["preprocess"]["range"][0] = 7.0
    assert config == Config()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("circuit: {n_qubits: 4, n_bits: 3}", "circuit.n_bits, unknown to this version"),
        ("quantum: {a: 1}", "quantum.a, unknown to this version"),
        ("circuit: {n_qubits: many}", "circuit.n_qubits"),
        ("circuit: {n_qubits: 99}", "circuit.n_qubits: found 99"),
        ("circuit: 4", "no groups"),
        ("just words", "no groups"),
        ("a: [", "not YAML"),
    ],
)
def test_a_stored_config_that_does_not_fit_is_refused_in_one_line(text, words):
    with pytest.raises(InputError) as refused:
        from_yaml(text, "runs/x/run.h5")
    assert str(refused.value).startswith("runs/x/run.h5: ") and words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_options_missing_from_a_stored_config_take_their_defaults():
    config = from_yaml("circuit: {n_qubits: 3}")
    assert config.circuit.n_qubits == 3
    config.circuit.n_qubits = 8
    assert config == Config()


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
