"""Sizes that a file declares, checked against the memory that there is before anything of it is read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from qmltrain.errors import MemoryLimitError
from qmltrain.units import gib

_limit: ContextVar[int | None] = ContextVar("memory_for_data", default=None)


@contextmanager
def memory_for_data(n_bytes: int) -> Iterator[None]:
    """Data that is opened inside may take `n_bytes` of memory; outside of this nothing is refused for its size."""
    token = _limit.set(n_bytes)
    try:
        yield
    finally:
        _limit.reset(token)


def check_size(
    n_bytes: int,
    where: str,
    remedy: str = "take fewer samples, larger data as HDF5 (dataset=hdf5), which is read by row",
) -> None:
    """Raise MemoryLimitError, naming `where` and the `remedy`, for more bytes than the memory for data."""
    limit = _limit.get()
    if limit is not None and n_bytes > limit:
        raise MemoryLimitError(
            f"{where}: takes {gib(n_bytes)} of memory to read, there are {gib(limit)}; {remedy}, or fetch the file "
            "again where it is damaged"
        )
