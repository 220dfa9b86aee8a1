"""A verb by its name, imported when it runs, and what is shown where it fails."""

from __future__ import annotations

import errno
import importlib
from collections.abc import Callable

from qmltrain.errors import EXIT_ERROR, EXIT_INPUT, InputError, InterruptedRun, QmltrainError
from qmltrain.wording import one_line

LONGEST_LINE = 2_000  # characters of a message that are shown


def verb_function(verb: str) -> Callable[..., int | None]:
    """The verb's `run`, called as `qmltrain.cli.verb` says.

    Imported late: `--help` starts without what verbs need, and a signal that comes meanwhile is heard. Raises
    InputError where it, or a module of ours that it needs, was taken out.
    """
    try:
        function: Callable[..., int | None] = importlib.import_module(f"qmltrain.verbs.{verb}").run
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("qmltrain."):
            raise
        raise InputError(f"{verb}: not part of this installation, which has no {error.name}") from None
    return function


def describe_error(error: Exception) -> tuple[int, str]:
    """Exit code and the one line that is shown for `error`."""
    code, text = _described(error)
    if len(text) > LONGEST_LINE:
        text = f"{text[: LONGEST_LINE // 2]} ... {text[-LONGEST_LINE // 4 :]}"
    return code, text


def _described(error: Exception) -> tuple[int, str]:
    text = one_line(error)
    if isinstance(error, InterruptedRun):
        return error.exit_code, text
    if isinstance(error, QmltrainError):
        return error.exit_code, f"error: {text}"
    if isinstance(error, OSError):
        cannot_use = (FileNotFoundError, PermissionError, NotADirectoryError, IsADirectoryError)
        place = f"{error.filename}: " if error.filename else ""
        refused = isinstance(error, cannot_use) or error.errno in (errno.EROFS, errno.ENAMETOOLONG, errno.ELOOP)
        code = EXIT_INPUT if refused else EXIT_ERROR
        return code, f"error: {place}{error.strerror or text or type(error).__name__}"
    if isinstance(error, MemoryError):
        return EXIT_ERROR, f"error: out of memory: {text or 'set engine.memory_gib or a smaller batch'}"
    return EXIT_ERROR, f"error: internal: {type(error).__name__}: {text} (-v shows where)"
