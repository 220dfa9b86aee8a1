"""CIFAR-10, binary version: batches of records of 3073 bytes.

A record is one byte for the class and 3 x 32 x 32 bytes for red, green and blue, each row by row
(https://www.cs.toronto.edu/~kriz/cifar.html).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qmltrain.data.array_source import ArraySource, array_source
from qmltrain.data.checks import ArrayNames
from qmltrain.data.files import check_digest, find_file, locate
from qmltrain.data.gzip_cache import unpacked
from qmltrain.data.sizes import check_size
from qmltrain.data.splits import TEST, TRAIN
from qmltrain.errors import InputError

CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
RECORD = 1 + 3 * 32 * 32
_COPIES = 3  # of a file in memory at once: as read, joined with others, as images


def cifar10(*, path: str, root: str | None = None, sha256: str | None = None) -> ArraySource:
    """Images (n, 32, 32, 3), 0 to 255, kept as bytes, from one batch file or the folder of the unpacked archive.

    Of a folder, data_batch_*.bin are for training and validation and test_batch.bin, where it is there, for the test.
    Files may be gzipped. `sha256` is that of a single file. Raises InputError for files that are not whole records, and
    labels above 9.
    """
    place = locate(path, root)
    if not place.is_dir():
        file = find_file(path, root, "dataset.path")
        check_digest(sha256, file)
        files, parts = [file], None
    else:
        if sha256 is not None:
            raise InputError(f"dataset.sha256: {place} is a folder; give a single file, or leave it null")
        files = _batches(place, "data_batch_*.bin")
        if not files:
            raise InputError(f"dataset.path: {place} has no data_batch_*.bin; unpack the binary version of CIFAR-10")
        tests = _batches(place, "test_batch.bin")
        parts = [TRAIN] * len(files) + [TEST] * len(tests)
        files += tests
    batches = [_read(file) for file in files]
    records = np.concatenate(batches)
    images = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return array_source(
        "cifar10",
        np.ascontiguousarray(images),
        records[:, 0],
        ArrayNames(str(place), "images", "labels"),
        task="classification",
        class_names=CLASS_NAMES,
        parts=None if parts is None else np.repeat(np.array(parts, dtype=np.int8), [len(batch) for batch in batches]),
        files=tuple(files),
    )


def _batches(folder: Path, pattern: str) -> list[Path]:
    """Files of the pattern in order, gzipped or not; InputError where one is there both ways and would count twice."""
    files = sorted([*folder.glob(pattern), *folder.glob(pattern + ".gz")])
    for file in files:
        if file.with_name(file.name + ".gz") in files:
            raise InputError(f"dataset.path: {file} is there and gzipped as well; remove one of the two")
    return files


def _read(file: Path) -> NDArray[np.uint8]:
    """(n, 3073)"""
    try:
        check_size(_COPIES * unpacked(file).stat().st_size, str(file))
        content = np.fromfile(unpacked(file), dtype=np.uint8)
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror or error}") from error
    if not len(content) or len(content) % RECORD:
        raise InputError(
            f"{file}: {len(content)} bytes are not whole records of {RECORD} (CIFAR-10, binary version); fetch it again"
        )
    records = content.reshape(-1, RECORD)
    bad = np.flatnonzero(records[:, 0] > 9)
    if len(bad):
        raise InputError(
            f"{file}: record {bad[0]} has label {records[bad[0], 0]}; allowed are 0 to 9: is this another data set?"
        )
    return records
