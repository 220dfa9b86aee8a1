"""Snapshots: the saved state of a training, from which a run goes on as if it had never stopped.

Not to be confused with gradient checkpointing (``gradient.checkpoint_interval``), which keeps states of a circuit in
memory during one gradient; a snapshot (``run.save_every``) keeps the training itself on the disk.

A snapshot file is one line with the format's name, its version and the SHA-256 of everything after that line; one line
of JSON (step, epoch, state, and name, type and shape of each array); then the bytes of the arrays, one after the other.
So any flipped bit and any missing byte is noticed, every number comes back exactly, and nothing in it is executed.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmltrain.errors import InputError, StorageError
from qmltrain.runs.atomic import new_file, remove_stale_temporaries, storage_errors, write_at

SNAPSHOT_VERSION = 1
SUFFIX = ".snapshot"
BEST_NAME = "best" + SUFFIX
SNAPSHOTS = "snapshots"  # their folder in a run's directory
NOT_CHECKPOINTS = "snapshots are saved training state; for gradient checkpointing see gradient.checkpoint_interval"

_MAGIC = b"qmltrain-snapshot"
_KINDS = "biufc"  # bool, integers, floats, complex: types whose bytes are their value


@dataclass(frozen=True)
class Snapshot:
    """The state of a training after ``step`` parameter updates and ``epoch`` finished epochs.

    arrays: by name, any shape; types bool, integer, float or complex, stored bit by bit.
    state: what JSON holds exactly: None, bool, int of any size, float, str, lists, and dicts with texts as keys.
    """

    step: int
    epoch: int
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    state: Mapping[str, Any] = field(default_factory=dict)


class SnapshotFolder:
    """The last ``keep`` snapshots of a run and its best one, in ``directory`` (made where missing).

    The caller holds the run directory's lock. A snapshot appears whole or not at all, and older ones are removed only
    after it is on the disk. History is one line: saving step ``s`` also removes snapshots of later steps, which only a
    run that has gone back (because they were damaged) can meet.
    """

    def __init__(self, directory: str | os.PathLike[str], keep: int = 3) -> None:
        if keep < 1:
            raise InputError(f"run.keep: found {keep}, must be at least 1 ({NOT_CHECKPOINTS})")
        self.directory = Path(directory)
        self.keep = keep
        with storage_errors("create", self.directory):
            self.directory.mkdir(parents=True, exist_ok=True)
            remove_stale_temporaries(self.directory)

    @classmethod
    def reader(cls, directory: str | os.PathLike[str]) -> SnapshotFolder:
        """For `load_latest` and `load_best` alone: needs no lock and changes nothing, so that the folder may be in use
        (its writer's temporary files stay), read-only, or missing."""
        folder = cls.__new__(cls)
        folder.directory, folder.keep = Path(directory), 1
        return folder

    def save(self, snapshot: Snapshot) -> Path:
        """Saves ``snapshot`` and removes what is no longer kept. Returns its path.

        Raises StorageError where the disk does not take it (the earlier ones are then all there), TypeError where the
        state or an array is not of the kinds that come back exactly.
        """
        path = self._save(f"step-{snapshot.step:012d}{SUFFIX}", snapshot)
        earlier = [other for other in self._paths() if other <= path]
        with storage_errors("remove old snapshots in", self.directory):
            for other in self._paths():
                if other not in earlier[-self.keep :]:
                    other.unlink(missing_ok=True)
        return path

    def save_best(self, snapshot: Snapshot) -> Path:
        """Saves ``snapshot`` as the best so far, in the place of the one before; raises as `save`."""
        return self._save(BEST_NAME, snapshot)

    def load_latest(self) -> Snapshot | None:
        """The newest snapshot that is whole, or None where none was ever saved.

        Damaged ones, and ones of another version, are skipped with a warning that names them. Raises StorageError
        where there are snapshots but none can be used: the caller must then stop, so that nothing is overwritten.
        """
        problems = []
        for path in reversed(self._paths()):
            try:
                snapshot = read_snapshot(path)
            except StorageError as error:
                problems.append(str(error))
                continue
            for problem in problems:
                warnings.warn(f"{problem}; using {path.name} instead", stacklevel=2)
            return snapshot
        if problems:
            raise StorageError(
                f"{self.directory}: none of {len(problems)} snapshots can be used; nothing was changed: restore one"
                f" from a copy, or choose another run.dir ({problems[0]}; {NOT_CHECKPOINTS})"
            )
        return None

    def load_best(self) -> Snapshot | None:
        """The best snapshot, or None where none was saved; raises StorageError where it is damaged."""
        path = self.directory / BEST_NAME
        return read_snapshot(path) if path.exists() else None

    def _save(self, name: str, snapshot: Snapshot) -> Path:
        data = encode(snapshot)
        path = self.directory / name
        with storage_errors("write", path), new_file(path) as descriptor:
            write_at(descriptor, data, 0)
        return path

    def _paths(self) -> list[Path]:
        """All but the best, oldest first: the step in the name has a fixed width."""
        if not self.directory.is_dir():
            return []
        with storage_errors("read", self.directory):
            return sorted(path for path in self.directory.iterdir() if path.match(f"step-*{SUFFIX}"))


def encode(snapshot: Snapshot) -> bytes:
    """The bytes of a snapshot file; raises TypeError for what would not come back as it was."""
    _check_state(dict(snapshot.state), "state")
    entries, parts = [], []
    for name, array in snapshot.arrays.items():
        array = np.asarray(array)
        if array.dtype.kind not in _KINDS:
            raise TypeError(f"snapshot array {name!r}: type {array.dtype} has no exact bytes")
        entries.append({"name": name, "dtype": array.dtype.str, "shape": list(array.shape)})
        parts.append(array.tobytes())
    header = {
        "step": int(snapshot.step),
        "epoch": int(snapshot.epoch),
        "state": dict(snapshot.state),
        "arrays": entries,
    }
    content = b"".join([json.dumps(header).encode(), b"\n", *parts])
    first = b"%s %d %s\n" % (_MAGIC, SNAPSHOT_VERSION, hashlib.sha256(content).hexdigest().encode())
    return first + content


def read_snapshot(path: str | os.PathLike[str]) -> Snapshot:
    """Reads and checks one snapshot file; raises StorageError where it is damaged or of another version."""
    path = Path(path)
    with storage_errors("read", path):
        data = path.read_bytes()
    first, _, content = data.partition(b"\n")
    words = first.split(b" ")
    if len(words) != 3 or words[0] != _MAGIC:
        raise StorageError(f"{path}: not a snapshot, or damaged in its first line")
    if words[1] != b"%d" % SNAPSHOT_VERSION:
        version = words[1].decode("ascii", "replace")
        raise StorageError(f"{path}: snapshot version {version!r}; this program reads {SNAPSHOT_VERSION}")
    if words[2] != hashlib.sha256(content).hexdigest().encode():
        raise StorageError(f"{path}: damaged (its SHA-256 is not the one written with it)")
    line, _, body = content.partition(b"\n")
    header = json.loads(line)
    arrays, offset = {}, 0
    for entry in header["arrays"]:
        dtype, shape = np.dtype(entry["dtype"]), tuple(entry["shape"])
        array = np.empty(shape, dtype)
        if array.nbytes:
            array.reshape(-1)[:] = np.frombuffer(body, dtype, array.size, offset)
        arrays[entry["name"]] = array
        offset += array.nbytes
    return Snapshot(header["step"], header["epoch"], arrays, header["state"])


def _check_state(value: Any, where: str) -> None:
    """JSON turns tuples into lists and keys into texts without a word: refuse what would come back changed."""
    if value is None or type(value) in (bool, int, float, str):
        return
    if isinstance(value, list):
        for index, item in enumerate(value):
            _check_state(item, f"{where}[{index}]")
    elif isinstance(value, dict):
        for key, item in value.items():
            if type(key) is not str:
                raise TypeError(f"snapshot {where}: key {key!r} is not a text")
            _check_state(item, f"{where}.{key}")
    else:
        raise TypeError(
            f"snapshot {where}: {type(value).__name__} would come back changed; use plain values, or arrays"
        )
