"""`qmltrain collect FOLDER`: final metrics of many runs as one table, each alone or with their spread over seeds; of a
scan the statistics of its points (`qmltrain.scans.collecting`)."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from qmltrain.config.identity import complete, config_hash, keys_without_effect
from qmltrain.config.reference import known_keys, nearest_key
from qmltrain.config.schema import CommandContext
from qmltrain.errors import InputError, QmltrainError
from qmltrain.runs.file_layout import FILE_NAME
from qmltrain.runs.output_file import check_new_file, write_text
from qmltrain.runs.scan_files import holds_scan, part_that_reads_scans, refuse_kernel
from qmltrain.runs.store import COMPLETED
from qmltrain.runs.tables import csv_text
from qmltrain.runs.views import open_run
from qmltrain.sessions.results import summary_of
from qmltrain.sessions.sweep_points import POINTS, read_points
from qmltrain.wording import listed

CONFIDENCE = 0.95
FOLD, FOLDS = "dataset.fold", "dataset.folds"


@dataclass(frozen=True)
class Finished:
    """A completed run: its directory, its flat config, the name of what decides its result, its final metrics."""

    directory: Path
    config: dict[str, Any]
    hash: str
    metrics: dict[str, float]


def run(
    folder: Path,
    context: CommandContext,
    *,
    over: Sequence[str] = (),
    each: str | None = None,
    output: Path | None = None,
) -> int:
    """Write the table to the new file `output`, else print it.

    Runs that are not complete are listed on stderr and left out. Raises InputError for a key that is none, an `output`
    that exists, and where there is no completed run.
    """
    if holds_scan(folder):
        of_scan = part_that_reads_scans("qmltrain.scans.collecting")
        code: int = of_scan.collect(folder, over=over, each=each or "point", output=output)
        return code
    refuse_kernel(folder, "collect")
    if each is not None:
        raise InputError(f"--each: only of a scan, and {folder} holds none; leave it out")
    for key in over:
        if key not in known_keys():
            near = nearest_key(key)
            raise InputError(f"--over: {key!r} is no config key" + (f"; did you mean {near}?" if near else ""))
    if output is not None:
        check_new_file(output, "--output")
    runs, unfinished = read_runs(find_runs(folder))
    for line in unfinished:
        print(f"qmltrain: left out: {line}", file=sys.stderr)
    if not runs:
        raise InputError(f"{folder}: there is no completed run in it")
    for line in missing_folds(runs) if FOLD in over else ():
        print(f"qmltrain: {line}", file=sys.stderr)
    text = csv_text(*table(runs, over))
    if output is None:
        sys.stdout.write(text)
        return 0
    write_text(output, text)
    print(f"table      {output}: {len(runs)} runs", file=sys.stderr)
    return 0


def find_runs(folder: Path) -> list[Path]:
    """Directories of the runs in `folder`: those its `points.jsonl` names where a sweep left one, else all below it."""
    if not folder.is_dir():
        raise InputError(f"{folder}: is not a folder")
    points = folder / POINTS
    if not points.is_file():
        found = sorted(path.parent for path in folder.rglob(FILE_NAME))
        if not found:
            raise InputError(f"{folder}: there is no run in it (no {FILE_NAME})")
        return found
    try:
        named = [Path(point["run"]) for point in read_points(points) if point.get("run")]
    except ValueError as error:
        raise InputError(f"{points}: is damaged: {error}") from error
    if not named:
        raise InputError(f"{points}: names no run; the sweep trained nothing")
    return list(dict.fromkeys(named))


def read_runs(directories: Iterable[Path]) -> tuple[list[Finished], list[str]]:
    """The completed runs, each result once, and one line for each run that is left out."""
    found: list[Finished] = []
    left_out = []
    by_hash: dict[str, Path] = {}
    for directory in directories:
        try:
            view = open_run(directory)
            status = view.status
            if status != COMPLETED:
                left_out.append(f"{directory}: {status}")
                continue
            config = view.config
            one = Finished(directory, complete(config), config_hash(config), summary_of(view.attributes))
        except QmltrainError as error:
            left_out.append(str(error) if str(directory) in str(error) else f"{directory}: {error}")
            continue
        if one.hash in by_hash:
            left_out.append(f"{directory}: the same config as {by_hash[one.hash]}, which is counted already")
            continue
        by_hash[one.hash] = directory
        found.append(one)
    return found, left_out


def table(runs: Sequence[Finished], over: Sequence[str]) -> tuple[list[str], list[list[Any]]]:
    """Header and rows: the config keys in which the runs differ, then the metrics.

    Without `over` one row per run, with its directory. With `over`, one row a group of runs that differ in these keys
    alone: n, and of every metric the mean, the standard deviation (n - 1) and both ends of the 95 % interval of the
    mean (Student's t); empty where n is 1, or where a run of the group has no such metric.
    """
    keys = [key for key in varied_keys(runs) if key not in over]
    metrics = list(dict.fromkeys(name for one in runs for name in one.metrics))
    if not over:
        return (
            [*keys, *metrics, "run"],
            [[*_cells(one, keys), *(one.metrics.get(name) for name in metrics), str(one.directory)] for one in runs],
        )
    groups: dict[tuple[Any, ...], list[Finished]] = {}
    for one in runs:
        groups.setdefault(tuple(_cells(one, keys)), []).append(one)
    header = [*keys, "n"]
    for name in metrics:
        header += [f"{name} mean", f"{name} std", f"{name} low", f"{name} high"]
    rows = []
    for values, group in groups.items():
        row: list[Any] = [*values, len(group)]
        for name in metrics:
            row += spread([one.metrics.get(name) for one in group])
        rows.append(row)
    return header, rows


def missing_folds(runs: Sequence[Finished]) -> list[str]:
    """A line for each cross-validation of which there are not all folds: a mean over the others says less."""
    keys = [key for key in varied_keys(runs) if key != FOLD]
    found: dict[tuple[Any, ...], tuple[int, set[int]]] = {}
    for one in runs:
        if one.config.get(FOLDS) is not None:
            place = tuple(_cells(one, keys))
            found.setdefault(place, (one.config[FOLDS], set()))[1].add(one.config[FOLD])
    lines = []
    for values, (folds, there) in found.items():
        missing = [str(fold) for fold in range(folds) if fold not in there]
        if missing:
            pairs = zip(keys, values, strict=True)
            where = "".join(f", {key}={'null' if value is None else value}" for key, value in pairs)
            lines.append(f"no completed run of {FOLDS}={folds}{where}: fold {listed(missing)}")
    return lines


def spread(values: Sequence[float | None]) -> list[float | None]:
    """Mean, standard deviation, low and high end of the 95 % interval of the mean."""
    numbers = [value for value in values if value is not None]
    if len(numbers) < len(values):
        return [None] * 4
    mean = float(np.mean(numbers))
    n = len(numbers)
    if n == 1:
        return [mean, None, None, None]
    from scipy.special import stdtrit

    deviation = float(np.std(numbers, ddof=1))
    half = float(stdtrit(n - 1, (1 + CONFIDENCE) / 2)) * deviation / math.sqrt(n)
    return [mean, deviation, mean - half, mean + half]


def varied_keys(runs: Sequence[Finished]) -> list[str]:
    """The keys that change results and do not have the same value in all runs."""
    without_effect = keys_without_effect()
    keys = dict.fromkeys(key for one in runs for key in one.config if key not in without_effect)
    return [key for key in keys if len({_cell(one.config.get(key)) for one in runs}) > 1]


def _cells(one: Finished, keys: Sequence[str]) -> list[Any]:
    return [_cell(one.config.get(key)) for key in keys]


def _cell(value: Any) -> Any:
    """What can stand in a cell and be compared: lists as JSON, null empty."""
    return json.dumps(value) if isinstance(value, list | dict) else value
