"""A training in its directory: started, or gone on with from its last snapshot."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from qmltrain.cluster.signals import StopRequest
from qmltrain.config.identity import check_same_run, config_hash
from qmltrain.config.schema import CommandContext, Config
from qmltrain.config.storage import to_dict
from qmltrain.engines.selection import without_threads
from qmltrain.errors import EXIT_DONE, InputError
from qmltrain.models.build import Compiled, compile_model
from qmltrain.models.first_parameters import initial_theta
from qmltrain.models.problem import Problem, build_problem
from qmltrain.models.source import check_same_source, derive_seeds, open_source
from qmltrain.models.stored import check_same_config, with_data_found
from qmltrain.models.stored_files import check_user_code
from qmltrain.runs.directory import default_directory, why_not_writable
from qmltrain.runs.file_layout import FILE_NAME
from qmltrain.runs.lock import RunLock
from qmltrain.runs.reading import run_status
from qmltrain.runs.snapshots import SNAPSHOTS, Snapshot, SnapshotFolder
from qmltrain.runs.store import COMPLETED
from qmltrain.runs.views import open_run
from qmltrain.sessions.before_training import check_before_training
from qmltrain.sessions.results import print_result
from qmltrain.sessions.session import Session
from qmltrain.sessions.together import Order, Together, check_together, of_rank


def run_directory(config: Config) -> Path:
    """`run.dir`, or a name made of `run.name` and the part of the config that changes the result."""
    if config.run.dir is not None:
        return Path(config.run.dir)
    return default_directory(config.run.root, config.run.name, config_hash(to_dict(config)))


def train(
    config: Config,
    context: CommandContext,
    directory: Path,
    choices: Mapping[str, Any] | None = None,
    data_of: Path | None = None,
) -> int:
    """Start or go on with the run in `directory`; a run that starts takes automatic choices from `choices` if given.

    The files of its data set are looked for also where it had them, or the run in `data_of`. Where `context` has ranks,
    all of them call this; rank 0 alone reads and writes the directory.
    """
    ranks: Together | None = context.ranks
    if ranks is not None and not ranks.is_first:
        return follow(context, ranks)
    check_directory(directory)
    status = existing_status(config, directory)
    if status == COMPLETED:
        return say_complete(config, directory, ranks)
    with StopRequest() as stop, RunLock(directory) if status else nullcontext():
        if status and existing_status(config, directory) == COMPLETED:  # by a process that had the lock before
            return say_complete(config, directory, ranks)
        snapshots = SnapshotFolder(directory / SNAPSHOTS, config.run.keep) if status else None
        snapshot = snapshots.load_latest() if snapshots else None
        had_data = directory if status else data_of
        found = config if had_data is None else with_data_found(config, had_data)
        problem = build_problem(found, snapshot.arrays if snapshot else None)
        if snapshot:
            check_same_data(problem, snapshot, directory)
            check_same_config(config, snapshot, directory / FILE_NAME)
            check_user_code(config, open_run(directory).attributes.get("user_code"), directory)
        chosen = snapshot.state["choices"] if snapshot else choices
        compiled = compile_model(of_rank(config, ranks), problem.model, chosen, problem.samples_of_step)
        if snapshot:
            warn_of_another_device(snapshot.state["choices"], compiled, directory)
        session = Session(config, context, directory, problem, compiled, stop, ranks)
        session.check()
        if snapshot is None:
            check_before_training(problem, compiled.reductions)
        theta_P = None if snapshot else initial_theta(problem)
        order = Order(directory, found, problem.preprocessing_state(), compiled.choices(), theta_P, snapshot)
        if status:
            lead(ranks, order, problem, compiled)
            return session.go_on(snapshot, theta_P)
        assert theta_P is not None
        make_directory(directory)
        with RunLock(directory):
            if existing_status(config, directory) is None:
                lead(ranks, order, problem, compiled)
                return session.start(theta_P)
        return train(config, context, directory, choices)  # another process began the run in the meantime


def lead(ranks: Together | None, order: Order, problem: Problem, compiled: Compiled) -> None:
    """Tell the other ranks what to do. Raises InputError where one cannot do the same."""
    if ranks is not None:
        ranks.from_first(lambda: order)
        check_together(ranks, problem, compiled)


def follow(context: CommandContext, ranks: Together) -> int:
    """The part of a rank other than the first in a training."""
    with StopRequest(speaks=False) as stop:
        order: Order | None = ranks.hear()
        if order is None:
            return EXIT_DONE
        problem = build_problem(order.config, order.arrays)
        compiled = compile_model(of_rank(order.config, ranks), problem.model, order.choices, problem.samples_of_step)
        session = Session(order.config, context, order.directory, problem, compiled, stop, ranks)
        check_together(ranks, problem, compiled)
        return session.follow(order)


def say_complete(config: Config, directory: Path, ranks: Together | None = None) -> int:
    """The results of a run that needs nothing more; exit code 0.

    They are those of the data, files and functions that it was trained on: raises InputError where these are others
    now. Data that are no longer there are a warning.
    """
    attributes = open_run(directory).attributes
    check_user_code(config, attributes.get("user_code"), directory)
    try:
        source = open_source(with_data_found(config, directory), derive_seeds(config.run))
    except InputError as error:
        warnings.warn(f"{directory}: its data cannot be compared with those it was trained on: {error}", stacklevel=2)
    else:
        check_same_source(source, attributes["dataset_checksum"], directory)
    if ranks is not None:
        ranks.from_first(lambda: None)
    print(f"{directory / FILE_NAME}: this run is complete; nothing to do")
    print_result(directory)
    return 0


def check_directory(directory: Path) -> None:
    """Raise InputError where a run cannot live in `directory`; it is made later, when everything else is right."""
    reason = why_not_writable(directory)
    if reason is not None:
        raise InputError(f"run.dir: {reason}; choose another run.dir or run.root")


def make_directory(directory: Path) -> None:
    """Make the directory of a new run. Raises InputError where that is refused."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"run.dir: {directory} cannot be made: {reason}; choose another") from error


def existing_status(config: Config, directory: Path) -> str | None:
    """The status of the run in `directory`, None where there is none; InputError where `run.resume` forbids it."""
    status = run_status(directory)
    if status is None:
        if config.run.resume == "must":
            raise InputError(f"run.resume=must: there is no run in {directory}; check run.dir, or set run.resume=auto")
        return None
    if config.run.resume == "never":
        raise InputError(f"run.resume=never: {directory} holds a run already; choose another run.dir or run.name")
    check_same_run(open_run(directory).config, to_dict(config), directory)
    return status


def check_same_data(problem: Problem, snapshot: Snapshot, directory: Path) -> None:
    """Raise InputError where the data set is not the one that the run began with."""
    check_same_source(problem.source, snapshot.state["dataset_checksum"], directory)


def warn_of_another_device(before: Mapping[str, Any], compiled: Compiled, directory: Path) -> None:
    """Bits are promised for one engine and instruction set, whatever the number of threads; another one is said."""
    was, now = (
        without_threads(text) for text in (before["engine_description"], compiled.choices()["engine_description"])
    )
    if was != now:
        warnings.warn(
            f"{directory}: the run began on {was}, goes on with {now}; the last bits of what follows may differ from "
            "an uninterrupted run",
            stacklevel=2,
        )
