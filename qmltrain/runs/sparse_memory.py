"""A file in memory that keeps only what was written to it, in which HDF5 lays out a run file."""

from __future__ import annotations

import os


class SparseMemory:
    """A file in memory that keeps only the pages written to it, for h5py's file-object driver.

    A run file may be laid out at many gigabytes and yet take kilobytes here, since allocated rows are not written.
    """

    _PAGE = 4096

    def __init__(self) -> None:
        self.pages: dict[int, bytearray] = {}
        self.size = 0
        self._position = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        return self._position

    def tell(self) -> int:
        return self._position

    def flush(self) -> None:
        """Nothing lies elsewhere."""

    def truncate(self, size: int | None = None) -> int:
        self.size = self._position if size is None else size
        return self.size

    def write(self, data: bytes) -> int:
        view = memoryview(data).cast("B")
        for begin, end, page, at in self._pieces(len(view)):
            self.pages.setdefault(page, bytearray(self._PAGE))[at : at + end - begin] = view[begin:end]
        self._position += len(view)
        self.size = max(self.size, self._position)
        return len(view)

    def readinto(self, buffer: bytearray) -> int:
        view = memoryview(buffer).cast("B")
        length = min(len(view), max(0, self.size - self._position))
        empty = bytes(self._PAGE)
        for begin, end, page, at in self._pieces(length):
            view[begin:end] = self.pages.get(page, empty)[at : at + end - begin]
        self._position += length
        return length

    def read(self, length: int = -1) -> bytes:
        data = bytearray(max(0, self.size - self._position) if length < 0 else length)
        return bytes(data[: self.readinto(data)])

    def _pieces(self, length: int) -> list[tuple[int, int, int, int]]:
        """(begin, end) in the caller's buffer with (page, offset in it), for ``length`` bytes from the position on."""
        pieces, begin = [], 0
        while begin < length:
            page, at = divmod(self._position + begin, self._PAGE)
            end = min(length, begin + self._PAGE - at)
            pieces.append((begin, end, page, at))
            begin = end
        return pieces

    def runs(self) -> list[tuple[int, bytes]]:
        """(offset, bytes) of the parts that were written, neighbouring pages joined, in order."""
        runs: list[tuple[int, bytearray]] = []
        for page in sorted(self.pages):
            offset = page * self._PAGE
            if runs and runs[-1][0] + len(runs[-1][1]) == offset:
                runs[-1][1].extend(self.pages[page])
            else:
                runs.append((offset, bytearray(self.pages[page])))
        return [(offset, bytes(data[: self.size - offset])) for offset, data in runs if offset < self.size]
