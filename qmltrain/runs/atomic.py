"""Files that are there whole or not at all: written beside, flushed to the disk, renamed into place.

Everything durable in a run directory is written through this module, so that there is one place that knows what a
kill, a full disk or a power cut can do, and one place that turns an OSError into one line for the user.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from qmltrain.errors import StorageError

TEMPORARY_SUFFIX = ".tmp"

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_PREALLOCATION = {errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


@contextmanager
def storage_errors(action: str, path: Path) -> Iterator[None]:
    """Turns an OSError within the block into a StorageError of one line."""
    try:
        yield
    except OSError as error:
        raise storage_error(action, path, error) from error


def storage_error(action: str, path: Path, error: OSError) -> StorageError:
    """The line for an OSError."""
    hint = "; free space (or raise the quota) and run the same command again" if error.errno in _FULL else ""
    return StorageError(f"cannot {action} {path}: {error.strerror or error}{hint}")


@contextmanager
def new_file(path: Path) -> Iterator[int]:
    """A descriptor for writing a file that appears under ``path`` only when the block ends without an exception.

    The bytes are on the disk (fsync of the file and of its directory) when the block has been left. After an exception
    the temporary is removed and what was at ``path`` is as it was. Callers hold the lock of the run directory, so the
    temporary's name needs no random part, and one that a killed process left is overwritten by the next.
    """
    temporary = path.with_name(path.name + TEMPORARY_SUFFIX)
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o666)
    try:
        try:
            yield descriptor
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Makes the names in ``directory`` durable: without it a power cut may undo a rename."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_PREALLOCATION:  # some network file systems refuse fsync on directories
            raise
    finally:
        os.close(descriptor)


def remove_stale_temporaries(directory: Path) -> None:
    """Removes what killed writers left half-written in ``directory`` (its lock must be held)."""
    for temporary in directory.glob("*" + TEMPORARY_SUFFIX):
        temporary.unlink(missing_ok=True)


class WriteGuard:
    """Blocks that write, of one owner: ``with guard(path):``. After an error in one, no other is entered.

    An OSError becomes a StorageError of one line. Not a `contextmanager`, which takes several times as long: steps of
    some microseconds are written under it.
    """

    def __init__(self, owner: Path) -> None:
        self.closed = False
        self._owner = self._path = owner

    def __call__(self, path: Path) -> WriteGuard:
        self._path = path
        return self

    def check(self) -> None:
        """Raise StorageError after an error."""
        if self.closed:
            raise StorageError(f"{self._owner}: closed, or an earlier write failed; nothing more is written to it")

    __enter__ = check

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            self.closed = True
            if isinstance(error, OSError):
                raise storage_error("write", self._path, error) from error


def write_at(descriptor: int, data: bytes | memoryview, offset: int) -> None:
    """Writes all of ``data`` at ``offset``; a short write (signal, nearly full disk) is continued, never ignored."""
    view = memoryview(data).cast("B")
    while len(view):
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def write_pieces(descriptor: int, pieces: Iterable[tuple[memoryview, int]]) -> None:
    """As `write_at`, (data, offset) after (data, offset), at half the cost for a few bytes; the data C-contiguous."""
    for data, offset in pieces:
        written = os.pwrite(descriptor, data, offset)
        if written < data.nbytes:
            write_at(descriptor, data.cast("B")[written:], offset + written)


def read_at(descriptor: int, length: int, offset: int) -> bytes:
    """Reads exactly ``length`` bytes at ``offset``; raises OSError where the file ends before."""
    parts = []
    while length:
        part = os.pread(descriptor, length, offset)
        if not part:
            raise OSError(errno.EIO, "the file is shorter than it was made")
        parts.append(part)
        length, offset = length - len(part), offset + len(part)
    return b"".join(parts)


def reserve(descriptor: int, size: int) -> None:
    """Gives the file ``size`` bytes for good; raises OSError (ENOSPC) where they are not there.

    Where the file system cannot reserve (ZFS, some network file systems, macOS) the free space is compared instead:
    weaker, since others may use it up, but it still tells before the training and not after it.
    """
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(descriptor, 0, size)
            return
        except OSError as error:
            if error.errno not in _NO_PREALLOCATION:
                raise
    status = os.fstatvfs(descriptor)
    if status.f_bavail * status.f_frsize < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.ftruncate(descriptor, size)
