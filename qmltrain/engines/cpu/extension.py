"""Loading of the C++ extension, and the choice of instruction set."""

from __future__ import annotations

import os
from types import ModuleType
from typing import Any

from qmltrain.errors import EngineUnavailableError, InputError

VARIABLE = "QMLTRAIN_SIMD"
INTERFACE = 3  # of the extension that this code was written for; see binding.cpp


def load() -> ModuleType | Any:
    """The extension `qmltrain.engines._cpu`. Raises EngineUnavailableError with what is missing and how to get it."""
    try:
        import qmltrain.engines._cpu as extension
    except ImportError as error:
        raise EngineUnavailableError(_missing(error)) from None
    found = getattr(extension, "interface", None)
    if found != INTERFACE:  # an editable install after an update: it would compute nonsense
        raise EngineUnavailableError(
            f"the C++ extension is of another version (interface {found}, not {INTERFACE}); install qmltrain again"
        )
    return extension


def _missing(error: ImportError) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name == "qmltrain.engines._cpu":
        return "the C++ extension was not built; install a C++17 compiler (g++ or clang++), then qmltrain again"
    return f"the C++ extension does not load ({error}); install qmltrain again"


def unavailable_reason() -> str | None:
    """None where the CPU engine can run."""
    try:
        load()
    except EngineUnavailableError as error:
        return str(error)
    return None


def chosen_set(extension: ModuleType | Any) -> str:
    """The best instruction set this processor has, or the one QMLTRAIN_SIMD asks for."""
    sets = extension.instruction_sets()
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        return sets[0]
    if wanted not in sets:
        raise InputError(f"{VARIABLE}: {wanted!r} is not available on this processor; choose one of {', '.join(sets)}")
    return wanted


def describe_extension() -> str | None:
    """One line for `qmltrain info`; None where the extension is missing."""
    try:
        extension = load()
    except EngineUnavailableError:
        return None
    return f"C++ extension, {chosen_set(extension)} (this processor can {', '.join(extension.instruction_sets())})"
