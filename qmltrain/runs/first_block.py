"""The first block of a run file: what it is, and the checksum of all that never changes in it.

A run file is HDF5 behind a user block of 4,096 bytes, which HDF5 leaves to the program and every reader of HDF5 passes
over. It holds two lines of text and then zeros:

    qmltrain-run 2 <SHA-256 of the second line and of the unchanging parts>
    {"written_by": "qmltrain 0.1.0", "unchanging": [[4096, 9230], ...]}

The unchanging parts are [begin, end) in bytes: everything behind the first block but the rows of the tables and their
counter, so all of HDF5's own structures, attributes and small datasets. They are checked before the HDF5 library opens
the file: nothing is trained by a damaged config, and no damaged structure sends the library round in circles. Rows
have checksums of their own (`row_counter.py`).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from qmltrain.errors import InputError, StorageError

FIRST_BLOCK_BYTES = 4096
FORMAT_VERSION = 2  # the version of the run file's schema; files of version 1 have no first block

_MAGIC = b"qmltrain-run"
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_PIECE = 1 << 22  # bytes hashed at a time


class _Readable(Protocol):
    """A file, or what stands for one in memory."""

    size: int

    def seek(self, offset: int) -> int: ...

    def read(self, length: int) -> bytes: ...


def encode_first_block(image: _Readable, changing: Iterable[tuple[int, int]], written_by: str) -> bytes:
    """The first block of a file whose bytes behind it are in ``image``; ``changing`` has (offset, length) of the rest.

    Raises ValueError where there are more parts than the block can name.
    """
    parts, begin = [], FIRST_BLOCK_BYTES
    for offset, length in sorted(changing):
        if offset > begin:
            parts.append([begin, offset])
        begin = offset + length
    if begin < image.size:
        parts.append([begin, image.size])
    line = json.dumps({"written_by": written_by, "unchanging": parts}).encode() + b"\n"
    block = b"%s %d %s\n%s" % (_MAGIC, FORMAT_VERSION, _digest(image, line, parts), line)
    if len(block) > FIRST_BLOCK_BYTES:
        raise ValueError(f"a run file of {len(parts)} parts, more than its first block can name")
    return block.ljust(FIRST_BLOCK_BYTES, b"\0")


def check_first_block(path: Path) -> int:
    """The schema version of the run file at ``path``, after its checksum: 1 for an HDF5 file without a first block, 0
    for what is no run file (or damaged in its first line).

    Raises StorageError where the file is damaged or cannot be read, InputError where it is of a version that this
    program does not read.
    """
    try:
        with path.open("rb") as file:
            block = file.read(FIRST_BLOCK_BYTES)
            if block.startswith(_HDF5_SIGNATURE):
                return 1
            return _check(path, file, block)
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror or error}") from error


def _check(path: Path, file: BinaryIO, block: bytes) -> int:
    first, _, rest = block.partition(b"\n")
    line = rest.partition(b"\n")[0] + b"\n"
    words = first.split(b" ")
    if words[0] != _MAGIC or len(words) != 3:
        return 0
    try:
        described = json.loads(line)
        parts = [(int(begin), int(end)) for begin, end in described["unchanging"]]
    except (ValueError, TypeError, KeyError):
        raise StorageError(_damaged(path)) from None
    if words[1] != b"%d" % FORMAT_VERSION and words[1].isdigit():
        raise InputError(
            f"{path}: schema version {words[1].decode()}; this program reads 1 and {FORMAT_VERSION}: use the version "
            f"that wrote it ({described.get('written_by')})"
        )
    size = os.fstat(file.fileno()).st_size
    whole = all(FIRST_BLOCK_BYTES <= begin <= end <= size for begin, end in parts)
    if not whole or block[len(first) + 1 + len(line) :].strip(b"\0") or words[2] != _digest(file, line, parts):
        raise StorageError(_damaged(path))
    return FORMAT_VERSION


def _digest(file: _Readable | BinaryIO, line: bytes, parts: Iterable[Any]) -> bytes:
    total = hashlib.sha256(line)
    for begin, end in parts:
        file.seek(begin)
        while begin < end:
            piece = file.read(min(_PIECE, end - begin))
            if not piece:
                break
            total.update(piece)
            begin += len(piece)
    return total.hexdigest().encode()


def _damaged(path: Path) -> str:
    return (
        f"{path}: damaged, or changed by another program (its SHA-256 is not the one written with it); restore it from "
        "a copy, or choose another run.dir"
    )
