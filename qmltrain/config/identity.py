"""What names a run: which options change its result, as a hash, and which may change while it goes on.

The same command finds the same run again and goes on with it, and another learning rate is another run.

The rule: an option counts where it differs from its default. Those in `ALWAYS_COUNTED` count at their default as well
(never where they are null), because they did when the first runs were named. Options that declare why another value
is `same_run` never count. So an option or a group that a later version adds leaves no trace in the name of a run that
does not use it, and no version renames the runs of an earlier one. A run that was stored without an option had its
default. The default of an option that counts must therefore never change.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Container, Mapping
from typing import Any

from qmltrain.config.schema import Config, options
from qmltrain.errors import InputError

# Never to be changed: the options that had a default other than null when the first runs were named.
ALWAYS_COUNTED = frozenset(
    {
        "circuit.n_qubits",
        "encoding.name",
        "ansatz.name", "ansatz.layers",
        "observable.name",
        "head.name",
        "loss.name",
        "dataset.name", "dataset.validation", "dataset.test",
        "preprocess.pca", "preprocess.scale", "preprocess.range", "preprocess.normalize",
        "optimizer.name", "optimizer.learning_rate",
        "schedule.name", "schedule.warmup_steps",
        "engine.name", "engine.precision", "engine.fusion",
        "gradient.mode",
        "train.epochs", "train.batch_size", "train.monitor", "train.baseline", "train.perceptron", "train.initial",
        "run.seed",
    }
)  # fmt: skip

# Options of `train` that first parameters are drawn from, and those with which they are another run's.
OF_THE_DRAW = (
    "train.initial",
    "train.initial_scale",
    "train.initial_shape",
    "train.initial_range",
    "train.initial_features",
)
OF_ANOTHER_RUN = ("train.initial_run", "train.initial_rest")
SEEDS_OF_THE_START = ("run.seed", "run.seed_split", "run.seed_initial")  # of first parameters, and of which rows


def flatten(config: Mapping[str, Any]) -> dict[str, Any]:
    """Nested mappings as one, with dotted keys, sorted: ``{"run": {"seed": 0}}`` -> ``{"run.seed": 0}``."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat.update({f"{key}.{inner}": item for inner, item in flatten(value).items()})
        else:
            flat[str(key)] = value
    return dict(sorted(flat.items()))


def config_hash(config: Mapping[str, Any]) -> str:
    """Eight hexadecimal digits that name the part of `config` (plain values, resolved) that changes results."""
    return hashlib.sha256(json.dumps(counted(config)).encode()).hexdigest()[:8]


def counted(config: Mapping[str, Any]) -> dict[str, Any]:
    """The options of `config` that change results and count (see above), by dotted key, sorted."""
    without_effect, defaults = keys_without_effect(), _defaults()
    return {
        key: value
        for key, value in _plain(flatten(config)).items()
        if key not in without_effect and (value is not None if key in ALWAYS_COUNTED else value != defaults.get(key))
    }


def keys_without_effect() -> dict[str, str]:
    """The keys that do not change a run's result, with the reason."""
    return {key: item.metadata["same_run"] for key, _, item in options(Config()) if item.metadata["same_run"]}


def keys_of_layout() -> set[str]:
    """Of the keys without effect those that the run file was laid out by: a run that exists keeps them."""
    return {key for key, _, item in options(Config()) if item.metadata["fixes_layout"]}


def complete(config: Mapping[str, Any]) -> dict[str, Any]:
    """The values of all options by dotted key, sorted; those that `config` does not hold have their defaults."""
    return dict(sorted((_defaults() | _plain(flatten(config))).items()))


def differing_keys(
    old: Mapping[str, Any], new: Mapping[str, Any], exclude: Container[str] | None = None
) -> dict[str, tuple[Any, Any]]:
    """The keys in which two configs differ: dotted key -> (old value, new value), without those in `exclude`
    (null: without those that do not change a result)."""
    exclude = keys_without_effect() if exclude is None else exclude
    before, after = complete(old), complete(new)
    pairs = {key: (before.get(key), after.get(key)) for key in sorted(before.keys() | after.keys())}
    return {key: (was, now) for key, (was, now) in pairs.items() if was != now and key not in exclude}


def check_same_run(old: Mapping[str, Any], new: Mapping[str, Any], directory: str | os.PathLike[str]) -> None:
    """Raise InputError where the run in `directory`, made with config `old`, cannot go on under config `new`."""
    changes = differing_keys(old, new, keys_without_effect().keys() - keys_of_layout())
    if changes:
        listed = ", ".join(f"{key} was {_word(was)}, now {_word(now)}" for key, (was, now) in changes.items())
        raise InputError(f"{directory}: holds a run of another config ({listed}); use its values, or another run.dir")


def _defaults() -> dict[str, Any]:
    return _plain({key: value for key, value, _ in options(Config())})


def _plain(flat: dict[str, Any]) -> dict[str, Any]:
    """Tuples and lists alike; raises TypeError for what JSON cannot hold."""
    return dict(json.loads(json.dumps(flat)))


def _word(value: Any) -> str:
    return "null" if value is None else json.dumps(value)
