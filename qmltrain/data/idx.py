"""IDX files, the format of MNIST and its family (Fashion-MNIST, KMNIST, EMNIST), plain or gzipped.

The format (http://yann.lecun.com/exdb/mnist): big-endian; two zero bytes, one byte for the number type (8: unsigned
byte), one byte for the number of dimensions, four bytes for each length, then the numbers in row-major order.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from qmltrain.data.array_source import ArraySource, array_source
from qmltrain.data.checks import ArrayNames
from qmltrain.data.files import check_digest, find_file
from qmltrain.data.sizes import check_size
from qmltrain.errors import InputError

IMAGES_MAGIC = 0x00000803
LABELS_MAGIC = 0x00000801
_WHAT = {IMAGES_MAGIC: "images", LABELS_MAGIC: "labels"}


def idx(
    *,
    path: str,
    labels_path: str | None = None,
    root: str | None = None,
    sha256: str | None = None,
) -> ArraySource:
    """Images `path` and labels `labels_path`; 0 to 255, kept as bytes in memory.

    Without `labels_path`, it is the name of the images file with "images" and "idx3" replaced by "labels" and "idx1".
    `sha256` is that of the images file; `checksum` covers both files, one after the other.
    """
    images_file = find_file(path, root, "dataset.path")
    if labels_path is None:
        name = images_file.name
        if "images" not in name or "idx3" not in name:
            raise InputError(f"dataset.labels_path: not given, and the name of {images_file} does not tell it")
        labels_path = str(images_file.with_name(name.replace("images", "labels").replace("idx3", "idx1")))
    labels_file = find_file(labels_path, root, "dataset.labels_path")
    check_digest(sha256, images_file)
    images = read_idx(images_file, IMAGES_MAGIC)
    labels = read_idx(labels_file, LABELS_MAGIC)
    if len(images) != len(labels):
        raise InputError(f"{images_file} has {len(images)} images but {labels_file} has {len(labels)} labels")
    return array_source(
        "idx",
        images,
        labels,
        ArrayNames(str(images_file), "images", f"labels of {labels_file}"),
        task="classification",
        files=(images_file, labels_file),
    )


def read_idx(file: Path, magic: int) -> NDArray[np.uint8]:
    """The array of one IDX file, which must begin with `magic` and be exactly as long as it says."""
    try:
        with file.open("rb") as raw:
            if raw.read(2) == b"\x1f\x8b":
                raw.seek(0)
                with gzip.open(raw) as stream:
                    return _parse(stream, file, magic)
            raw.seek(0)
            return _parse(raw, file, magic)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{file}: truncated or damaged gzip file: {error}") from error
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror or error}") from error


def _parse(stream: BinaryIO | gzip.GzipFile, file: Path, magic: int) -> NDArray[np.uint8]:
    head = stream.read(4)
    if len(head) < 4:
        raise InputError(f"{file}: truncated: {len(head)} bytes, too short for an IDX file")
    found = struct.unpack(">I", head)[0]
    if found != magic:
        other = f"; this is a file of {_WHAT[found]}" if found in _WHAT else ""
        raise InputError(f"{file}: begins with 0x{found:08x}, IDX {_WHAT[magic]} begin with 0x{magic:08x}{other}")
    n_dimensions = magic & 0xFF
    head = stream.read(4 * n_dimensions)
    if len(head) < 4 * n_dimensions:
        raise InputError(f"{file}: truncated inside its header")
    shape = struct.unpack(f">{n_dimensions}I", head)
    # The lengths are not trusted: no more is read, and no more memory taken, than the file has.
    expected = int(np.prod(shape, dtype=object))
    if not expected:
        raise InputError(f"{file}: is empty, its header says {shape}")
    check_size(expected, f"{file}: header says {shape}")
    body = bytearray()
    while len(body) <= expected and (block := stream.read(min(2**20, expected + 1 - len(body)))):
        body += block
    if len(body) != expected:
        found_length = f"more than {expected}" if len(body) > expected else f"only {len(body)}"
        raise InputError(f"{file}: header says {shape}, {expected} bytes, but {found_length} follow; fetch it again")
    return np.frombuffer(body, dtype=np.uint8).reshape(shape)
