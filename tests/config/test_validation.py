"""Which values are refused, with which words."""

from __future__ import annotations

import math

import pytest

from qmltrain.config.schema import Config, options
from qmltrain.config.validation import validate
from qmltrain.errors import InputError


def changed(key: str, value: object) -> Config:
    config = Config()
    group, name = key.split(".")
    assert hasattr(getattr(config, group), name)
    setattr(getattr(config, group), name, value)
    return config


IMPOSSIBLE = [
    ("circuit.n_qubits", 0),
    ("circuit.n_qubits", 1001),
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
    ("engine.reductions", ["cones"]),
    ("engine.reductions", ["light_cones", "light_cones"]),
    ("engine.reductions", [[]]),
    ("engine.reductions", "light_cones"),
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


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"standardize": True, "pca": None}, r"preprocess\.standardize: found true; not used without preprocess\.pca"),
        (
            {"clip": False, "scale": "standard"},
            r"preprocess\.clip: found false; not used by preprocess\.scale=standard",
        ),
        ({"clip": False, "scale": "none"}, r"preprocess\.clip: found false; not used by preprocess\.scale=none"),
    ],
)
def test_preprocessing_that_would_not_be_used(changes, message):
    config = Config()
    for key, value in changes.items():
        setattr(config.preprocess, key, value)
    with pytest.raises(InputError, match=f"^{message}"):
        validate(config)


@pytest.mark.parametrize("key", [key for key, _, item in options(Config()) if item.metadata["rule"]])
@pytest.mark.parametrize("nonsense", ["", " ", [], [""], {}], ids=repr)
def test_no_rule_takes_nonsense_or_breaks_on_it(key, nonsense):
    if (key, nonsense) == ("engine.reductions", []):  # none of them: it means something
        validate(changed(key, nonsense))
        return
    with pytest.raises(InputError, match=key):
        validate(changed(key, nonsense))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("circuit.n_qubits", 1),
        ("circuit.n_qubits", 1000),
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
