"""A trained run as the place where something else begins: its model, data and preprocessing, and its parameters."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qmltrain.config.identity import config_hash
from qmltrain.config.schema import Config
from qmltrain.config.storage import to_dict
from qmltrain.engines.protocol import FloatArray
from qmltrain.errors import InputError
from qmltrain.models.problem import Problem, build_problem
from qmltrain.models.source import check_same_source
from qmltrain.models.stored import best_snapshot, stored_config, with_data_found
from qmltrain.models.stored_files import with_stored_files
from qmltrain.runs.views import open_run


@dataclass(frozen=True)
class RunStart:
    """`config`: the run's, with some groups of a command. `best_P`: its best parameters; `first_P`: those it started
    from (None: not stored). `name`: a digest of the run's own config and best parameters."""

    config: Config
    problem: Problem
    best_P: FloatArray
    first_P: FloatArray | None
    name: str


def start_of_run(config: Config, path: str, key: str, groups: Sequence[str]) -> RunStart:
    """The run at `path`, which the option `key` names, with the `groups` of `config`, but the seeds of the run.

    Raises InputError, StorageError.
    """
    try:
        stored, directory = stored_config(Path(path))
    except InputError as error:
        raise InputError(f"{key}: {error}") from error
    snapshot = best_snapshot(directory)
    own = {group: getattr(config, group) for group in groups}
    seeds = {name: getattr(stored.run, name) for name in ("seed", "seed_split", "seed_initial", "seed_order")}
    merged = dataclasses.replace(stored, **own)
    merged = dataclasses.replace(merged, run=dataclasses.replace(merged.run, **seeds))
    with with_stored_files(merged, directory, snapshot.arrays) as found:
        problem = build_problem(with_data_found(found, directory), snapshot.arrays)
    check_same_source(problem.source, snapshot.state["dataset_checksum"], directory)
    best_P = snapshot.arrays.get("best_theta", snapshot.arrays["theta"])
    rows = open_run(directory).table("parameters")
    first_P = rows["values"][0] if len(rows["step"]) and rows["step"][0] == 0 else None
    text = config_hash(to_dict(stored)).encode() + np.ascontiguousarray(best_P).tobytes()
    return RunStart(merged, problem, best_P, first_P, hashlib.sha256(text).hexdigest())


def check_overrides(overrides: Sequence[str], key: str, groups: Sequence[str]) -> None:
    """Raise InputError where one of a command's `overrides` is about what the run that the option `key` names has of
    its own: a group that is not one of `groups`, or a seed."""
    for word in overrides:
        name = word.partition("=")[0].lstrip("+~").partition("@")[0]
        if name.partition(".")[0] not in (*groups, "hydra") or name.startswith("run.seed"):
            raise InputError(f"{name}: the run's own is taken with {key}; leave it out")
