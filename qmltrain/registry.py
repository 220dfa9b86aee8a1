"""Calls an entry of a registry (name -> function) with the options that a config gives it.

An entry's keyword-only parameters are its options; an option that is None takes the entry's default.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from qmltrain.errors import InputError, UnusedOptionError

T = TypeVar("T")
Options = Mapping[str, Any]


def call_builder(
    registry: Mapping[str, Callable[..., T]], group: str, name: str, options: Options, *arguments: Any
) -> T:
    """``registry[name](*arguments, **options)`` with the options that are None dropped.

    `group` is the config group, for messages. Raises InputError for an unknown name, an option the entry does not
    take, and a missing one it needs.
    """
    check_options(registry, group, name, options)
    given = {key: value for key, value in options.items() if value is not None}
    return registry[name](*arguments, **given)


def options_with_defaults(
    registry: Mapping[str, Callable[..., Any]], group: str, name: str, options: Options
) -> dict[str, Any]:
    """Every option of entry `name` with the value it will have: the given one, or the entry's default."""
    check_options(registry, group, name, options)
    return {
        key: options[key] if options.get(key) is not None else option.default
        for key, option in _options_of(registry[name]).items()
    }


def check_options(registry: Mapping[str, Callable[..., Any]], group: str, name: str, options: Options) -> None:
    """Raise InputError unless `name` is registered and takes exactly such options."""
    if name not in registry:
        raise InputError(f"{group}.name: {name!r} is not known; choose one of {', '.join(registry)}")
    known = _options_of(registry[name])
    takes = f"it takes {', '.join(known)}" if known else "it takes no options"
    for key, value in options.items():
        if value is not None and key not in known:
            raise UnusedOptionError(f"{group}.{key}", f"not used by {name}; {takes}")
    for key, option in known.items():
        if option.default is inspect.Parameter.empty and options.get(key) is None:
            raise InputError(f"{group}.{key}: needed by {name}; {takes}")


def _options_of(builder: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    signature = inspect.signature(builder)
    return {key: p for key, p in signature.parameters.items() if p.kind is inspect.Parameter.KEYWORD_ONLY}
