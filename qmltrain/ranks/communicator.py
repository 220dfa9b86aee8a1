"""Communicator: what ranks do together over a Transport, and how they fail together.

Each exchange begins with a few words of every rank. One that has failed says so there, whatever exchange the others are
at: so nobody waits for it, all hear its error, and all end with its exit code.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from qmltrain.engines.protocol import FloatArray
from qmltrain.engines.ranks import NodeGather, Word
from qmltrain.errors import InputError, QmltrainError
from qmltrain.ranks.transport import Transport

Thing = TypeVar("Thing")


class Exchange(IntEnum):
    """What a rank came for."""

    FAILED = 0
    NUMBERS = 1
    THING = 2
    TEXTS = 3
    LEAVE = 4


class AnotherRankFailed(QmltrainError):  # noqa: N818 - the error is the other's
    """Raised on the ranks that have not failed; `rank`, its exit code and its line."""

    def __init__(self, rank: int, exit_code: int, line: str) -> None:
        super().__init__(line)
        self.rank, self.exit_code = rank, exit_code


class Communicator:
    """`qmltrain.engines.ranks.Ranks`, and what a session needs beside. `threads`: of this rank; `beside`: ranks on its
    node, itself included, of which it is number `number_beside`."""

    def __init__(self, transport: Transport, threads: int = 1, beside: int = 1, number_beside: int = 0) -> None:
        self._transport, memory = transport, transport.memory
        self.node_gather = None if memory is None else NodeGather(memory, Exchange.NUMBERS, self._check)
        self.rank, self.size = transport.rank, transport.size
        self.threads, self.beside, self.number_beside = threads, beside, number_beside

    @property
    def is_first(self) -> bool:
        """Whether this rank writes and prints."""
        return self.rank == 0

    def gather(self, word: int, numbers: FloatArray, counts: Sequence[int]) -> int:
        """See `qmltrain.engines.ranks.Ranks`."""
        joined = int(np.bitwise_or.reduce(self._words(Exchange.NUMBERS, word, sum(counts))[:, 1]))
        if not joined & Word.ABANDONED and len(numbers):
            self._transport.numbers(numbers, counts)
        return joined

    def from_first(self, make: Callable[[], Thing]) -> Thing:
        """What `make` gives on rank 0, on all ranks."""
        made = make() if self.is_first else None
        self._words(Exchange.THING)
        found: Thing = pickle.loads(self._transport.texts(pickle.dumps(made) if self.is_first else b"")[0])
        return found

    def hear(self) -> Any:
        """What the first rank makes in `from_first`, on another one."""

        def make() -> Any:
            raise AssertionError("the first rank makes it")

        return self.from_first(make)

    def texts(self, own: str) -> list[str]:
        """Those of all ranks."""
        self._words(Exchange.TEXTS)
        return [text.decode() for text in self._transport.texts(own.encode())]

    def check_same(self, what: str, own: str, remedy: str, kind: type[QmltrainError] = InputError) -> None:
        """Raise an error of `kind`, on all ranks, where `own` is not the same on all."""
        found = self.texts(own)
        other = next((rank for rank, text in enumerate(found) if text != found[0]), None)
        if other is not None:
            raise kind(f"{what}: rank 0 has {found[0]}, rank {other} has {found[other]}; {remedy}")

    def leave(self) -> None:
        """Wait until all are done."""
        self._words(Exchange.LEAVE)

    def fail(self, error: Exception, exit_code: int, line: str) -> tuple[int, str]:
        """Tell the others of this rank's `error`, which they told this one of where it is AnotherRankFailed; exit code
        and line of the first rank that failed, by its number."""
        if not isinstance(error, AnotherRankFailed):
            self._transport.words(np.array([Exchange.FAILED, 0, 0]))
            error = self._failure(exit_code, line)
        return error.exit_code, str(error)

    def abort(self, exit_code: int) -> None:
        """End all ranks at once."""
        self._transport.abort(exit_code)

    def _words(self, exchange: Exchange, word: int = 0, length: int = 0) -> NDArray[np.int64]:
        """(size, 3). Raises AnotherRankFailed; RuntimeError where ranks came for different things."""
        found = self._transport.words(np.array([exchange, word, length]))
        self._check(found)
        return found

    def _check(self, words: NDArray[np.int64]) -> None:
        if not np.all(words[:, 0]):
            raise self._failure()
        if np.any(words[:, [0, 2]] != words[0, [0, 2]]):
            came = [(Exchange(row[0]).name, row[2]) for row in words.tolist()]
            raise RuntimeError(f"the ranks are at different places of their work: {came}")

    def _failure(self, exit_code: int = 0, line: str = "") -> AnotherRankFailed:
        """Of the first rank that failed; `exit_code` 0: not this one."""
        own = json.dumps([exit_code, line]).encode() if exit_code else b""
        found = self._transport.texts(own)
        rank = next(rank for rank, text in enumerate(found) if text)
        exit_code, line = json.loads(found[rank])
        same = all(text == found[rank] for text in found)
        return AnotherRankFailed(rank, exit_code, line if same or rank == 0 else f"rank {rank}: {line}")
