"""The options in words: known keys and the nearest to a misspelt one, allowed values, the YAML of docs/config.md."""

from __future__ import annotations

import difflib
import json
import textwrap
from typing import Any

from qmltrain.config.rules import Rule
from qmltrain.config.schema import GROUPS, Config, options

LINE = 118


def known_keys() -> list[str]:
    """All keys, as `circuit.n_qubits`, in order."""
    return [key for key, _, _ in options(Config())]


def nearest_key(key: str) -> str | None:
    """The known key or group that `key` is most like, for messages; None where nothing is near."""
    keys = known_keys()
    if "." in key:
        matches = difflib.get_close_matches(key, keys, n=1, cutoff=0.75)
    else:  # a group, or an option whose group was left out
        names = {full.split(".")[1]: full for full in reversed(keys)} | {name: name for name in (*GROUPS, "experiment")}
        matches = [names[name] for name in difflib.get_close_matches(key, names, n=1, cutoff=0.75)]
    return matches[0] if matches else None


def allowed_values(key: str) -> str | None:
    """What `key` takes, in words for messages; None where there is no such key."""
    for full, _, item in options(Config()):
        if full == key:
            rule: Rule | None = item.metadata["rule"]
            return rule.allowed if rule is not None else _TYPES.get(str(item.type), str(item.type))
    return None


_TYPES = {
    "str": "text",
    "str | None": "text or null",
    "bool": "true or false",
    "bool | None": "true, false or null",
    "list[str] | None": "a list [a, b, ...] or null",
}


def commented_yaml() -> str:
    """Every key with its default and its comment: the YAML that docs/config.md opens with."""
    lines = []
    group = None
    for key, value, item in options(Config()):
        if key.partition(".")[0] != group:
            group = key.partition(".")[0]
            lines.append(f"{group}:")
        entry, meaning = f"  {item.name}: {_yaml_value(value)}", item.metadata["meaning"]
        if len(entry) + len(meaning) + 3 <= LINE:
            lines.append(f"{entry} # {meaning}")
        else:
            lines += textwrap.wrap(meaning, LINE, initial_indent="  # ", subsequent_indent="  #   ")
            lines.append(entry)
    return "\n".join(lines) + "\n"


def _yaml_value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
