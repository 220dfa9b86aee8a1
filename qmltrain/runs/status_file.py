"""``status.json``: what changes while a run lives. Replaced whole each time, so it is never half old and half new.

Attributes in an HDF5 file in use are not changed: that is metadata, which a kill can tear. They are collected here and
become attributes of the run file when it is sealed; so its last entry is the SHA-256 of the others.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from qmltrain.errors import StorageError
from qmltrain.runs.atomic import new_file, storage_errors, write_at

STATUS_NAME = "status.json"

_CHECKSUM = "sha256"


def read_status_file(directory: Path, name: str = STATUS_NAME) -> dict[str, Any]:
    """Its contents; empty where a run was killed before its first. Raises StorageError where it is damaged."""
    path = directory / name
    try:
        contents = json.loads(path.read_text())
        if not isinstance(contents, dict):
            raise ValueError("not a JSON object")
        checksum = contents.pop(_CHECKSUM, None)
        if checksum is not None and checksum != _digest(contents):
            raise ValueError("its SHA-256 is not the one in it")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise StorageError(
            f"{path}: cannot be read ({error}); remove it to go on without the attributes in it"
        ) from error
    return contents


def encode_status(contents: Mapping[str, Any]) -> bytes:
    """Its text; raises TypeError for what JSON cannot hold."""
    plain = json.loads(json.dumps(contents, default=_plain))
    return json.dumps({**plain, _CHECKSUM: _digest(plain)}, indent=1).encode() + b"\n"


def write_status_file(directory: Path, contents: Mapping[str, Any], name: str = STATUS_NAME) -> None:
    """Replaces it; raises StorageError where the disk does not take it, TypeError as `encode_status`."""
    path = directory / name
    data = encode_status(contents)
    with storage_errors("write", path), new_file(path) as descriptor:
        write_at(descriptor, data, 0)


def _digest(contents: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(contents, sort_keys=True).encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"attribute of type {type(value).__name__}: status.json holds texts, numbers, lists and mappings")
