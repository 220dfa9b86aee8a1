"""Names of run directories, and which configs belong to the same run."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from qmltrain.errors import InputError
from qmltrain.runs.directory import (
    KEYS_FIXED_BY_LAYOUT,
    KEYS_WITHOUT_EFFECT,
    check_same_run,
    config_hash,
    default_directory,
    differing_keys,
    flatten,
)

CONFIG: dict[str, Any] = {
    "circuit": {"n_qubits": 8},
    "encoding": {"name": "reuploading", "gates": ["ry"], "repeats": None},
    "train": {"epochs": 25, "monitor": "val/loss"},
    "engine": {"name": "auto", "threads": 0, "memory_gib": None},
    "run": {"name": "run", "seed": 0, "gradients": "norms", "gradients_every": 1, "keep": 3, "dir": None},
    "experiment": None,
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


@pytest.mark.parametrize("key", KEYS_WITHOUT_EFFECT)
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
    shuffled["encoding"] = {"repeats": None, "gates": ("ry",), "name": "reuploading", "new_option": None}
    assert config_hash(shuffled) == config_hash(CONFIG)
    check_same_run(CONFIG, shuffled, "runs/a")


def test_differences_say_both_values() -> None:
    assert differing_keys(CONFIG, changed("train.epochs", 3)) == {"train.epochs": (25, 3)}
    assert differing_keys(CONFIG, changed("encoding.repeats", 3)) == {"encoding.repeats": (None, 3)}
    with pytest.raises(InputError, match="encoding.repeats was null, now 3"):
        check_same_run(CONFIG, changed("encoding.repeats", 3), "runs/a")


@pytest.mark.parametrize("key", KEYS_FIXED_BY_LAYOUT)
def test_what_the_file_was_laid_out_by_cannot_change_within_a_run(key: str) -> None:
    assert key in KEYS_WITHOUT_EFFECT
    with pytest.raises(InputError, match=key):
        check_same_run(CONFIG, changed(key, 7), "runs/a")


def test_default_directory() -> None:
    assert default_directory("runs", "iris", CONFIG) == Path("runs") / f"iris-{config_hash(CONFIG)}"
    for name in ("", ".", "..", "a/b"):
        with pytest.raises(InputError, match="run.name"):
            default_directory("runs", name, CONFIG)


def test_flatten() -> None:
    assert flatten({"b": {"y": [1], "x": {"z": None}}, "a": 1}) == {"a": 1, "b.x.z": None, "b.y": [1]}
