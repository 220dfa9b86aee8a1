"""Which part of a config names a run, and which configs belong to the same run."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from qmltrain.config.identity import (
    ALWAYS_COUNTED,
    check_same_run,
    complete,
    config_hash,
    differing_keys,
    flatten,
    keys_of_layout,
    keys_without_effect,
)
from qmltrain.config.reference import known_keys
from qmltrain.config.schema import Config, options
from qmltrain.errors import InputError

CONFIG: dict[str, Any] = {
    "circuit": {"n_qubits": 8},
    "encoding": {"name": "reuploading", "gates": ["ry"], "repeats": None},
    "train": {"epochs": 25, "monitor": "val/loss"},
    "engine": {"name": "auto", "threads": 0, "memory_gib": None},
    "run": {"name": "run", "seed": 0, "gradients": "norms", "gradients_every": 1, "keep": 3, "dir": None},
}


def changed(key: str, value: Any) -> dict[str, Any]:
    config = deepcopy(CONFIG)
    *groups, last = key.split(".")
    inner = config
    for group in groups:
        inner = inner.setdefault(group, {})
    inner[last] = value
    return config


def test_hash_is_fixed_forever() -> None:
    """Another value here gives every existing run another directory."""
    assert config_hash(CONFIG) == "5ad7d9e4"


@pytest.mark.parametrize("key", keys_without_effect())
def test_keys_without_effect_change_nothing(key: str) -> None:
    assert config_hash(changed(key, "other")) == config_hash(CONFIG)
    assert differing_keys(CONFIG, changed(key, "other")) == {}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("circuit.n_qubits", 9),
        ("encoding.gates", ["rx"]),
        ("encoding.gates", ["ry", "rz"]),
        ("encoding.repeats", 1),
        ("train.epochs", 26),
        ("engine.name", "cpu"),
        ("run.seed", 1),
        ("run.seed_order", 0),
    ],
)
def test_all_other_keys_do(key: str, value: Any) -> None:
    config = changed(key, value)
    assert config_hash(config) != config_hash(CONFIG)
    assert list(differing_keys(CONFIG, config)) == [key]
    with pytest.raises(InputError, match=f"runs/a: holds a run of another config .*{key} was .*, now "):
        check_same_run(CONFIG, config, "runs/a")


def test_order_tuples_and_null_options_do_not_matter() -> None:
    shuffled = dict(reversed(list(CONFIG.items())))
    shuffled["encoding"] = {"repeats": None, "gates": ("ry",), "name": "reuploading", "entanglement": None}
    assert config_hash(shuffled) == config_hash(CONFIG)
    check_same_run(CONFIG, shuffled, "runs/a")


def test_differences_say_both_values() -> None:
    assert differing_keys(CONFIG, changed("train.epochs", 3)) == {"train.epochs": (25, 3)}
    assert differing_keys(CONFIG, changed("encoding.repeats", 3)) == {"encoding.repeats": (None, 3)}
    with pytest.raises(InputError, match="encoding.repeats was null, now 3"):
        check_same_run(CONFIG, changed("encoding.repeats", 3), "runs/a")


@pytest.mark.parametrize("key", sorted(keys_of_layout()))
def test_what_the_file_was_laid_out_by_cannot_change_within_a_run(key: str) -> None:
    assert key in keys_without_effect()
    with pytest.raises(InputError, match=key):
        check_same_run(CONFIG, changed(key, 7), "runs/a")


def test_flatten() -> None:
    assert flatten({"b": {"y": [1], "x": {"z": None}}, "a": 1}) == {"a": 1, "b.x.z": None, "b.y": [1]}


def test_what_a_config_does_not_hold_has_its_default() -> None:
    assert complete(CONFIG)["train.patience"] is None and complete(CONFIG)["train.batch_size"] == 32
    assert complete(changed("train.batch_size", 7))["train.batch_size"] == 7
    assert differing_keys(CONFIG, changed("train.batch_size", 32)) == {}
    check_same_run(CONFIG, changed("train.batch_size", 32), "runs/a")
    with pytest.raises(InputError, match="train.batch_size was 32, now 7"):
        check_same_run(CONFIG, changed("train.batch_size", 7), "runs/a")


def test_keys_that_always_count_exist_and_count() -> None:
    assert set(known_keys()) >= ALWAYS_COUNTED
    assert not ALWAYS_COUNTED & keys_without_effect().keys()


def test_the_default_of_a_key_that_counts_where_it_is_set_never_changes() -> None:
    """It is left out of the names of runs. A new key whose default is not null belongs into `added`, for good."""
    added: dict[str, Any] = {"input.name": "none", "train.replacement": False}
    added |= {"preprocess.standardize": False, "preprocess.clip": True}
    defaults = {
        key: value
        for key, value, _ in options(Config())
        if key not in ALWAYS_COUNTED and key not in keys_without_effect() and value is not None
    }
    assert defaults == added
