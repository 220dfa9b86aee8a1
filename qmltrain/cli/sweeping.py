"""`-m`: every point of a sweep through the same function, by Hydra's sweeper and launcher.

A point that fails does not end the sweep; a signal does. Each point appends one line to `points.jsonl` in the sweep's
directory (`multirun/<date>/<time>-<process>`), also where a launcher runs points in other processes.
"""

from __future__ import annotations

import functools
import os
import re
import sys
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qmltrain.cli import dispatch
from qmltrain.cli.composed_points import ComposedPoints
from qmltrain.cli.composing import CONFIG_NAME, as_config, hydra_session
from qmltrain.cli.experiment_options import without_unused
from qmltrain.cli.explaining import config_errors
from qmltrain.cli.override_words import as_typed, is_sweep, key_of, number_of_points
from qmltrain.cli.user_configs import search_path
from qmltrain.cli.verb import Verb
from qmltrain.config.schema import CommandContext, Config
from qmltrain.errors import EXIT_DONE, EXIT_ERROR, EXIT_INTERRUPTED, InputError
from qmltrain.job_limits import JOBS_AT_ONCE, usable_cpus
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
    words = as_typed(context.overrides, sweep=True)
    task = functools.partial(
        run_point,
        verb=verb,
        options=options,
        context=context,
        points=points,
        fixed=frozenset(key_of(word) for word in words if not is_sweep(word)),
        config_directory=config_directory,
        n_points=number_of_points(words),
    )
    functools.update_wrapper(task, run_point)  # launchers ask for its name
    try:
        with config_errors(context.overrides), hydra_session():
            hydra = GlobalHydra.instance().hydra
            assert hydra is not None
            hydra.config_loader = ComposedPoints(hydra.config_loader)  # type: ignore[assignment]
            hydra.multirun(CONFIG_NAME, task, [*words, *search_path(config_directory), *chosen])
    except SystemExit as stop:
        if stop.code != EXIT_INTERRUPTED:
            raise
        print("qmltrain: sweep stopped by a signal; run the same command again to go on", file=sys.stderr)
        return EXIT_INTERRUPTED
    except InputError as error:
        if count_points(directory / POINTS) == before:
            raise
        print(f"qmltrain: the sweeper ended the sweep: {error}", file=sys.stderr)
        report_sweep(directory, before)
        return EXIT_ERROR
    return report_sweep(directory, before)


def run_point(
    composed: Any,
    *,
    verb: Verb,
    options: Mapping[str, Any],
    context: CommandContext,
    points: str,
    fixed: frozenset[str],
    config_directory: str | None,
    n_points: int | None,
) -> float | None:
    """One point: what Hydra composed for it, run as a single run would be, and its end recorded in `points`.

    `fixed` are the keys that are no part of the sweep, `n_points` its points where that is known. Returns the
    objective for sweepers that search: of a training the best value of ``train.monitor``, NaN where the point failed;
    None where the verb does not train. Raises SystemExit(75) where a signal stopped the run, so that the sweep stops as
    well.
    """
    from hydra.core.hydra_config import HydraConfig

    job = HydraConfig.get()
    os.environ.update(_beside(job.launcher, n_points))
    number, overrides = job.job.num, list(job.overrides.task)
    swept = [override for override in overrides if key_of(override) not in fixed]
    print(f"qmltrain: point {number}: {' '.join(swept or overrides)}", file=sys.stderr)
    error: str | None = None
    run: str | None = None
    value = float("nan") if verb.trains else None
    try:
        with config_errors(overrides):
            config = as_config(composed, validated=False)
        if verb.output_key is not None and not _names_its_file(verb.output_key, swept, overrides):
            _number_output(config, verb, number, Path(points).parent)
        own = CommandContext(context.command_line, overrides, context.verbose)

        def act(config: Config) -> int | None:
            nonlocal run, value
            run = _run_directory(config) if verb.trains else None
            code: int | None = dispatch.verb_function(verb.name)(config, own, **options)
            if run is not None and not code:
                value = _objective(Path(run), config)
            return code

        code = without_unused(config, overrides, config_directory, act)
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
    return value


def _beside(launcher: Any, n_points: int | None) -> dict[str, str]:
    """The variable that says how many jobs a launcher of processes (joblib, `n_jobs`) runs at once on these CPUs.

    joblib counts -1 as all CPUs, -2 as all but one, and so on.
    """
    n_jobs = launcher.get("n_jobs")
    if not isinstance(n_jobs, int) or JOBS_AT_ONCE in os.environ:
        return {}
    at_once = n_jobs if n_jobs > 0 else max(1, usable_cpus() + 1 + n_jobs)
    return {JOBS_AT_ONCE: str(at_once if n_points is None else min(at_once, n_points))}


def _names_its_file(key: str, swept: list[str], overrides: list[str]) -> bool:
    """Whether every point has a file of its own already: the option is swept, or made of others."""
    return any(key_of(word) == key and (word in swept or re.search(r"\$\\?{", word)) for word in overrides)


def _number_output(config: Config, verb: Verb, number: int, directory: Path) -> None:
    """`a/b.h5` -> `a/b-3.h5` for point 3; a file that was not named lies in the sweep's directory."""
    group, _, name = str(verb.output_key).partition(".")
    node = getattr(config, group)
    path = Path(getattr(node, name) or directory / f"{verb.name}.h5")
    setattr(node, name, str(path.with_name(f"{path.stem}-{number}{path.suffix}")))


def _objective(run: Path, config: Config) -> float:
    from qmltrain.sessions.results import objective

    return objective(run, config.train.monitor)


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
