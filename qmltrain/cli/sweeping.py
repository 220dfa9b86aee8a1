"""`-m`: every point of a sweep through the same function, by Hydra's sweeper and launcher.

A point that fails does not end the sweep; a signal does. Each point appends one line to `points.jsonl` in the sweep's
directory (`multirun/<date>/<time>-<process>`), also where a launcher runs points in other processes.
"""

from __future__ import annotations

import functools
import os
import sys
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qmltrain.cli import dispatch
from qmltrain.cli.composing import CONFIG_NAME, as_config, config_errors, hydra_session, search_path
from qmltrain.cli.verb import Verb
from qmltrain.config.schema import CommandContext, Config
from qmltrain.errors import EXIT_DONE, EXIT_ERROR, EXIT_INTERRUPTED
from qmltrain.sessions.sweep_points import POINTS, append_point, count_points, read_points

DIRECTORY_KEY = "hydra.sweep.dir"


def run_sweep(
    verb: Verb, options: Mapping[str, Any], context: CommandContext, config_directory: str | None = None
) -> int:
    """Run `verb` with `options` (its flags) on all points.

    0 where all are done, 1 where any failed, 75 where a signal stopped the sweep. Raises InputError before the first
    point where a point's overrides do not compose.
    """
    from hydra.core.global_hydra import GlobalHydra

    directory, chosen = _sweep_directory(context.overrides)
    before = count_points(directory / POINTS)  # of a sweep that was started in this directory earlier
    points = str(directory / POINTS)
    task = functools.partial(run_point, verb=verb, options=options, context=context, points=points)
    functools.update_wrapper(task, run_point)  # launchers ask for its name
    with config_errors(context.overrides), hydra_session():
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        try:
            hydra.multirun(CONFIG_NAME, task, [*context.overrides, *search_path(config_directory), *chosen])
        except SystemExit as stop:
            if stop.code != EXIT_INTERRUPTED:
                raise
            print("qmltrain: sweep stopped by a signal; run the same command again to go on", file=sys.stderr)
            return EXIT_INTERRUPTED
    return report_sweep(directory, before)


def run_point(composed: Any, *, verb: Verb, options: Mapping[str, Any], context: CommandContext, points: str) -> None:
    """One point: what Hydra composed for it, run as a single run would be, and its end recorded in `points`.

    Raises SystemExit(75) where a signal stopped the run, so that the sweep stops as well.
    """
    from hydra.core.hydra_config import HydraConfig

    job = HydraConfig.get()
    number, overrides = job.job.num, list(job.overrides.task)
    swept = [override for override in overrides if override not in context.overrides]
    print(f"qmltrain: point {number}: {' '.join(swept or overrides)}", file=sys.stderr)
    error = run = None
    try:
        with config_errors(overrides):
            config = as_config(composed)
        run = _run_directory(config) if verb.trains else None
        own = CommandContext(context.command_line, overrides, context.verbose)
        code = dispatch.verb_function(verb.name)(config, own, **options)
        error = f"exit code {code}" if code else None
    except Exception as failure:
        if context.verbose:
            traceback.print_exc()
        code, error = dispatch.describe_error(failure)
        print(f"qmltrain: {error}", file=sys.stderr)
    record = {"point": number, "overrides": overrides, "exit_code": code or EXIT_DONE, "error": error, "run": run}
    append_point(Path(points), record)
    if code == EXIT_INTERRUPTED:
        raise SystemExit(EXIT_INTERRUPTED)


def _run_directory(config: Config) -> str:
    """Where a point's run lies, for `qmltrain collect`."""
    from qmltrain.sessions.training_run import run_directory

    return str(run_directory(config).absolute())


def report_sweep(directory: Path, before: int = 0) -> int:
    """Say how the points of a finished sweep ended, those after the first `before`; the exit code of the sweep."""
    points = read_points(directory / POINTS, before)
    failed = sorted((point for point in points if point["exit_code"] != EXIT_DONE), key=lambda point: point["point"])
    done = f"{len(points) - len(failed)} of {len(points)} points done"
    print(f"qmltrain: sweep: {done}; {directory / POINTS}", file=sys.stderr)
    for point in failed:
        print(f"qmltrain: failed: point {point['point']}: {point['error']}", file=sys.stderr)
    return EXIT_ERROR if failed else EXIT_DONE


def _sweep_directory(overrides: list[str]) -> tuple[Path, list[str]]:
    """The sweep's directory, and the override that sets it where the user does not."""
    for override in overrides:
        key, equals, value = override.partition("=")
        if equals and key.lstrip("+") == DIRECTORY_KEY:
            return Path(value.strip("'\"")), []
    # with the process, since the jobs of an array start in the same second
    directory = Path("multirun", time.strftime("%Y-%m-%d"), f"{time.strftime('%H-%M-%S')}-{os.getpid()}")
    return directory, [f"{DIRECTORY_KEY}={directory.as_posix()}"]
