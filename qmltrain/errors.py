"""The errors a user can meet. Each message is one line: what, where, found, allowed, how to fix."""

from __future__ import annotations

EXIT_DONE = 0
EXIT_ERROR = 1
EXIT_INPUT = 2
EXIT_INTERRUPTED = 75  # EX_TEMPFAIL: stopped by a signal after a snapshot; run the same command again


class QmltrainError(Exception):
    """Something went wrong while running; exit code 1."""

    exit_code = EXIT_ERROR


class InputError(QmltrainError):
    """A bad config, file or argument; exit code 2, nothing was written."""

    exit_code = EXIT_INPUT


class UnusedOptionError(InputError):
    """An option that is set and that what was chosen does not take. `key`: the option, as ``encoding.repeats``."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(f"{key}: {text}")
        self.key = key


class EngineUnavailableError(InputError):
    """The engine that was asked for cannot run here; the message says what is missing and how to get it."""


class MemoryLimitError(InputError):
    """The work cannot fit into memory; found before anything was allocated, with the numbers."""


class NonFiniteError(QmltrainError):
    """NaN or infinity in a loss or a gradient. `remedy`: how to mend it, where the place that found it knows."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(f"{message}; {remedy}" if remedy else message)
        self.remedy = remedy


class StorageError(QmltrainError):
    """A run file or snapshot could not be written or read back."""


class InterruptedRun(QmltrainError):  # noqa: N818 - not an error: the run was asked to stop and can go on
    """Stopped by a signal after a snapshot; exit code 75."""

    exit_code = EXIT_INTERRUPTED
