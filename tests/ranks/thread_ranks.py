"""Ranks as threads of one process: a transport without MPI, by messages or in memory."""

from __future__ import annotations

import mmap
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from qmltrain.engines.cpu import extension
from qmltrain.ranks.communicator import Communicator
from qmltrain.ranks.node_memory import NodeMemoryTransport

PATIENCE = 20.0  # seconds that a rank waits for the others: longer, and they never come


class _Place:
    """Where threads leave what they bring."""

    def __init__(self, size: int) -> None:
        self.barrier = threading.Barrier(size)
        self.brought: list[Any] = [None] * size

    def exchange(self, rank: int, own: Any) -> list[Any]:
        self.brought[rank] = own
        self.barrier.wait(PATIENCE)
        found = list(self.brought)
        self.barrier.wait(PATIENCE)
        return found


class ThreadTransport:
    memory = None

    def __init__(self, place: _Place, rank: int, size: int) -> None:
        self._place, self.rank, self.size = place, rank, size
        self.exchanged = 0  # numbers

    def words(self, own: np.ndarray) -> np.ndarray:
        return np.array(self._place.exchange(self.rank, own.copy()))

    def numbers(self, numbers: np.ndarray, counts: Sequence[int]) -> None:
        ends = np.cumsum(counts)
        own = numbers[ends[self.rank] - counts[self.rank] : ends[self.rank]].copy()
        found = self._place.exchange(self.rank, own)
        assert [len(part) for part in found] == list(counts)
        numbers[:] = np.concatenate(found)
        self.exchanged += len(numbers)

    def texts(self, own: bytes) -> list[bytes]:
        return self._place.exchange(self.rank, own)

    def abort(self, code: int) -> None:
        raise AssertionError(f"aborted with {code}")


def in_memory(transports: list[ThreadTransport]) -> list[NodeMemoryTransport]:
    """The same with memory for words and numbers."""
    node_memory, size = extension.load().NodeMemory, len(transports)
    shared = np.frombuffer(mmap.mmap(-1, node_memory.bytes(size)), dtype=np.uint8)
    return [NodeMemoryTransport(other, node_memory(shared, rank=other.rank, ranks=size)) for other in transports]


def on_ranks(size: int, work: Callable[[Communicator], Any], *, memory: bool = False) -> list[Any]:
    """What `work` gives on each rank; an exception, told to the others as the command does, is given as it is."""
    place, found = _Place(size), [None] * size
    transports = [ThreadTransport(place, rank, size) for rank in range(size)]
    of_ranks = in_memory(transports) if memory else transports

    def one(rank: int) -> None:
        ranks = Communicator(of_ranks[rank])
        try:
            found[rank] = work(ranks)
        except Exception as error:
            found[rank] = error
            if not isinstance(error, threading.BrokenBarrierError):
                ranks.fail(error, 1, f"{type(error).__name__}: {error}")

    threads = [threading.Thread(target=one, args=(rank,), daemon=True) for rank in range(size)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 3 * PATIENCE
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    assert not any(thread.is_alive() for thread in threads), "ranks wait for others that do not come"
    return found
