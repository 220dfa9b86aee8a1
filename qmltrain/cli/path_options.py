"""What stands beside the run on the command line of `evaluate`, `repeat`, `collect` and `export`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from qmltrain.cli.arguments import OVERRIDES_OF, Arguments
from qmltrain.cli.composing import compose_config
from qmltrain.errors import InputError

_WHOLE_NUMBERS = ("shots", "seed")  # of `evaluate`; keys of no config group


def path_arguments(arguments: Arguments) -> tuple[list[Path], dict[str, Any], list[str]]:
    """The verb's paths, its keyword arguments, and the overrides among its words. Raises InputError."""
    takes_overrides = arguments.verb in OVERRIDES_OF
    overrides = [word for word in arguments.words if takes_overrides and "=" in word]
    paths = [Path(word) for word in arguments.words if word not in overrides]
    options: dict[str, Any] = dict(arguments.values)
    for name in ("predictions", "output"):
        if name in options:
            options[name] = Path(options[name])
    if "over" in options:
        options["over"] = options["over"].split(",")
    composed = []
    for word in overrides:
        key, _, value = word.partition("=")
        if key in _WHOLE_NUMBERS:
            options[key] = _whole_number(key, value)
        elif key == "run.dir":
            options["directory"] = Path(value)
        else:
            composed.append(word)
    if composed:
        options |= changed_groups(composed)
    return paths, options, overrides


def changed_groups(overrides: list[str]) -> dict[str, dict[str, Any]]:
    """Config groups with the options that `overrides` set, checked: ``{"engine": {"name": "cpu"}}``.

    A group that is chosen (``dataset=npz``) is given with all its options.
    """
    config = compose_config(overrides)
    if config is None:
        raise InputError("a sweep cannot be asked for here; one run at a time")
    found: dict[str, dict[str, Any]] = {}
    for override in overrides:
        key = override.partition("=")[0].lstrip("+~")
        group, _, name = key.partition(".")
        values = dataclasses.asdict(getattr(config, group))
        if not name:
            found[group] = values
        else:
            found.setdefault(group, {})[name] = values[name]
    return found


def _whole_number(key: str, value: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise InputError(f"{key}: found {value!r}; allowed: whole numbers") from None
