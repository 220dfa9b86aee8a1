"""With what a verb's `run` is called: paths, and flags and overrides converted into keyword arguments."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qmltrain.cli.arguments import paths_and_overrides
from qmltrain.cli.composing import compose_config
from qmltrain.cli.known_verbs import flags_of
from qmltrain.cli.verb import Conversion, Verb
from qmltrain.errors import InputError
from qmltrain.wording import shown


def flag_options(verb: Verb, given: Mapping[str, str | bool]) -> dict[str, Any]:
    """Keyword arguments from the flags that were given. Raises InputError for a value that cannot be converted."""
    flags = flags_of(verb)
    return {
        name.replace("-", "_"): value
        if isinstance(value, bool)
        else _converted(f"--{name}", value, flags[name].convert)
        for name, value in given.items()
    }


def path_arguments(
    verb: Verb, words: list[str], flags: Mapping[str, str | bool]
) -> tuple[list[Path], dict[str, Any], list[str]]:
    """The verb's paths, its keyword arguments, and the overrides among its words. Raises InputError."""
    taken = {override.key: override for override in verb.overrides}
    paths, overrides = paths_and_overrides(verb, words)
    options = flag_options(verb, flags)
    of_groups = []
    for word in overrides:
        key, _, value = word.partition("=")
        override = taken.get(key)
        if override is None or override.convert is None:
            of_groups.append(word)
        else:
            options[override.keyword or key] = _converted(key, without_quotes(value), override.convert)
    if of_groups:
        options |= changed_groups(of_groups)
    return [Path(path) for path in paths], options, overrides


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


def without_quotes(text: str) -> str:
    """`text` without the quotes that a value has for Hydra, which reads no words beside a run."""
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text


def _converted(name: str, text: str, convert: Conversion) -> Any:
    try:
        return convert(text)
    except ValueError as error:
        raise InputError(f"{name}: found {shown(text)}; allowed: {error}") from None
