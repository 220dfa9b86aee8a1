"""Which directory a run lives in, and whether a config belongs to the run that is there already.

A run's directory is named after the part of its config that changes its result. So the same command finds the same
run again and goes on with it, and another learning rate is another run.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from qmltrain.errors import InputError

# Keys that do not change a run's result, with the reason. All others do.
KEYS_WITHOUT_EFFECT = {
    "experiment": "names a group of settings; the settings themselves are in the config",
    "run.name": "a label",
    "run.root": "where the directory lies",
    "run.dir": "where the directory lies",
    "run.resume": "whether an existing run is continued, not what it computes",
    "run.progress": "what is shown on screen",
    "run.log_seconds": "what is shown on screen",
    "run.save_every": "a resumed run equals the uninterrupted one bit for bit",
    "run.keep": "how many snapshots are kept",
    "run.gradients": "what is stored of the gradients, not the gradients",
    "run.gradients_every": "what is stored of the gradients, not the gradients",
    "run.parameters_every": "what is stored of the parameters, not the parameters",
    "engine.threads": "gradient sums have one fixed order for any number of threads",
    "engine.memory_gib": "chunks have no part in the order of sums; what auto chose is kept with the run",
}

# Of these, the keys that the run file was laid out by: a run that exists keeps them.
KEYS_FIXED_BY_LAYOUT = ("run.gradients", "run.gradients_every", "run.parameters_every")


def flatten(config: Mapping[str, Any]) -> dict[str, Any]:
    """Nested mappings as one, with dotted keys, sorted: ``{"run": {"seed": 0}}`` -> ``{"run.seed": 0}``."""
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat.update({f"{key}.{inner}": item for inner, item in flatten(value).items()})
        else:
            flat[str(key)] = value
    return dict(sorted(flat.items()))


def config_hash(config: Mapping[str, Any], exclude: Iterable[str] = KEYS_WITHOUT_EFFECT) -> str:
    """Eight hexadecimal digits that name the part of ``config`` (plain values, resolved) that changes results.

    Options that are null are left out, so that an option added by a later version does not rename every earlier run.
    """
    return hashlib.sha256(json.dumps(_effective(config, exclude)).encode()).hexdigest()[:8]


def default_directory(root: str | os.PathLike[str], name: str, config: Mapping[str, Any]) -> Path:
    """``<root>/<name>-<config_hash>``."""
    if not name or name in (".", "..") or os.sep in name:
        raise InputError(f"run.name: found {name!r}; it becomes part of a directory's name: no slashes, not empty")
    return Path(root) / f"{name}-{config_hash(config)}"


def differing_keys(
    old: Mapping[str, Any], new: Mapping[str, Any], exclude: Iterable[str] = KEYS_WITHOUT_EFFECT
) -> dict[str, tuple[Any, Any]]:
    """The result-changing keys in which two configs differ: dotted key -> (old value, new value); absent is None."""
    before, after = _effective(old, exclude), _effective(new, exclude)
    keys = sorted(before.keys() | after.keys())
    return {key: (before.get(key), after.get(key)) for key in keys if before.get(key) != after.get(key)}


def check_same_run(old: Mapping[str, Any], new: Mapping[str, Any], directory: str | os.PathLike[str]) -> None:
    """Raises InputError where the run in ``directory``, made with config ``old``, cannot go on under config ``new``."""
    exclude = KEYS_WITHOUT_EFFECT.keys() - set(KEYS_FIXED_BY_LAYOUT)
    changes = differing_keys(old, new, exclude)
    if changes:
        listed = ", ".join(f"{key} was {_word(was)}, now {_word(now)}" for key, (was, now) in changes.items())
        raise InputError(f"{directory}: holds a run of another config ({listed}); use its values, or another run.dir")


def _effective(config: Mapping[str, Any], exclude: Iterable[str]) -> dict[str, Any]:
    excluded = set(exclude)
    flat = {key: value for key, value in flatten(config).items() if value is not None and key not in excluded}
    return dict(json.loads(json.dumps(flat)))  # tuples and lists alike; refuses what is not plain


def _word(value: Any) -> str:
    return "null" if value is None else json.dumps(value)


def why_not_writable(directory: Path) -> str | None:
    """What is in the way of writing into `directory`, which may yet have to be made; None where nothing is."""
    place = directory
    try:
        while not place.exists():
            place = place.parent
    except OSError as error:  # a name that the file system refuses
        return f"{place.name[:40]}... cannot be used: {str(error.strerror).lower()}"
    if not place.is_dir():
        return f"{place} is not a directory"
    if not os.access(place, os.W_OK | os.X_OK):
        return f"{place} cannot be written to"
    return None
