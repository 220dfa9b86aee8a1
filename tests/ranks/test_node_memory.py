"""Memory that ranks of one node map: what is brought there comes to all; where it cannot be had, messages are sent."""

from __future__ import annotations

import gc
import mmap
import os
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmltrain.engines.cpu import extension, unavailable_reason
from qmltrain.ranks import node_memory
from qmltrain.ranks.communicator import Communicator
from tests.examples import examples
from tests.ranks.thread_ranks import on_ranks

pytestmark = pytest.mark.skipif(unavailable_reason() is not None, reason="no C++ extension")

PART = 1 << 14  # numbers of a rank in one turn


@st.composite
def exchanges(draw) -> list[list[int]]:
    """So many numbers of each rank, a few times."""
    size = draw(st.integers(1, 5))
    counts = st.one_of(st.integers(0, 5), st.sampled_from([PART - 1, PART, PART + 1, 3 * PART + 7]))
    return draw(st.lists(st.lists(counts, min_size=size, max_size=size), min_size=1, max_size=4))


@given(exchanges(), st.integers(0, 2**32 - 1))
@settings(max_examples=examples(40), deadline=None)
def test_all_get_what_all_bring(turns: list[list[int]], seed: int) -> None:
    random = np.random.default_rng(seed)
    brought = [random.standard_normal(sum(counts)) for counts in turns]

    def work(ranks: Communicator) -> list[tuple[int, bytes]]:
        found = []
        for number, (counts, whole) in enumerate(zip(turns, brought, strict=True)):
            begin = sum(counts[: ranks.rank])
            numbers = np.full(len(whole), np.nan)
            numbers[begin : begin + counts[ranks.rank]] = whole[begin : begin + counts[ranks.rank]]
            word = (number % 4) << 4 * ranks.rank
            found.append((ranks.gather(word, numbers, counts), numbers.tobytes()))
        return found

    joined = [sum((number % 4) << 4 * rank for rank in range(len(turns[0]))) for number in range(len(turns))]
    expected = list(zip(joined, [whole.tobytes() for whole in brought], strict=True))
    assert on_ranks(len(turns[0]), work, memory=True) == [expected] * len(turns[0])


def test_a_rank_waits_without_python() -> None:
    """Another one, in the same process, goes on meanwhile, and comes late."""

    def work(ranks: Communicator) -> list[float]:
        numbers = np.array([1.0, 2.0])
        if ranks.rank == 1:
            threading.Event().wait(0.2)
        ranks.gather(0, numbers, [1, 1])
        return numbers.tolist()

    assert on_ranks(2, work, memory=True) == [[1.0, 2.0]] * 2


@pytest.mark.parametrize(
    ("memory", "rank", "ranks", "line"),
    [
        (lambda size: np.zeros(size - 1, dtype=np.uint8), 0, 2, "too small"),
        (lambda size: np.frombuffer(mmap.mmap(-1, size + 8), dtype=np.uint8)[8:], 0, 2, "line of the cache"),
        (lambda size: np.frombuffer(mmap.mmap(-1, size), dtype=np.uint8), 2, 2, "no such rank"),
    ],
)
def test_wrong_memory_is_refused(memory, rank: int, ranks: int, line: str) -> None:
    kind = extension.load().NodeMemory
    with pytest.raises(ValueError, match=line):
        kind(memory(kind.bytes(ranks)), rank=rank, ranks=ranks)


def test_wrong_shapes_are_refused() -> None:
    kind = extension.load().NodeMemory
    memory = kind(np.frombuffer(mmap.mmap(-1, kind.bytes(1)), dtype=np.uint8), rank=0, ranks=1)
    with pytest.raises(ValueError, match="words: wrong shapes"):
        memory.words(np.zeros(3, dtype=np.int64), np.zeros((2, 3), dtype=np.int64))
    with pytest.raises(ValueError, match="one for each rank"):
        memory.numbers(np.zeros(3), [1, 2])
    with pytest.raises(ValueError, match="not as many as counted"):
        memory.numbers(np.zeros(3), [2])


class Found:
    """What became of the transports of ranks."""

    def __init__(self, size: int) -> None:
        self.in_memory = on_ranks(size, self._try)

    @staticmethod
    def _try(ranks: Communicator) -> bool:
        found = node_memory.through_memory(ranks._transport)
        numbers = np.full(ranks.size, float(ranks.rank))
        Communicator(found).gather(0, numbers, [1] * ranks.size)
        assert numbers.tolist() == list(range(ranks.size))
        return found is not ranks._transport


def open_files() -> set[str]:
    gc.collect()  # what maps memory keeps its file open
    links = (os.readlink(entry) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink())
    return {link for link in links if "qmltrain-ranks" in link}


def test_ranks_of_one_node_have_memory_and_leave_no_file() -> None:
    before = set(Path("/dev/shm").iterdir())
    assert Found(3).in_memory == [True] * 3
    assert set(Path("/dev/shm").iterdir()) == before and open_files() == set()


@pytest.mark.parametrize("what", ["memfd_create", "posix_fallocate"])
def test_without_room_all_send_messages(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(*_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, what, no_room)
    assert Found(2).in_memory == [False] * 2
    assert open_files() == set()


def test_where_files_have_names_all_send_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other systems than Linux."""
    monkeypatch.delattr(os, "memfd_create")
    assert Found(2).in_memory == [False] * 2


@pytest.mark.parametrize("way", ["no file", "another file", "another one of this size"])
def test_where_one_rank_cannot_map_it_all_send_messages(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three, the last: in its container other processes have these numbers."""
    earlier, asked = node_memory._mapped, []

    def mapped(path: str, size: int, token: bytes) -> mmap.mmap | None:
        asked.append(path)
        if len(asked) == 1:
            return earlier(path, size, token)
        other = tmp_path / "other"
        if way != "no file":
            other.write_bytes(bytes(size + len(token) if way.endswith("size") else 100))
        return earlier(str(other), size, token)

    monkeypatch.setattr(node_memory, "_mapped", mapped)
    assert Found(3).in_memory == [False] * 3
    assert len(asked) == 2 and open_files() == set()


def test_without_the_extension_all_send_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise node_memory.EngineUnavailableError("not built")

    with monkeypatch.context() as patched:
        patched.setattr(extension, "load", missing)
        assert Found(2).in_memory == [False] * 2
