"""Words that YAML or Hydra read as another value than stands there: refused with both, before they are used.

YAML 1.1 takes 0010 for the octal number 8, 1:30 for 90, yes for true; options of text take a number's or a truth
value's text, which is not always the text that was written (1.10 becomes 1.1). Only files that the config is made of
are looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from qmltrain.config.schema import Config, options
from qmltrain.errors import InputError

_WORD = re.compile(r"[\w.:+-]+")  # what a number or a truth value is made of
_LIST_WORDS = re.compile(r"""'[^']*'|"[^"]*"|[^\[\],\s'"]+""")


def misread(text: str, value: Any, kind: str) -> bool:
    """Whether `value`, which a plain word was read as, is not what the word says for an option of type `kind` (as
    "int", "list[str] | None", "Any").

    Numbers of options that take numbers alone may be written in any way but octal (0010) and base 60 (1:30).
    """
    if value is None or isinstance(value, str):
        return False
    if isinstance(value, bool):
        return "Any" in kind or ("str" in kind and str(value) != text)
    if "str" in kind or ("Any" in kind and isinstance(value, int)):
        return str(value) != text
    return ":" in text or (isinstance(value, int) and re.match(r"[-+]?0[0-9_]", text) is not None)


def check_words(overrides: list[str]) -> None:
    """Raise InputError for a word of the command line that an option would take as another text."""
    kinds = _kinds()
    for override in overrides:
        key, _, given = override.partition("=")
        kind = kinds.get(key.lstrip("+"))
        for word in _LIST_WORDS.findall(given) if kind else ():
            value = _read_by_hydra(word)
            if kind and misread(word, value, kind):
                quoted = f"'{word}'" if given == word else f"['{word}', ...]"
                raise InputError(
                    f"{key.lstrip('+')}: {word} is read as {_shown(value)}; where the text is meant, put quotes within "
                    f'quotes: "{key}={quoted}"'
                )


def check_files(choices: Mapping[str, Any], folder: str | None) -> None:
    """Raise InputError, with file and line, for a word of one of the user's chosen files that YAML reads otherwise.

    `choices`: Hydra's, group to entry or entries; `folder`: the user's folder of configs.
    """
    kinds = _kinds()
    for path, group in _chosen_files(choices, Path(folder)) if folder else ():
        for key, node in _words(path, group):
            value = _read_by_yaml(node.value)
            if key in kinds and misread(node.value, value, kinds[key]):
                raise InputError(
                    f"--config-dir: {path}, line {node.start_mark.line + 1}: {key}: YAML reads {node.value} as "
                    f"{_shown(value)}; where the text is meant, write it in quotes: '{node.value}'"
                )


def _kinds() -> dict[str, str]:
    return {key: str(item.type) for key, _, item in options(Config())}


def _shown(value: Any) -> str:
    return f"the truth value {value}" if isinstance(value, bool) else f"the number {value}"


def _read_by_yaml(word: str) -> Any:
    from omegaconf import OmegaConf

    return OmegaConf.create(f"[{word}]")[0] if _WORD.fullmatch(word) and not word.endswith(":") else word


def _read_by_hydra(word: str) -> Any:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    if not _WORD.fullmatch(word):
        return word
    try:
        return OverridesParser.create().parse_override(f"word={word}").value()
    except HydraException:
        return word


def _chosen_files(choices: Mapping[str, Any], folder: Path) -> Iterator[tuple[Path, str]]:
    """The files of `folder` that a config is made of, with their groups: those chosen, and what they name in turn."""
    waiting = [
        (folder / group / (entry.strip(" '") + ".yaml"), group)
        for group, entries in choices.items()
        for entry in str(entries).strip("[]").split(",")  # of several experiments a list, or its text
    ]
    seen: set[Path] = set()
    while waiting:
        path, group = waiting.pop(0)
        if path in seen or not path.is_file():
            continue
        seen.add(path)
        yield path, group
        for entry in _loaded(path).get("defaults") or ():
            if isinstance(entry, str) and entry != "_self_":  # one of the same group, or /group/entry
                name = entry.removeprefix("/") if entry.startswith("/") else f"{group}/{entry}"
                waiting.append((folder / f"{name}.yaml", name.rpartition("/")[0]))


def _loaded(path: Path) -> dict[str, Any]:
    import yaml

    found = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    return found if isinstance(found, dict) else {}


def _words(path: Path, group: str) -> Iterator[tuple[str, Any]]:
    """Key and YAML node of every plain word of a file, in order."""
    import yaml

    text = path.read_text(encoding="utf-8-sig")
    package = re.search(r"^#\s*@package\s+(\S+)\s*$", text, re.MULTILINE)
    prefix = group.replace("/", ".") if package is None or package[1] == "_group_" else package[1]
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    yield from _plain(root, "" if prefix == "_global_" else prefix)


def _plain(node: Any, key: str) -> Iterator[tuple[str, Any]]:
    import yaml

    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            yield from _plain(value, f"{key}.{name.value}" if key else name.value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _plain(value, key)
    elif isinstance(node, yaml.ScalarNode) and node.style is None:
        yield key, node
