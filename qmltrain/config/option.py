"""What a config group is made of: options, each with default, comment and rule, and a check of them together."""

from __future__ import annotations

from dataclasses import field
from typing import Any

from qmltrain.config.rules import Rule


class ConfigGroup:
    """Base of the dataclasses in `qmltrain.config.groups`: one field an option, made by `option`."""

    def check(self) -> None:
        """Raise InputError where options of this group that are possible each alone do not go together."""


def option(
    default: Any, meaning: str, rule: Rule | None = None, *, same_run: str | None = None, fixes_layout: bool = False
) -> Any:
    """A field with its comment and rule; list defaults are copied for every instance.

    `same_run`: why an option does not change a run's result, where it does not. With another value it is still the
    same run, in the same directory (see `qmltrain.config.identity`). `fixes_layout`: the run file is laid out by it,
    so a run that exists keeps its value nevertheless.
    """
    metadata = {"meaning": meaning, "rule": rule, "same_run": same_run, "fixes_layout": fixes_layout}
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)
