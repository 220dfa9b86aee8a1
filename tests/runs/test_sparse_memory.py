"""The memory that a run file is laid out in."""

from __future__ import annotations

import numpy as np

from qmltrain.runs.sparse_memory import SparseMemory


def test_sparse_memory_is_a_file() -> None:
    """Against a byte array, with writes and reads across pages and beyond the end."""
    memory, plain = SparseMemory(), bytearray()
    rng = np.random.default_rng(1)
    for _ in range(200):
        offset, length = int(rng.integers(0, 30_000)), int(rng.integers(0, 9_000))
        data = rng.bytes(length)
        memory.seek(offset)
        memory.write(data)
        if length:
            plain.extend(bytes(max(0, offset + length - len(plain))))
            plain[offset : offset + length] = data
        memory.seek(int(rng.integers(0, 30_000)))
        begin = memory.tell()
        assert memory.read(5000) == plain[begin : begin + 5000]
    joined = bytearray(memory.size)
    for offset, data in memory.runs():
        joined[offset : offset + len(data)] = data
    assert joined == plain
