"""Which columns of a table are features, which are left out and why."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Sequence
from pathlib import Path
from typing import NamedTuple

from qmltrain.data.labels import is_storable
from qmltrain.errors import InputError
from qmltrain.wording import listed, shown

# what pandas calls an index that a file gives no name: in Parquet, and where a CSV file is read and written again
_PARQUET_INDEX = re.compile(r"__index_level_\d+__")
_NUMBER = re.compile(r"[-+]?\d*\.?\d+")
_UNNAMED = re.compile(r"Unnamed: \d+(\.\d+)*|")


class ChosenColumns(NamedTuple):
    """Names of the `features` in order, and the other columns, each with the reason. `no_target` says that the column
    of the labels is not there."""

    features: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]
    no_target: str = ""


def choose_columns(
    file: Path,
    names: Sequence[str],
    target: str,
    features: Sequence[str] | None,
    split_column: str | None,
    index_columns: Container[str] = (),
    hint: str = "",
) -> ChosenColumns:
    """The columns that `dataset.target`, `features` and `split_column` say; without `features` all the others, but
    not those of an index of pandas (`index_columns`, or by their name).

    Rows without the target can be read where `features` says what is to be read of them.

    Raises InputError for a column that is not there (with `hint`), is asked for twice, or has no name and may be an
    index: the number of a row tells the label wherever rows are sorted by it.
    """
    _check_names(file, names)
    known = set(names)
    asked = [("target", target)] + [("features", name) for name in features or []]
    asked += [] if split_column is None else [("split_column", split_column)]
    absent = [
        (option, f"dataset.{option}: {file} has no column {shown(name)}; it has {listed(names)}{hint}")
        for option, name in asked
        if name not in known
    ]
    no_target = absent.pop(0)[1] if absent and absent[0][0] == "target" else ""
    if absent or (no_target and features is None):
        raise InputError(no_target or absent[0][1])
    roles = {target: "the target"} | ({} if split_column in (None, target) else {split_column: "the split"})
    if features is not None:
        for name, times in Counter(features).items():
            if times > 1:
                raise InputError(f"dataset.features: names the column {shown(name)} twice; name each once")
            if name in roles:
                raise InputError(
                    f"dataset.features: {shown(name)} is the target or the split; it cannot be a feature as well"
                )
    others = [name for name in names if name not in roles]
    chosen, left_out = [], [(name, roles[name]) for name in names if name in roles]
    for name in others if features is None else features:
        if features is None and (name in index_columns or _PARQUET_INDEX.fullmatch(name)):
            left_out.append((name, "the index of pandas"))
            continue
        if features is None and _UNNAMED.fullmatch(name):
            raise InputError(_unnamed(file, names, roles))
        chosen.append(name)
    if features is not None:
        wanted = set(features)
        left_out += [(name or "(no name)", "not in dataset.features") for name in others if name not in wanted]
    if not chosen:
        raise InputError(f"{file}: has no column of features; it has {listed(names)}")
    return ChosenColumns(tuple(chosen), tuple(left_out), no_target)


def _check_names(file: Path, names: Sequence[str]) -> None:
    for name, times in Counter(names).items():
        if times > 1 and name:
            hint = "; where its first line holds no names, give dataset.header=false" if _NUMBER.fullmatch(name) else ""
            raise InputError(
                f"{file}: has two columns of the name {shown(name)}; every column needs a name of its own{hint}"
            )
        if not is_storable(name):
            raise InputError(f"{file}: the column {shown(name)} has a character in its name that is no text; rename it")


def _unnamed(file: Path, names: Sequence[str], roles: Container[str]) -> str:
    first = next(name for name in names if name not in roles and _UNNAMED.fullmatch(name))
    named = [name for name in names if name not in roles and not _UNNAMED.fullmatch(name)]
    plain = 0 < len(named) <= 20 and all(re.fullmatch(r"\w+", name) for name in named)
    what = f"is called {shown(first)}, as pandas calls what" if first else "has no name, as an index that pandas writes"
    return (
        f"{file}: column {list(names).index(first)} {what}{' has no name' if first else ''}; row numbers are no "
        f"feature: choose the columns with dataset.features={'[' + ','.join(named) + ']' if plain else '[...]'}"
    )
