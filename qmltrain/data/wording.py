"""Names and values of a file in messages: on one line, and never long."""

from __future__ import annotations

from collections.abc import Sequence

_LONGEST = 60  # characters of one name or value
_MOST = 20  # names in one list


def plural(number: int, word: str) -> str:
    """``1 row``, ``2 rows``, ``1 class``, ``2 classes``."""
    return f"{number} {word}{'' if number == 1 else 'es' if word.endswith('s') else 's'}"


def shown(value: object) -> str:
    """`value` as Python writes it, shortened."""
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def listed(names: Sequence[object]) -> str:
    """``a, b, c``, each shortened, of many the first."""
    plain = (" ".join(str(name).split()) for name in names[:_MOST])
    kept = [name if len(name) <= _LONGEST else f"{name[: _LONGEST - 3]}..." for name in plain]
    return ", ".join(kept) + (f", ... ({len(names)})" if len(names) > _MOST else "")
