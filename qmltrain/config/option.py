"""What a config group is made of: options, each with default, comment and rule, and a check of them together."""

from __future__ import annotations

from dataclasses import field
from typing import Any

from qmltrain.config.rules import Rule


class ConfigGroup:
    """Base of the dataclasses in `qmltrain.config.groups`: one field an option, made by `option`."""

    def check(self) -> None:
        """Raise InputError where options of this group that are possible each alone do not go together."""


def option(default: Any, meaning: str, rule: Rule | None = None) -> Any:
    """A field with its comment and rule; list defaults are copied for every instance."""
    metadata = {"meaning": meaning, "rule": rule}
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata=metadata)
    return field(default=default, metadata=metadata)
