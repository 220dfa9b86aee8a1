"""Options that an experiment sets and that what the user chose instead does not take: dropped, and said.

`qmltrain experiment=digits encoding=angle`: the experiment's `encoding.repeats` is for another encoding. What the user
set is refused as ever, and the run is named as one of the config without the option.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from qmltrain.cli.composing import compose_config
from qmltrain.cli.override_words import key_of
from qmltrain.config.schema import Config, options
from qmltrain.config.validation import validate
from qmltrain.errors import InputError, UnusedOptionError

T = TypeVar("T")


def without_unused(
    config: Config, overrides: Sequence[str], config_directory: str | None, act: Callable[[Config], T]
) -> T:
    """``act(config)``, where it refuses an option that only the experiment set again without it, and so on.

    `config` is not validated yet. Raises what `act` raises otherwise.
    """
    config = copy.deepcopy(config)
    own: dict[str, object] | None = None
    while True:
        try:
            return act(validate(config))
        except UnusedOptionError as error:
            if own is None:
                own = _set_by_experiment(overrides, config_directory)
            group, _, name = error.key.partition(".")
            node = getattr(config, group)
            if error.key not in own or own[error.key] != getattr(node, name):
                raise
            default = {key: value for key, value, _ in options(Config())}[error.key]
            if getattr(node, name) == default:
                raise
            print(f"qmltrain: left out, set by the experiment alone: {error}", file=sys.stderr)
            setattr(node, name, default)


def _set_by_experiment(overrides: Sequence[str], config_directory: str | None) -> dict[str, object]:
    """The options that the experiment sets, without those that the user sets as well."""
    chosen = [override for override in overrides if key_of(override) == "experiment"]
    others = {key_of(override) for override in overrides} - {"experiment"}
    if not chosen or not others:
        return {}
    try:
        config = compose_config([*chosen, "hydra.mode=RUN"], config_directory)
    except InputError:
        return {}
    default = {key: value for key, value, _ in options(Config())}
    return {key: value for key, value, _ in options(config or Config()) if value != default[key] and key not in others}
