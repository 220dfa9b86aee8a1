"""Overrides as they were typed: text stays the text it is, and what Hydra's grammar refuses gets the words to type.

Hydra reads 1.10 as a number and `a=b` not at all. Where an option takes text there is one reading, the text as it was
typed, so it is given to Hydra in quotes. Elsewhere a word that Hydra refuses is refused in one line.
"""

from __future__ import annotations

import re
import shlex
from typing import Any

from qmltrain.config.reference import allowed_values, is_group, is_known, option_type, unknown_key
from qmltrain.config.synonyms import nearest_entry
from qmltrain.errors import InputError
from qmltrain.shipped_files import configs_directory, entry_names
from qmltrain.wording import shortened, shown

TEXTS = ("str", "str | None")
TRUTHS = ("bool", "bool | None")
LISTS_OF_TEXT = "list[str] | None"
LISTS_OF_ANYTHING = "list[Any] | None"  # labels, outcomes, layers: text or integers
_INTERPOLATION = re.compile(r"\$\{[^'\"\\]*\}")
_QUOTES_AND_BRACKETS = frozenset("'\"[]{}()")


def key_of(override: str) -> str:
    """`+group.key@package=value` -> `group.key`."""
    return override.partition("=")[0].lstrip("+~").partition("@")[0].partition(":")[0]


def as_typed(overrides: list[str], *, sweep: bool = False) -> list[str]:
    """`overrides` with text in quotes where Hydra would read it as something else.

    Raises InputError: a word that is no override, an unknown key, a value that cannot be, several where there is no
    `sweep`.
    """
    return [_as_typed(override, sweep) for override in overrides]


def _as_typed(override: str, sweep: bool) -> str:
    key, equals, value = override.partition("=")
    name = key_of(override)
    if not name:
        raise InputError(f"{shortened(override)}: found no key before the '='; write key=value")
    if not is_known(name):
        raise InputError(unknown_key(name))
    if not equals:
        return override
    parsed = _parsed(override)
    kind = option_type(name)
    if parsed is None and _INTERPOLATION.fullmatch(value):
        return f'{key}="{value}"'  # one within another, which Hydra reads in quotes alone
    if parsed is None:
        quoted = _in_quotes(value, kind)
        if quoted is None:
            raise InputError(_not_understood(override, kind))
        return f"{key}={quoted}"
    if parsed.is_sweep_override() and not sweep and not parsed.is_hydra_override():
        raise InputError(_several_values(name, value, kind))
    if is_group(name):
        _check_entry(name, value, parsed)
    elif kind is not None:
        if parsed.is_sweep_override():
            return f"{key}={_swept_text(parsed, value)}" if kind in TEXTS else override
        found = parsed.value()
        if kind in TRUTHS and isinstance(found, int) and found not in (0, 1):  # OmegaConf takes 3 for true
            raise InputError(f"{name}: found {shown(value)}; allowed: {allowed_values(name)}")
        if kind == "str | None" and found == "None" and not _is_quoted(value):
            raise InputError(f"{name}: found None; nothing is written null (for the text: {typed(name, 'None')})")
        if kind in TEXTS and _is_text_read_as_other(found, value):
            return f"{key}={for_hydra(value)}"
        if kind in (LISTS_OF_TEXT, LISTS_OF_ANYTHING) and isinstance(found, list):
            return f"{key}={_list_as_typed(found, value, kind)}"
    return override


def is_sweep(override: str) -> bool:
    """Whether Hydra reads several values in `override`."""
    parsed = _parsed(override)
    return parsed is not None and bool(parsed.is_sweep_override())


def number_of_points(overrides: list[str]) -> int | None:
    """Points of a sweep over choices and ranges; None where something else says how many there are."""
    if any(key_of(override) == "hydra/sweeper" for override in overrides):
        return None
    count = 1
    for parsed in map(_parsed, overrides):
        if parsed is not None and parsed.is_sweep_override():
            if parsed.value_type.name not in ("CHOICE_SWEEP", "SIMPLE_CHOICE_SWEEP", "RANGE_SWEEP"):
                return None  # glob(*), interval(0, 1)
            count *= sum(1 for _ in parsed.sweep_iterator())
    return count


def _parsed(override: str) -> Any:
    """Hydra's view of one override; None where its grammar refuses it."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        return OverridesParser.create().parse_override(override)
    except (HydraException, RecursionError, ValueError):  # ValueError: an integer of more digits than Python reads
        return None


def _is_text_read_as_other(found: Any, value: str) -> bool:
    """Whether Hydra made a number or a truth value of `value`, or cut spaces off."""
    if isinstance(found, bool | int | float):
        return True
    return isinstance(found, str) and not _is_quoted(value) and found != value and found == value.strip()


def _swept_text(parsed: Any, value: str) -> str:
    """`1.10,1.20` -> `'1.10','1.20'` for an option that takes text; other sweeps as they are."""
    simple = parsed.is_choice_sweep() and not _QUOTES_AND_BRACKETS & set(value) and "${" not in value
    return ",".join(for_hydra(part) for part in value.split(",")) if simple else value


def _list_as_typed(found: list[Any], value: str, kind: str) -> str:
    inner = value.strip()[1:-1]
    if _QUOTES_AND_BRACKETS & set(inner) or "${" in inner:
        return value
    parts = [part.strip() for part in inner.split(",")]
    if len(parts) != len(found):
        return value
    quoted = [
        for_hydra(part) if _is_item_read_as_other(item, part, kind) else part
        for item, part in zip(found, parts, strict=True)
    ]
    return f"[{','.join(quoted)}]"


def _is_item_read_as_other(item: Any, text: str, kind: str) -> bool:
    if kind == LISTS_OF_TEXT:
        return isinstance(item, bool | int | float)
    return isinstance(item, bool) or (isinstance(item, int) and not is_plain_integer(text))


def is_plain_integer(text: str) -> bool:
    """Whether `text` is an integer as people write it, not 007, 1_000 or 0b11."""
    return re.fullmatch(r"[-+]?(0|[1-9][0-9]{0,99})", text) is not None


def _in_quotes(value: str, kind: str | None) -> str | None:
    """`value`, which Hydra refuses, as text or as a list of texts; None where there is not one reading."""
    if kind in TEXTS and not _QUOTES_AND_BRACKETS & set(value) and "${" not in value:
        return for_hydra(value)
    listed = re.fullmatch(r"\s*\[(.*)\]\s*", value, re.DOTALL) if kind in (LISTS_OF_TEXT, LISTS_OF_ANYTHING) else None
    if listed is None or _QUOTES_AND_BRACKETS & set(listed[1]) or "${" in listed[1]:
        return None
    parts = [part.strip() for part in listed[1].split(",")]
    return f"[{','.join(part if is_plain_integer(part) else for_hydra(part) for part in parts)}]"


def for_hydra(text: str) -> str:
    """`text` in quotes, as Hydra reads it back."""
    return "'" + re.sub(r"(\\*)('|$)", lambda found: 2 * found[1] + ("\\'" if found[2] else ""), text) + "'"


def typed(key: str, text: str) -> str:
    """What is typed into a shell so that the option `key` becomes `text`."""
    return in_shell(f"{key}={for_hydra(text)}")


def in_shell(word: str) -> str:
    """`word` as it is typed into a shell, in double quotes where they do."""
    if any(ord(character) < 32 for character in word):
        return "$'" + word.encode("unicode_escape").decode("ascii").replace("'", "\\'") + "'"
    if set(word) & set('"$`\\!'):
        return f"'{word}'" if "'" not in word else shlex.quote(word)
    return f'"{word}"' if shlex.quote(word) != word else word


def _not_understood(override: str, kind: str | None) -> str:
    name, value = key_of(override), override.partition("=")[2]
    if is_group(name):
        return _no_entry(name, value)
    allowed = allowed_values(name)
    if kind in TEXTS or allowed is None:
        bare = value[1:-1] if _is_quoted(value) else value
        return f"{shortened(override)}: not understood; write {shortened(typed(name, bare.strip(chr(39) + chr(34))))}"
    return f"{shortened(override)}: not understood; allowed in {name}: {allowed}"


def _several_values(name: str, value: str, kind: str | None) -> str:
    found = f"{name}: found {shown(value)}, several values; add -m to sweep over them"
    if kind in TEXTS:
        return f"{found}, or write the text as {shortened(typed(name, value))}"
    return f"{found}, or write a list as {name}=[{shortened(value)}]" if kind is not None and "list" in kind else found


def _check_entry(group: str, value: str, parsed: Any) -> None:
    """Raise InputError where `value` cannot be the name of an entry, or of several experiments."""
    if parsed.is_sweep_override():
        if parsed.value_type.name == "GLOB_CHOICE_SWEEP":
            return  # of the entries that there are
        found = list(parsed.sweep_iterator()) if parsed.is_choice_sweep() else [0]
    else:
        found = parsed.value()
        found = found if isinstance(found, list) and group == "experiment" else [found]
    for entry in found:
        if entry is None and group == "experiment":
            raise InputError(f"experiment: found {shown(value)}; for none leave the word out")
        part_of_others = group == "experiment" and str(entry).rpartition("/")[2].startswith("_")
        no_name = not isinstance(entry, str) or "${" in str(entry) or len(str(entry)) > 250  # of a file
        if no_name or part_of_others:
            raise InputError(_no_entry(group, value))


def _no_entry(group: str, value: str) -> str:
    return no_entry(group, value, entry_names(group))


def no_entry(group: str, found: str, entries: list[str]) -> str:
    """The message for an entry that `group` does not have; `entries` are those that it has, but for folders in it."""
    group, _, folder = group.partition("/")
    found = f"{folder}/{found}" if folder else found
    entries = sorted({*entries, *entry_names(group)})
    near = nearest_entry(group, found, entries)
    meant = None if near is None else f"{group}={near}"
    if group != "experiment" and (configs_directory() / "experiment" / f"{found[:99]}.yaml").is_file():
        meant = f"experiment={found}"
    hint = "" if meant is None else f"did you mean {meant}? "
    return f"{group}: found {shown(found)}; {hint}allowed: {', '.join(entries)}"


def _is_quoted(value: str) -> bool:
    value = value.strip()
    return len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
