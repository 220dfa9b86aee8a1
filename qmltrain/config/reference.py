"""The options in words: known keys and the nearest to a misspelt one, allowed values, the YAML of docs/config.md."""

from __future__ import annotations

import difflib
import json
import re
import textwrap
from dataclasses import Field
from functools import cache
from typing import Any

from qmltrain.config.rules import Rule
from qmltrain.config.schema import GROUPS, Config, options
from qmltrain.config.synonyms import known_key
from qmltrain.wording import shortened

LINE = 118


@cache
def _fields(schema: type[Config]) -> dict[str, Field[Any]]:
    """The field of every key, in order."""
    return {key: item for key, _, item in options(schema())}


def known_keys() -> list[str]:
    """All keys, as `circuit.n_qubits`, in order."""
    return [*_fields(Config)]


def is_group(key: str) -> bool:
    """Whether `key` is chosen by an entry."""
    return key in GROUPS or key == "experiment"


def is_known(key: str) -> bool:
    """Whether `key` is an option, an item of one, a group, or one of Hydra's own."""
    head = re.split(r"[./\[]", key)[0]
    if head == "hydra" or is_group(key):
        return True
    return key.partition("[")[0] in _fields(Config)


def unknown_key(key: str) -> str:
    """The message for a key that there is not: what is nearest to it, else what there is."""
    near = nearest_key(key)
    group = key.partition(".")[0]
    shown = shortened(key)
    if near is not None and near != key:
        return f"{shown}: unknown key; did you mean {near}?"
    if group in GROUPS and "." in key:
        names = [full.partition(".")[2] for full in known_keys() if full.startswith(f"{group}.")]
        return f"{shown}: unknown key; allowed in {group}: {', '.join(names)}"
    return f"{shown}: unknown key; allowed groups: {', '.join((*GROUPS, 'experiment'))}"


def nearest_key(key: str) -> str | None:
    """The known key or group that `key` is most like or that other programs call so; None where nothing is near."""
    keys = known_keys()
    if (named := known_key(key)) is not None:
        return named
    if "." in key:
        matches = difflib.get_close_matches(key, keys, n=1, cutoff=0.75)
    else:  # a group, or an option whose group was left out
        names = {full.split(".")[1]: full for full in reversed(keys)} | {name: name for name in (*GROUPS, "experiment")}
        matches = [names[name] for name in difflib.get_close_matches(key, names, n=1, cutoff=0.75)]
    return matches[0] if matches else None


def allowed_values(key: str) -> str | None:
    """What `key` takes, in words for messages; None where there is no such key."""
    item = _fields(Config).get(key)
    if item is None:
        return None
    rule: Rule | None = item.metadata["rule"]
    if rule is None:
        return _TYPES.get(str(item.type), str(item.type))
    return f"{rule.allowed}, or null" if takes_null(key) else rule.allowed


def takes_null(key: str) -> bool:
    """Whether the option `key` may be null."""
    kind = option_type(key)
    return kind is not None and (kind == "Any" or kind.endswith("| None"))


def option_type(key: str) -> str | None:
    """The type of option `key` as its group declares it; None where there is no such option."""
    item = _fields(Config).get(key)
    return None if item is None else str(item.type)


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
