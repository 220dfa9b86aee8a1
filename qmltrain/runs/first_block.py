"""The first block of a run file or a scan file: what it is, and the checksum of all that never changes in it.

Such a file is HDF5 behind a user block of 4,096 bytes (a scan of many points: of as many times two as it needs), which
HDF5 leaves to the program and every reader of HDF5 passes over. It holds two lines of text and then zeros:

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
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from qmltrain.errors import InputError, StorageError

FIRST_BLOCK_BYTES = 4096
FORMAT_VERSION = 2  # the version of the run file's schema; files of version 1 have no first block

_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_PIECE = 1 << 22  # bytes hashed at a time
_LONGEST_BLOCK = 1 << 26


@dataclass(frozen=True)
class FileKind:
    """What the first word of a file says that it is, and the version of its layout that is written."""

    magic: bytes
    version: int
    read: str  # the versions that are read, in words


RUN_FILE = FileKind(b"qmltrain-run", FORMAT_VERSION, f"1 and {FORMAT_VERSION}")


class _Readable(Protocol):
    """A file, or what stands for one in memory."""

    size: int

    def seek(self, offset: int) -> int: ...

    def read(self, length: int) -> bytes: ...


def encode_first_block(
    image: _Readable,
    changing: Iterable[tuple[int, int]],
    written_by: str,
    kind: FileKind = RUN_FILE,
    n_bytes: int = FIRST_BLOCK_BYTES,
) -> bytes:
    """The first block, ``n_bytes`` long, of a file whose bytes behind it are in ``image``; ``changing`` has (offset,
    length) of the rest.

    Raises ValueError where there are more parts than the block can name.
    """
    parts, begin = [], n_bytes
    for offset, length in sorted(changing):
        if offset > begin:
            parts.append([begin, offset])
        begin = offset + length
    if begin < image.size:
        parts.append([begin, image.size])
    line = json.dumps({"written_by": written_by, "unchanging": parts}).encode() + b"\n"
    block = b"%s %d %s\n%s" % (kind.magic, kind.version, _digest(image, line, parts), line)
    if len(block) > n_bytes:
        raise ValueError(f"a file of {len(parts)} parts, more than its first block can name")
    return block.ljust(n_bytes, b"\0")


def check_first_block(path: Path, kind: FileKind = RUN_FILE) -> int:
    """The schema version of the file at ``path``, after its checksum: 1 for a run file without a first block, 0 for
    what is no such file (or damaged in its first line).

    Raises StorageError where the file is damaged or cannot be read, InputError where it is of a version that this
    program does not read.
    """
    try:
        with path.open("rb") as file:
            block = file.read(FIRST_BLOCK_BYTES)
            if block.startswith(_HDF5_SIGNATURE):
                return int(kind is RUN_FILE)
            return _check(path, file, block, kind)
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror or error}") from error


def _check(path: Path, file: BinaryIO, block: bytes, kind: FileKind) -> int:
    words = block.partition(b"\n")[0].split(b" ")
    if words[0] != kind.magic or len(words) != 3:
        return 0
    while block.count(b"\n") < 2 and len(block) < _LONGEST_BLOCK:
        more = file.read(len(block))
        if not more:
            break
        block += more
    first, _, rest = block.partition(b"\n")
    line = rest.partition(b"\n")[0] + b"\n"
    try:
        described = json.loads(line)
        parts = [(int(begin), int(end)) for begin, end in described["unchanging"]]
        n_bytes = parts[0][0]
    except (ValueError, TypeError, KeyError, IndexError):
        raise StorageError(_damaged(path)) from None
    if words[1] != b"%d" % kind.version and words[1].isdigit():
        raise InputError(
            f"{path}: schema version {words[1].decode()}; this program reads {kind.read}: use the version "
            f"that wrote it ({described.get('written_by')})"
        )
    size = os.fstat(file.fileno()).st_size
    whole = all(FIRST_BLOCK_BYTES <= begin <= end <= size for begin, end in parts) and n_bytes >= len(first) + len(line)
    if whole and n_bytes > len(block):
        block += file.read(n_bytes - len(block))
    behind = block[len(first) + 1 + len(line) : n_bytes]
    if not whole or behind.strip(b"\0") or words[2] != _digest(file, line, parts):
        raise StorageError(_damaged(path))
    return kind.version


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
