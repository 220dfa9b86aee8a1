"""Gzipped files that are read by row or by column: unpacked once, into a cache whose names tell the content."""

from __future__ import annotations

import gzip
import os
import shutil
import tempfile
import zlib
from pathlib import Path

from qmltrain.data.files import digest
from qmltrain.errors import InputError

CACHE_VARIABLE = "QMLTRAIN_CACHE"


def cache_folder() -> Path:
    """$QMLTRAIN_CACHE, else the user's cache folder ($XDG_CACHE_HOME or ~/.cache) / qmltrain."""
    own = os.environ.get(CACHE_VARIABLE)
    if own:
        return Path(own).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "qmltrain"


def unpacked(file: Path) -> Path:
    """`file` itself, or, where its content is gzip, the unpacked file ``<cache>/<sha256 of file, 16 digits>-<name>``.

    It is unpacked where it is not there yet, under another name that is changed at the end: any number of processes may
    ask at once, and a kill leaves no half file. Raises InputError for a damaged file and a cache that cannot be written
    to.
    """
    with file.open("rb") as stream:
        if stream.read(2) != b"\x1f\x8b":
            return file
    folder = cache_folder()
    name = file.name.removesuffix(".gz")
    target = folder / f"{digest([file])[:16]}-{name}"
    if target.exists():
        return target
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{name}-", dir=folder)
    except OSError as error:
        raise _cannot_write(file, folder, error) from error
    try:
        with os.fdopen(handle, "wb") as plain, gzip.open(file) as packed:
            shutil.copyfileobj(packed, plain, 2**20)
        os.replace(temporary, target)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{file}: truncated or damaged gzip file: {error}") from error
    except OSError as error:
        raise _cannot_write(file, folder, error) from error
    finally:
        Path(temporary).unlink(missing_ok=True)
    return target


def _cannot_write(file: Path, folder: Path, error: OSError) -> InputError:
    return InputError(
        f"{file}: cannot be unpacked into {folder}: {error.strerror or error}; choose another with ${CACHE_VARIABLE}"
    )
