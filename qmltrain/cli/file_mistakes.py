"""What stands in a user's file of configs where something else is needed: refused with file, line and key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qmltrain.config.reference import allowed_values, is_group, option_type
from qmltrain.errors import InputError
from qmltrain.wording import shortened, shown

_LONGEST_INTEGER = 4300  # digits, which Python reads
_INTEGER = "tag:yaml.org,2002:int"
_NULL = "tag:yaml.org,2002:null"
_TEXT = "tag:yaml.org,2002:str"


def check_file(node: Any, prefix: str, path: Path) -> None:
    """Refuse what Hydra would report without a place, or not at all. `node`: the file as YAML composes it.

    `prefix` stands before the keys of the file: ``dataset.``, or nothing where the file is for the whole config.

    Raises InputError in one line.
    """
    if node is None:  # an empty file
        return
    try:
        if node.id != "mapping":
            raise _MistakeError(node, f"found {_seen(node)}; a file holds lines as key: value")
        _check_mapping(node, prefix, path.parent)
    except _MistakeError as mistake:
        place = f"--config-dir: {path}: line {mistake.node.start_mark.line + 1}"
        raise InputError(f"{place}: {mistake}") from None


class _MistakeError(Exception):
    def __init__(self, node: Any, text: str) -> None:
        super().__init__(text)
        self.node = node


def _check_mapping(node: Any, prefix: str, folder: Path) -> None:
    for key_node, value in node.value:
        key = key_node.value if key_node.id == "scalar" else _seen(key_node)
        full = f"{prefix}{key}"
        if key == "defaults":
            _check_defaults(value, folder)
        elif not prefix and is_group(key):
            if value.id != "mapping":
                raise _MistakeError(key_node, f"{key}: found {_seen(value)}; {_chosen(key, value)}")
            _check_mapping(value, f"{key}.", folder)
        else:
            _check_value(key_node, key, full, value)


def _check_value(key_node: Any, key: str, full: str, value: Any) -> None:
    kind = option_type(full)
    if "." in key and kind is not None:
        group, _, name = key.partition(".")
        raise _MistakeError(
            key_node, f"{key}: a file takes no dotted keys; write {group}: and below it, further to the right, {name}:"
        )
    allowed = f"; allowed: {allowed_values(full)}" if kind is not None else ""
    for scalar in value.value if value.id == "sequence" else [value]:
        if scalar.id == "scalar" and scalar.tag == _INTEGER and len(scalar.value) > _LONGEST_INTEGER:
            raise _MistakeError(scalar, f"{full}: found {_seen(scalar)}, {len(scalar.value)} digits{allowed}")
    if kind is None or kind == "Any":
        return
    is_list = kind.startswith("list")
    if is_list and value.id == "scalar" and value.tag != _NULL and "${" not in value.value and value.value != "???":
        written = f"write a list in brackets: [{shortened(value.value.strip())}]"
        raise _MistakeError(key_node, f"{full}: found {_seen(value)}; {written}{allowed}")
    if value.id == "mapping" or (value.id == "sequence" and not is_list):
        raise _MistakeError(key_node, f"{full}: found {_seen(value)}{allowed}")


def _chosen(group: str, value: Any) -> str:
    """How an entry of `group` is chosen, where `value` may be one."""
    if value.id != "scalar" or value.tag != _TEXT:
        return "its options stand below it, further to the right"
    line = f"- {value.value}" if group == "experiment" else f"- override /{group}: {value.value}"
    return f"an entry of a group is chosen in the defaults list: write defaults: and below it {shown(line)}"


def _check_defaults(defaults: Any, folder: Path) -> None:
    """Refuse entries of groups that are chosen in words that Hydra takes for something else."""
    overridden = set()
    for item in defaults.value if defaults.id == "sequence" else []:
        for key_node, value in item.value if item.id == "mapping" else []:
            found = f"defaults: found {shown(f'{key_node.value}: {value.value}')}"
            if any(name.tag not in (_TEXT, _NULL) for name in (value.value if value.id == "sequence" else [value])):
                raise _MistakeError(key_node, f"defaults: {key_node.value}: found {_seen(value)}; allowed: a name")
            words = key_node.value.split() if key_node.id == "scalar" else []
            group = words[-1].lstrip("/") if words else ""
            if not is_group(group) or group == "experiment":
                continue
            if "override" in words and words[-1].startswith("/"):
                if group in overridden:
                    raise _MistakeError(key_node, f"{found}; override /{group} stands there already")
                overridden.add(group)
            elif not (folder / words[-1] / f"{value.value}.yaml").is_file():  # of a folder beside the file
                raise _MistakeError(key_node, f"{found}; write override /{group}: {value.value}")


def _seen(node: Any) -> str:
    """A value as messages show it."""
    if node.id == "scalar":
        return "nothing" if node.tag == _NULL else shown(node.value)
    return "a list" if node.id == "sequence" else "a mapping"
