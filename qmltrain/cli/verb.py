"""What a verb declares of itself: what it takes, its flags, its help; `cli/verbs` has one declaration per file.

`qmltrain.verbs.<name>.run` does the work and is imported when the verb runs:

    takes a config     run(config, context, **options)
    takes a grid       run(grid, context, **options)
    takes runs, a folder, nothing     run(*paths, context, **options)

`context` is a `CommandContext`; `options` are the flags and overrides that were given, converted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

Conversion = Callable[[str], Any]  # raises ValueError whose text says what is allowed


class Takes(Enum):
    """What stands behind a verb, beside its flags."""

    CONFIG = "a config"
    RUN = "a run"
    TWO_RUNS = "two runs"
    FOLDER = "a folder"
    NOTHING = "nothing"


# names of the words that are paths, as the usage shows them
PATHS = {
    Takes.CONFIG: (),
    Takes.RUN: ("RUN",),
    Takes.TWO_RUNS: ("RUN", "RUN"),
    Takes.FOLDER: ("FOLDER",),
    Takes.NOTHING: (),
}


@dataclass(frozen=True)
class Flag:
    """`--name VALUE`, or a switch where `value` is None. `run` gets it by keyword, `-` becoming `_`."""

    name: str
    meaning: str
    value: str | None = None
    convert: Conversion = str


@dataclass(frozen=True)
class Override:
    """`key=value` beside a run. Without `convert` a config group, of which `run` gets the options that are set."""

    key: str
    meaning: str
    convert: Conversion | None = None
    keyword: str | None = None  # of `run` (null: the key)


@dataclass(frozen=True)
class Verb:
    """One verb. Its name is that of its two modules, here and in `qmltrain/verbs`."""

    name: str
    takes: Takes
    meaning: str  # one line of the help
    examples: tuple[str, ...]
    order: int  # its place in the help
    flags: tuple[Flag, ...] = ()
    overrides: tuple[Override, ...] = ()
    trains: bool = False  # listens to scheduler signals from the first moment; a sweep notes where its runs lie
    ranks: bool = False  # shares its work over the ranks that a launcher started
    listens: bool = False  # to scheduler signals from the first moment, without training
    output_key: str | None = None  # the option that names the file it writes, <verb>.h5 by default; a sweep numbers it
    grid: bool = False  # takes several values of a key without -m, all points at once
    default: bool = False  # what a command means that names no verb
    flag_of: tuple[str, Flag] | None = None  # another spelling: a flag of that verb, with the run as its value


def whole_number(text: str) -> int:
    """Conversion of integers."""
    try:
        return int(text)
    except ValueError:
        raise ValueError("whole numbers") from None


def comma_separated(text: str) -> list[str]:
    """Conversion of lists of words."""
    return text.split(",")
