"""Names, values and errors in messages: on one line, and never long."""

from __future__ import annotations

from collections.abc import Sequence

_LONGEST = 80  # characters of one name or value


def plural(number: int, word: str) -> str:
    """``1 row``, ``2 rows``, ``1 class``, ``2 classes``."""
    return f"{number} {word}{'' if number == 1 else 'es' if word.endswith('s') else 's'}"


def shortened(text: str) -> str:
    """`text`, or its beginning where it has more than 80 characters."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def shown(value: object) -> str:
    """`value` as Python writes it, shortened."""
    return shortened(repr(value))


def listed(names: Sequence[object], most: int = 10) -> str:
    """``a, b, c``, each shortened; of many the first `most`, and how many more there are."""
    kept = names if len(names) <= most + 1 else names[:most]
    left = len(names) - len(kept)
    return ", ".join(shortened(" ".join(str(name).split())) for name in kept) + (f", ... {left} more" if left else "")


def one_line(error: BaseException) -> str:
    """The text of an error whose library writes several lines."""
    return " ".join(str(error).split())
