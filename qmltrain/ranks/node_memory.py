"""NodeMemoryTransport: ranks of one node exchange words and numbers through memory that all of them map.

A message of MPI takes tens of microseconds, most of them Python's; a turn in memory (kernels/cpu/ranks/node_memory.hpp)
one or two, and the C++ engine takes it by itself. A step of a small circuit is as short as a message.
"""

from __future__ import annotations

import importlib
import mmap
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmltrain.errors import EngineUnavailableError
from qmltrain.ranks.transport import Transport

SHARED = Path("/dev/shm")  # files that are memory, on Linux; elsewhere pages of an ordinary file are mapped


class NodeMemoryTransport:
    """`Transport` of ranks on one node. `memory`: the extension's NodeMemory; texts go by `other`."""

    def __init__(self, other: Transport, memory: Any) -> None:
        self._other, self.memory = other, memory
        self.rank, self.size = other.rank, other.size

    def words(self, own: NDArray[np.int64]) -> NDArray[np.int64]:
        found = np.empty((self.size, len(own)), dtype=np.int64)
        self.memory.words(own, found)
        return found

    def numbers(self, numbers: NDArray[np.float64], counts: Sequence[int]) -> None:
        self.memory.numbers(numbers, list(counts))

    def texts(self, own: bytes) -> list[bytes]:
        return self._other.texts(own)

    def abort(self, code: int) -> None:
        self._other.abort(code)


def through_memory(other: Transport) -> Transport:
    """`other` with memory for words and numbers; `other` itself where a rank has not the extension, or cannot map the
    file of the first one: that has no room, or the ranks are in containers of their own. Called by all."""
    made, path = _made(other.size) if other.rank == 0 else (None, "")
    try:
        path = other.texts(path.encode())[0].decode()
        mapped = made or _mapped(path)
        if not all(other.texts(b"mapped" if mapped is not None else b"")):
            return other
    finally:
        if made is not None:
            os.unlink(path)  # all who map it keep it; nothing is left however they end
    memory = np.frombuffer(mapped, dtype=np.uint8)  # type: ignore[arg-type]
    return NodeMemoryTransport(other, _extension().NodeMemory(memory, rank=other.rank, ranks=other.size))


def _extension() -> Any:
    """The C++ extension. Raises EngineUnavailableError without it, and without its engine."""
    try:
        return importlib.import_module("qmltrain.engines.cpu.extension").load()
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("qmltrain."):
            raise
        raise EngineUnavailableError("the CPU engine is not part of this installation") from None


def _made(ranks: int) -> tuple[mmap.mmap | None, str]:
    """A file of zeros as large as so many ranks need; none where that cannot be."""
    try:
        size = _extension().NodeMemory.bytes(ranks)
        descriptor, path = tempfile.mkstemp(prefix="qmltrain-ranks-", dir=SHARED if SHARED.is_dir() else None)
    except (EngineUnavailableError, OSError):
        return None, ""
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(descriptor, 0, size)  # (writing to pages that cannot be had would be the end)
        os.truncate(descriptor, size)
        return mmap.mmap(descriptor, size), path
    except OSError:
        os.unlink(path)
        return None, ""
    finally:
        os.close(descriptor)


def _mapped(path: str) -> mmap.mmap | None:
    if not path:
        return None
    try:
        _extension()
        with open(path, "r+b") as file:
            return mmap.mmap(file.fileno(), 0)
    except (EngineUnavailableError, OSError, ValueError):  # ValueError: another file of this name, an empty one
        return None
