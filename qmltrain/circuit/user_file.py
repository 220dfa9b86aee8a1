"""A text file of the user's own, named in a config."""

from __future__ import annotations

from pathlib import Path

from qmltrain.errors import InputError


def read_text(path: str, where: str, what: str = "the file") -> str:
    """The UTF-8 text of the file at `path`; `where` names the config key in messages, `what` the file.

    Raises InputError in one line.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{where}: {what} {path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"{where}: {what} {path} cannot be read: byte {error.start} is not UTF-8; save it as plain text"
        ) from error
