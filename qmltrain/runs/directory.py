"""Which directory a run lives in, and whether it can be written to."""

from __future__ import annotations

import os
from pathlib import Path

from qmltrain.errors import InputError


def default_directory(root: str | os.PathLike[str], name: str, config_hash: str) -> Path:
    """``<root>/<name>-<config_hash>``."""
    if not name or name in (".", "..") or os.sep in name:
        raise InputError(f"run.name: found {name!r}; it becomes part of a directory's name: no slashes, not empty")
    return Path(root) / f"{name}-{config_hash}"


def why_not_writable(directory: Path) -> str | None:
    """What is in the way of writing into `directory`, which may yet have to be made; None where nothing is."""
    place = directory
    try:
        while not place.exists():
            place = place.parent
    except OSError as error:  # a name that the file system refuses
        return f"{place.name[:40]}... cannot be used: {str(error.strerror).lower()}"
    if not place.is_dir():
        return f"{place} is not a directory"
    if not os.access(place, os.W_OK | os.X_OK):
        return f"{place} cannot be written to"
    return None
