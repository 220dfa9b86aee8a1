"""A new file that a verb writes for its user: refused before the work, written whole."""

from __future__ import annotations

from pathlib import Path

from qmltrain.errors import InputError
from qmltrain.runs.atomic import new_file, storage_errors, write_at
from qmltrain.runs.directory import why_not_writable


def check_new_file(path: Path, where: str, *, folder_is_made: bool = False) -> None:
    """Raise InputError unless `path` can become a new file; `where` names the option in messages.

    `folder_is_made`: the folder need not be there, but it must be possible to write to it.
    """
    reason = why_not_writable(path.parent) if folder_is_made else None
    if reason is not None:
        raise InputError(f"{where}: {reason}; choose another")
    if path.exists():
        raise InputError(f"{where}: {path} exists already; remove it or choose another name")
    if not folder_is_made and not path.parent.is_dir():
        raise InputError(f"{where}: there is no folder {path.parent}; make it first")


def write_text(path: Path, text: str) -> None:
    """Write a new text file (UTF-8). Raises StorageError."""
    with storage_errors("write", path), new_file(path) as descriptor:
        write_at(descriptor, text.encode(), 0)
