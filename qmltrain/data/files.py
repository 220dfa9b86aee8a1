"""Where a data file lies and whether it is the one that was meant."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from qmltrain.errors import InputError

ROOT_VARIABLE = "QMLTRAIN_DATA"


def locate(path: str, root: str | None) -> Path:
    """Where `path` is: a relative one starts at `root`, else at $QMLTRAIN_DATA, else at the working directory."""
    start = Path(root or os.environ.get(ROOT_VARIABLE) or ".").expanduser()
    return (start / Path(path).expanduser()).absolute()


def find_file(path: str, root: str | None, option: str) -> Path:
    """The file at `locate(path, root)`; InputError, naming `option`, where it cannot be read."""
    found = locate(path, root)
    if found.is_dir():
        raise InputError(f"{option}: {found} is a folder; give a file")
    try:
        with found.open("rb"):
            return found
    except FileNotFoundError:
        hint = "" if Path(path).is_absolute() else f"; relative paths start at dataset.root, then ${ROOT_VARIABLE}"
        raise InputError(f"{option}: no file {found}{hint}") from None
    except OSError as error:
        raise InputError(f"{option}: cannot read {found}: {error.strerror or error}") from error


def digest(files: Sequence[Path]) -> str:
    """SHA-256 of the files' contents one after the other, as `cat FILES | sha256sum` prints it."""
    total = hashlib.sha256()
    for path in files:
        try:
            with path.open("rb") as stream:
                while block := stream.read(2**20):
                    total.update(block)
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    return total.hexdigest()


def check_digest(expected: str | None, file: Path, *others: Path) -> None:
    """Refuse another file than that of the SHA-256 in the config; with the `others` that it leads to, where it does."""
    if expected is None:
        return
    wanted = expected.strip().lower()
    if len(wanted) != 64 or set(wanted) - set("0123456789abcdef"):
        raise InputError(f"dataset.sha256: {expected!r} is not a SHA-256; give 64 hexadecimal digits")
    found = digest([file, *others])
    if found != wanted:
        with_others = f", with {', '.join(map(str, others[:5]))} that it leads to," if others else ""
        raise InputError(
            f"dataset.sha256: {file}{with_others} has {found}, not {wanted}; it is another file or was changed"
        )
