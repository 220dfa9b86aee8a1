"""What a run stored, back as objects: its config and its best snapshot."""

from __future__ import annotations

from pathlib import Path

from qmltrain.config.schema import Config
from qmltrain.config.storage import from_yaml
from qmltrain.errors import InputError
from qmltrain.runs.file_layout import FILE_NAME
from qmltrain.runs.snapshots import SNAPSHOTS, Snapshot, SnapshotFolder
from qmltrain.runs.views import open_run

# of the arrays in a snapshot that belong to the preprocessing, see `Problem.preprocessing_state`
PREPROCESS_PREFIX = "preprocess/"


def stored_config(path: Path) -> tuple[Config, Path]:
    """The config of the run at `path` (its directory or its run file), and its directory."""
    directory = path if path.is_dir() else path.parent
    if not (directory / FILE_NAME).exists():
        raise InputError(f"{path}: there is no run here; give a run's directory, or the {FILE_NAME} in it")
    text = open_run(path).attributes.get("config_yaml")
    if not isinstance(text, str):
        raise InputError(f"{path}: no config is stored in it (attribute config_yaml)")
    return from_yaml(text, str(directory / FILE_NAME)), directory


def best_snapshot(directory: Path) -> Snapshot:
    """The snapshot with the best parameters so far; InputError where none was saved yet."""
    folder = SnapshotFolder.reader(directory / SNAPSHOTS)
    snapshot = folder.load_best() or folder.load_latest()
    if snapshot is None:
        raise InputError(f"{directory}: no snapshot was saved yet; let the run go on for run.save_every steps")
    return snapshot
