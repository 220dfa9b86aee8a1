"""What a run stored, back as objects: its config and its best snapshot."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from qmltrain.config.identity import config_hash
from qmltrain.config.schema import Config
from qmltrain.config.storage import from_yaml, to_dict
from qmltrain.data.files import locate
from qmltrain.errors import InputError, StorageError
from qmltrain.runs.file_layout import FILE_NAME
from qmltrain.runs.snapshots import SNAPSHOTS, Snapshot, SnapshotFolder
from qmltrain.runs.views import open_run

# of the arrays in a snapshot that belong to the preprocessing, see `Problem.preprocessing_state`
PREPROCESS_PREFIX = "preprocess/"
_DATA_FILES = ("path", "test_path", "labels_path", "test_labels_path")  # options of the group `dataset`
_FOLDERS_ABOVE = 3  # a run lies in runs/NAME below where it was started, or in a sweep's folder there


def stored_config(path: Path) -> tuple[Config, Path]:
    """The config of the run at `path` (its directory or its run file), and its directory."""
    directory = path if path.is_dir() else path.parent
    if not (directory / FILE_NAME).exists():
        raise InputError(f"{path}: there is no run here; give a run's directory, or the {FILE_NAME} in it")
    text = open_run(path).attributes.get("config_yaml")
    if not isinstance(text, str):
        raise InputError(f"{path}: no config is stored in it (attribute config_yaml)")
    return from_yaml(text, str(directory / FILE_NAME)), directory


def data_files(config: Config) -> dict[str, str]:
    """Where the files of a config's data set lie, absolute, by option; stored with the run."""
    dataset = config.dataset
    given = {name: getattr(dataset, name) for name in _DATA_FILES}
    return {name: str(locate(path, dataset.root)) for name, path in given.items() if path is not None}


def with_data_found(config: Config, directory: Path) -> Config:
    """`config` of the run in `directory` with the files of its data set where they are now, if not where it says.

    Looked for in the place where the run had them, then beside the run and in the folders above it, so that a run can
    be read from any working directory, and moved with its data. Whether they are the same is the caller's to check.
    """
    attributes, dataset = open_run(directory).attributes, config.dataset
    stored = json.loads(attributes.get("data_files") or "{}")
    folder = directory.resolve()
    found: dict[str, Any] = {}
    for name in _DATA_FILES:
        path = getattr(dataset, name)
        if path is None or locate(path, dataset.root).exists():
            continue
        beside = [above / path for above in (folder, *folder.parents[:_FOLDERS_ABOVE])]
        there = [place for place in (*([Path(stored[name])] if name in stored else []), *beside) if place.exists()]
        if there:
            found[name] = str(there[0])
    return dataclasses.replace(config, dataset=dataclasses.replace(dataset, **found)) if found else config


def check_same_config(config: Config, snapshot: Snapshot, path: Path) -> None:
    """Raise StorageError where the config in the run file `path` is not the one that the snapshot was made with."""
    before, now = snapshot.state.get("config_hash"), config_hash(to_dict(config))
    if before is not None and before != now:  # snapshots of schema 1 have none
        raise StorageError(
            f"{path}: its config is not the one that its snapshots were made with (hash {now}, was {before}): it is "
            "damaged, or a snapshot is that of another run; restore both from one copy"
        )


def best_snapshot(directory: Path) -> Snapshot:
    """The snapshot with the best parameters so far; InputError where none was saved yet, StorageError where it is that
    of another run."""
    folder = SnapshotFolder.reader(directory / SNAPSHOTS)
    snapshot = folder.load_best() or folder.load_latest()
    if snapshot is None:
        raise InputError(
            f"{directory}: no snapshot was saved yet; let the run go on: one comes every 30 seconds, or every "
            "run.save_every steps"
        )
    check_same_config(stored_config(directory)[0], snapshot, directory / FILE_NAME)
    return snapshot
