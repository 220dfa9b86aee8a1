"""What a user wrote and a config names: a Python function (``package.module:name``) or a text file (its path)."""

from __future__ import annotations

import hashlib
import importlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qmltrain.errors import InputError


def load_user_function(reference: str, where: str = "function") -> tuple[Callable[..., Any], str, str]:
    """The function behind ``package.module:name``, the source text of its module, and that text's SHA-256 (hex).

    The whole module is taken, not the function alone, since helpers beside the function decide the result too;
    text and digest go into the run file. `where` names the config key in messages. Raises InputError in one line:
    malformed reference, module not importable (with the reason), name missing, not a function, no source.
    """
    example = "write package.module:name, for example my_circuits:encode"
    if not isinstance(reference, str):
        raise InputError(f"{where}: a function is needed here; {example}")
    module_name, colon, name = reference.partition(":")
    if not colon or not name.isidentifier() or not all(part.isidentifier() for part in module_name.split(".")):
        raise InputError(f"{where}: {reference!r} is not a function's address; {example}")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise InputError(
            f"{where}: module {error.name!r}, needed by {reference!r}, was not found; install it or add its folder "
            "to PYTHONPATH"
        ) from error
    except Exception as error:  # a user's module may raise anything while it is imported
        raise InputError(f"{where}: importing {module_name!r} failed: {_one_line(error)}") from error
    function = getattr(module, name, None)
    if function is None:
        known = [key for key, value in vars(module).items() if inspect.isfunction(value) and not key.startswith("_")]
        raise InputError(
            f"{where}: module {module_name!r} has no function {name!r}; it has {', '.join(known) or 'no functions'}"
        )
    if not callable(function):
        raise InputError(f"{where}: {reference!r} is a {type(function).__name__}, not a function")
    try:
        source = inspect.getsource(module)
    except (OSError, TypeError) as error:
        raise InputError(f"{where}: the source of module {module_name!r} cannot be read; use a .py file") from error
    return function, source, hashlib.sha256(source.encode()).hexdigest()


def call_user_function(reference: str, where: str, *arguments: Any, **options: Any) -> Any:
    """Call the function; whatever it raises, beside InputError, becomes an InputError with file and line."""
    function, _, _ = load_user_function(reference, where)
    try:
        return function(*arguments, **options)
    except InputError as error:
        raise InputError(f"{where}: {reference}: {error}") from error
    except Exception as error:
        raise InputError(f"{where}: {reference} failed at {_place(error)}: {_one_line(error)}") from error


def read_text(path: str, where: str, what: str = "the file") -> str:
    """The UTF-8 text of the file at `path`; `where` names the config key in messages, `what` the file.

    A byte order mark, as Windows writes it, is no part of the text. Raises InputError in one line.
    """
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"{where}: {what} {path} cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"{where}: {what} {path} cannot be read: byte {error.start} is not UTF-8; save it as plain text"
        ) from error


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _place(error: Exception) -> str:
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    if frame is None:
        return "an unknown place"
    return f"{frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}"
