"""What differs between two folders of results: HDF5 object by object, everything else by its bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

# Attributes, and entries of JSON texts, whose values may differ: they must be on both sides, with the same type.
MAY_DIFFER = {
    "run_id": "drawn for each run",
    "started_utc": "the clock",
    "ended_utc": "the clock",
    "updated_utc": "the clock",
    "session_seconds": "the clock",
    "matrix_seconds": "the clock",
    "epoch_seconds": "the clock",
    "wall_seconds": "the clock",
    "sha256": "of a status.json with the clock's times",
    "git_commit": "the two commits",
    "git_dirty": "the two checkouts",
    "qmltrain_version": "the two versions",
}
# Only in a list `sessions`; the attribute command_line of a run is compared.
MAY_DIFFER_IN_SESSIONS = {"command_line": "the words of the process, with the path of its interpreter"}
CLOCK_DATASETS = {"/epochs/wall_seconds": "the clock", "/valid_rows": "checksums, also of the clock's times"}
FILES = {"run.lock": "the process that holds it", "multirun.yaml": "Hydra's own, with paths"}  # on both sides
TIMES = re.compile(rb"\d+(\.\d+)?(e-?\d+)? ?(s|ms|min|h)\b")  # in printed text
WALL_SECONDS = re.compile(rb'"wall_seconds": [^,]*, ')
TEXT_SUFFIX = ".txt"  # what commands print


def compare_folders(old: Path, new: Path) -> tuple[list[str], list[str]]:
    """(differences of results, differences of printed text), each one line that begins with the file's name."""
    names = [{str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir()} for folder in (old, new)]
    results = [f"{name}: only in OLD" for name in sorted(names[0] - names[1])]
    results += [f"{name}: only in NEW" for name in sorted(names[1] - names[0])]
    texts = []
    for name in sorted(names[0] & names[1], key=lambda name: (not name.endswith(".h5"), name)):  # they say more
        found = next(compare_files(old / name, new / name, (old, new)), None)
        if found is not None:
            (texts if name.endswith(TEXT_SUFFIX) else results).append(f"{name}: {found}")
    return results, texts


def compare_files(old: Path, new: Path, folders: tuple[Path, Path] | None = None) -> Iterator[str]:
    """Differences between two files, the first ones first; where a text names its side's folder is no difference."""
    if h5py.is_hdf5(old) and h5py.is_hdf5(new):
        with h5py.File(old, "r", locking=False) as a, h5py.File(new, "r", locking=False) as b:
            yield from compare_objects(a, b)
        return
    if old.name in FILES:
        return
    was, now = old.read_bytes(), new.read_bytes()
    if folders is not None:
        was, now = (text.replace(bytes(folder), b"FOLDER") for text, folder in zip((was, now), folders, strict=True))
    if old.suffix == ".json":
        if _plain(json.loads(was)) != _plain(json.loads(now)):
            yield "the entries differ: " + _first_entry(_plain(json.loads(was)), _plain(json.loads(now)))
    elif old.suffix == ".jsonl":
        yield from _compare_lines(*(WALL_SECONDS.sub(b"", text) for text in (was, now)))
    elif old.suffix == ".snapshot" or old.name.endswith(".snapshot.tmp"):  # what a kill left is whole, too
        (header, arrays), (other, others) = (text.partition(b"\n")[2].partition(b"\n")[::2] for text in (was, now))
        if _plain(_without_checksums(header)) != _plain(_without_checksums(other)):
            yield "the entries differ: " + _first_entry(_plain(json.loads(header)), _plain(json.loads(other)))
        elif arrays != others:
            yield f"arrays of {len(arrays)} and {len(others)} bytes"
    elif old.suffix == TEXT_SUFFIX:
        yield from _compare_lines(TIMES.sub(b"TIME", was), TIMES.sub(b"TIME", now))
    elif was != now:
        place = next((i for i, (x, y) in enumerate(zip(was, now, strict=False)) if x != y), min(len(was), len(now)))
        yield f"byte {place} of {len(was)} and {len(now)}"


def compare_objects(a: h5py.Group | h5py.Dataset, b: h5py.Group | h5py.Dataset) -> Iterator[str]:
    """Differences between two HDF5 objects and all that is in them."""
    if type(a) is not type(b):
        yield f"{a.name}: {type(a).__name__} and {type(b).__name__}"
        return
    if isinstance(a, h5py.Dataset):
        yield from _compare_datasets(a, b)
    if isinstance(a, h5py.Group):
        for name in sorted({*a, *b}):
            if name not in a or name not in b:
                yield f"{a.name.rstrip('/')}/{name}: only in {'OLD' if name in a else 'NEW'}"
            else:
                yield from compare_objects(a[name], b[name])
    yield from _compare_attributes(a, b)


def _compare_datasets(a: h5py.Dataset, b: h5py.Dataset) -> Iterator[str]:
    if a.id.get_type() != b.id.get_type():
        yield f"{a.name}: type {a.dtype} and {b.dtype}"
    elif a.shape != b.shape or a.maxshape != b.maxshape:
        yield f"{a.name}: shape {a.shape} and {b.shape}"
    elif a.id.get_create_plist() != b.id.get_create_plist():
        yield f"{a.name}: laid out otherwise (chunks, filters or fill value)"
    elif a.name not in CLOCK_DATASETS and _bytes(a[()], a) != _bytes(b[()], b):
        yield f"{a.name}: {_first_element(np.asarray(a[()]), np.asarray(b[()]))}"


def _compare_attributes(a: Any, b: Any) -> Iterator[str]:
    for name in sorted({*a.attrs, *b.attrs}):
        where = f"{a.name}: attribute {name}"
        if name not in a.attrs or name not in b.attrs:
            yield f"{where}: only in {'OLD' if name in a.attrs else 'NEW'}"
            continue
        ids = a.attrs.get_id(name), b.attrs.get_id(name)
        may_differ = name in MAY_DIFFER
        if ids[0].get_type() != ids[1].get_type() and not (may_differ and ids[0].dtype.kind == ids[1].dtype.kind):
            yield f"{where}: type {ids[0].dtype} and {ids[1].dtype}"
        elif ids[0].shape != ids[1].shape:
            yield f"{where}: shape {ids[0].shape} and {ids[1].shape}"
        elif not may_differ:
            values = [_bytes(o.attrs[name], o, name == "sessions") for o in (a, b)]
            if values[0] != values[1]:
                yield f"{where}: {_shortly(values[0])} and {_shortly(values[1])}"


def _bytes(value: Any, owner: Any, in_sessions: bool = False) -> Any:
    """`value` as something that is equal exactly where all its bytes are: bytes, or a list of such."""
    if isinstance(value, h5py.Reference):
        return f"-> {owner.file[value].name}" if value else "-> nothing"
    if isinstance(value, str):
        try:
            found = json.loads(value) if value.startswith(("{", "[")) else None
        except ValueError:
            found = None
        return value.encode() if found is None else _plain(found, in_sessions)
    if isinstance(value, np.void) and value.dtype.names:
        return [_bytes(value[name], owner) for name in value.dtype.names]
    if isinstance(value, np.ndarray) and (value.dtype.hasobject or value.dtype.names):
        return [_bytes(element, owner) for element in value.reshape(-1)]
    return value if isinstance(value, (bytes, h5py.Empty)) else np.asarray(value).tobytes()


def _plain(found: Any, in_sessions: bool = False) -> Any:
    """JSON without the values that may differ; NaN is equal to itself as text."""
    if isinstance(found, dict):
        skipped = {*MAY_DIFFER, *(MAY_DIFFER_IN_SESSIONS if in_sessions else ())}
        return [
            (key, type(value).__name__ if key in skipped else _plain(value, in_sessions or key == "sessions"))
            for key, value in found.items()
        ]
    if isinstance(found, list):
        return [_plain(value, in_sessions) for value in found]
    return repr(found)


def _without_checksums(header: bytes) -> dict[str, Any]:
    """The first line of a snapshot, with the numbers of its rows alone: their checksums know the clock's times."""
    found = json.loads(header)
    rows = found["state"].get("rows", {})
    found["state"]["rows"] = {name: number for name, (number, _) in rows.items()}
    return dict(found)


def _first_entry(was: Any, now: Any) -> str:
    if isinstance(was, list) and isinstance(now, list):
        for x, y in zip(was, now, strict=False):
            if x != y:
                return _first_entry(x, y)
    return f"{_shortly(was)} and {_shortly(now)}"


def _first_element(was: np.ndarray, now: np.ndarray) -> str:
    """Where two arrays of one type and shape differ first."""
    for index in np.ndindex(was.shape):
        if np.asarray(was[index]).tobytes() != np.asarray(now[index]).tobytes() or was.dtype.hasobject:
            if was.dtype.hasobject and was[index] == now[index]:
                continue
            return f"[{', '.join(map(str, index))}] is {was[index]!r} and {now[index]!r}"
    return "the bytes differ"


def _compare_lines(was: bytes, now: bytes) -> Iterator[str]:
    lines = [text.decode(errors="replace").splitlines() for text in (was, now)]
    for number, (x, y) in enumerate(zip(*lines, strict=False), 1):
        if x != y:
            yield f"line {number}: {_shortly(x)} and {_shortly(y)}"
    if len(lines[0]) != len(lines[1]):
        yield f"{len(lines[0])} and {len(lines[1])} lines"


def _shortly(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
