"""NodeMemoryTransport: ranks of one node exchange words and numbers through memory that all of them map.

A message of MPI takes tens of microseconds, most of them Python's; a turn in memory (kernels/cpu/ranks/node_memory.hpp)
one or two, and the C++ engine takes it by itself. A step of a small circuit is as short as a message.
"""

from __future__ import annotations

import importlib
import mmap
import os
import secrets
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qmltrain.errors import EngineUnavailableError
from qmltrain.ranks.transport import Transport

_TOKEN = 32  # bytes at the end of the memory, by which it is known


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
    memory of the first one: there is none to be had, or the ranks are in containers of their own. Called by all."""
    size = _bytes(other.size)
    made = _made(size) if other.rank == 0 and size else None
    path, _, token = other.texts(made.text if made else b"")[0].partition(b"\n")
    try:
        mapped = None
        if size and path:
            mapped = made.memory if made else _mapped(path.decode(), size, token)
        if not all(other.texts(b"mapped" if mapped is not None else b"")):
            return other
    finally:
        if made is not None:
            os.close(made.descriptor)
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


def _bytes(ranks: int) -> int:
    """What so many ranks need; 0: none can be had, for want of the extension."""
    try:
        return int(_extension().NodeMemory.bytes(ranks))
    except EngineUnavailableError:
        return 0


class _Made(NamedTuple):
    """Memory, its open file, and where others find it with what they find at its end."""

    memory: mmap.mmap
    descriptor: int
    text: bytes


def _made(size: int) -> _Made | None:
    """`size` zeros and a token, in a file without a name: nothing is left of it, however the ranks end. None where that
    cannot be: it is Linux that has such files."""
    if not hasattr(os, "memfd_create"):
        return None
    token = secrets.token_hex(_TOKEN // 2).encode()
    try:
        descriptor = os.memfd_create("qmltrain-ranks")
    except OSError:
        return None
    try:
        os.posix_fallocate(descriptor, 0, size + _TOKEN)  # (writing to pages that cannot be had would be the end)
        memory = mmap.mmap(descriptor, size + _TOKEN)
    except OSError:
        os.close(descriptor)
        return None
    memory[size:] = token
    return _Made(memory, descriptor, b"/proc/%d/fd/%d\n%b" % (os.getpid(), descriptor, token))


def _mapped(path: str, size: int, token: bytes) -> mmap.mmap | None:
    try:
        with open(path, "r+b") as file:
            memory = mmap.mmap(file.fileno(), 0)
    except (OSError, ValueError):  # ValueError: an empty file
        return None
    # of another container the same path may be another file
    return memory if len(memory) == size + _TOKEN and memory[size:] == token else None
