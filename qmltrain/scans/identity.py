"""What a scan and its points are called: which settings count, and which of them all points share.

A point is named by the settings that change its draws or what is computed of them, so that it is found again whatever
the rest of the grid. A scan's directory is named by the settings that no point can have otherwise and by the names of
the swept keys, not by their values nor by the number of draws: a larger grid and more draws find it again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qmltrain.config.grid import Grid
from qmltrain.config.identity import OF_THE_DRAW, SEEDS_OF_THE_START, counted
from qmltrain.config.reference import is_group
from qmltrain.config.schema import Config
from qmltrain.config.storage import to_dict
from qmltrain.errors import InputError
from qmltrain.wording import listed

_UNREAD_GROUPS = ("optimizer", "schedule", "study")
# how many draws, where they are computed and how they are shown
_OF_ANY_SCAN = ("draws", "shard", "bins")
DATA, USER_CODE = "dataset_checksum", "user_code"  # settings that are no options
_DRAWN_FROM = ("circuit", "encoding", "ansatz", "train")  # groups that a draw follows from


def is_read(key: str) -> bool:
    """Whether a scan reads the option `key`."""
    group = key.partition(".")[0]
    if group in ("train", "run"):
        return key in OF_THE_DRAW + SEEDS_OF_THE_START
    return group not in _UNREAD_GROUPS


def settings(config: Config, start_of_run: str | None = None) -> dict[str, Any]:
    """The options of a point that count, by dotted key, sorted; `start_of_run` stands for the run `scan.run`."""
    found = {key: value for key, value in counted(to_dict(config)).items() if is_read(key)}
    scan = to_dict(config)["scan"]
    found |= {f"scan.{k}": value for k, value in scan.items() if value is not None and k not in _OF_ANY_SCAN}
    if start_of_run is not None:
        found["scan.run"] = start_of_run
    return dict(sorted(found.items()))


def digest(value: Any) -> str:
    """SHA-256, in hexadecimal digits, of plain values."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def drawn_from(config: Config) -> dict[str, Any]:
    """The settings that a draw follows from, beside the seed: of the circuit and of the start."""
    return {key: value for key, value in settings(config).items() if key.partition(".")[0] in _DRAWN_FROM}


def common_settings(grid: Grid, first: Mapping[str, Any]) -> dict[str, Any]:
    """Of the settings of the `first` point those that all points share, whatever their number: not those of swept keys,
    of swept groups, or made of others."""
    groups = {key for key in grid.swept if is_group(key)}
    varied = {*grid.swept, *grid.derived}
    groups_touched = {key.partition(".")[0] for key in varied}
    if "dataset" in groups_touched:
        varied.add(DATA)
    if groups_touched & {"encoding", "ansatz", "observable", "dataset"}:
        varied.add(USER_CODE)
    if "scan.run" in varied:  # all of the model is that of a run
        return {key: value for key, value in first.items() if key.startswith(("engine.", "gradient.", "scan."))} | {
            "scan.run": None
        }
    return {key: value for key, value in first.items() if key not in varied and key.partition(".")[0] not in groups}


def scan_hash(common: Mapping[str, Any], swept: tuple[str, ...]) -> str:
    """Eight hexadecimal digits, the end of a scan directory's name."""
    return digest({"scan": common, "swept": sorted(swept)})[:8]


def check_swept(grid: Grid) -> None:
    """Raise InputError for a swept key that a scan does not read, or that is one for all points."""
    for key in grid.swept:
        if key in {f"scan.{name}" for name in _OF_ANY_SCAN}:
            raise InputError(f"{key}: one value for all points of a scan; it cannot be swept")
        if not is_group(key) and not is_read(key):
            raise InputError(f"{key}: a scan does not read it, so its points would be the same; leave it out")
        if is_group(key) and key in (*_UNREAD_GROUPS, "run", "scan"):
            raise InputError(f"{key}: no group whose entries make different points of a scan; leave it out")


def check_same_scan(
    attributes: Mapping[str, Any], common: Mapping[str, Any], swept: tuple[str, ...], where: Path
) -> None:
    """Raise InputError where the scan file with `attributes` is one of other settings."""
    before = json.loads(attributes["common"])
    changes = [
        f"{key} was {_word(before.get(key))}, now {_word(common.get(key))}"
        for key in sorted(before.keys() | common.keys())
        if before.get(key) != common.get(key)
    ]
    if sorted(attributes["swept"]) != sorted(swept):
        was, now = ([*attributes["swept"]], [*swept])
        changes.append(f"swept were {listed(was) or 'no keys'}, now {listed(now) or 'none'}")
    if changes:
        raise InputError(
            f"{where}: holds a scan of another config ({', '.join(changes)}); use its values, or another run.dir"
        )


def _word(value: Any) -> str:
    return "null" if value is None else json.dumps(value)
