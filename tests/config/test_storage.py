"""A stored config comes back equal, and one that does not fit is refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmltrain.config.schema import Config
from qmltrain.config.storage import from_yaml, to_dict, to_yaml
from qmltrain.errors import InputError


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
        ("circuit: {n_qubits: 9999}", "circuit.n_qubits: found 9999"),
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
