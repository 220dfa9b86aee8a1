"""The command's output: closed streams swallow it, a reader, a terminal or a log that goes away ends nothing."""

from __future__ import annotations

import errno
import io
import os
import sys
import warnings
from typing import Any


def prepare_streams() -> None:
    """Closed streams swallow what is written, and so do those whose reader goes away (`| head`) or whose terminal is
    closed: the work goes on. A terminal that cannot show a character shows `?`; warnings are lines."""
    warnings.formatwarning = lambda message, *_: f"qmltrain: warning: {message}\n"
    for descriptor in (0, 1, 2):  # else the next file that is opened takes the number, and stray output with it
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - for the process's life
            continue
        if stream is getattr(sys, f"__{name}__"):
            stream.flush()
            raw = io.BufferedWriter(_LastingOutput(stream.fileno(), is_log=name == "stderr"))
            by_line = name == "stderr" or stream.line_buffering or stream.write_through  # the last: python -u
            stream = io.TextIOWrapper(raw, encoding=stream.encoding, line_buffering=by_line)
            setattr(sys, name, stream)
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace" if name == "stdout" else "backslashreplace")


class _LastingOutput(io.RawIOBase):
    """Writes to a descriptor, and to nowhere once the reader of its pipe or its terminal is gone.

    So does standard error once it cannot be written at all: a full disk under a log ends no training. Standard output,
    which has results, raises OSError then, once.
    """

    def __init__(self, descriptor: int, *, is_log: bool = False) -> None:
        self._descriptor, self._is_log = descriptor, is_log
        self._gone = {errno.EPIPE, errno.EIO} if os.isatty(descriptor) else {errno.EPIPE}

    def write(self, data: Any) -> int:
        try:
            return os.write(self._descriptor, data)
        except OSError as error:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._descriptor)
            os.close(nowhere)
            if error.errno not in self._gone and not self._is_log:
                raise OSError(error.errno, error.strerror, "standard output") from None
        return len(data)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)
