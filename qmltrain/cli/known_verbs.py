"""The verbs that there are, found by listing `qmltrain/cli/verbs`: no other file names them all."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from qmltrain.cli import verbs
from qmltrain.cli.verb import Flag, Verb
from qmltrain.errors import InputError


@cache
def known_verbs() -> dict[str, Verb]:
    """Every verb by its name, in the order of the help."""
    names = [module.name for module in pkgutil.iter_modules(verbs.__path__)]
    declared: list[Verb] = [importlib.import_module(f"qmltrain.cli.verbs.{name}").VERB for name in names]
    return {verb.name: verb for verb in sorted(declared, key=lambda verb: (verb.order, verb.name))}


def default_verb() -> Verb:
    """The verb that a command means which names none."""
    for verb in known_verbs().values():
        if verb.default:
            return verb
    raise InputError(f"found no verb; allowed: first a verb ({', '.join(known_verbs())})")


def flags_of(verb: Verb) -> dict[str, Flag]:
    """The flags that `verb` takes by name, with those that other verbs declare as another spelling of themselves."""
    flags = {flag.name: flag for flag in verb.flags}
    for other in known_verbs().values():
        if other.flag_of is not None and other.flag_of[0] == verb.name:
            flags[other.flag_of[1].name] = other.flag_of[1]
    return flags
