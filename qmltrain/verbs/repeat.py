"""`qmltrain repeat RUN`: train a run's config again in a fresh directory, and say whether it came out the same."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path

from qmltrain.config.schema import CommandContext
from qmltrain.errors import EXIT_DONE, EXIT_ERROR, InputError
from qmltrain.models.source import check_same_source, derive_seeds, open_source
from qmltrain.models.stored import stored_config, with_data_found
from qmltrain.models.stored_files import check_user_code
from qmltrain.runs.differences import SURROUNDINGS, first_difference, stored_otherwise
from qmltrain.runs.file_layout import FILE_NAME
from qmltrain.runs.reading import run_status
from qmltrain.runs.store import COMPLETED
from qmltrain.runs.views import open_run
from qmltrain.sessions.training_run import train


def run(path: Path, context: CommandContext, *, directory: Path | None = None) -> int:
    """0 where all stored numbers are equal to the bit, 1 where they are not.

    The automatic choices of the run (engine, gradient mode, interval) are used again. `directory` is by default the
    run's own with "-repeat" added. A repetition that was stopped goes on. Raises InputError where the run is not
    complete, or its data or code has changed.
    """
    config, original = stored_config(path)
    view = open_run(original)
    if view.status != COMPLETED:
        raise InputError(
            f"{original}: is {view.status}; only a completed run can be repeated (qmltrain resume {original})"
        )
    attributes = view.attributes
    check_user_code(config, attributes.get("user_code"), original)
    source = open_source(with_data_found(config, original), derive_seeds(config.run))
    check_same_source(source, attributes["dataset_checksum"], original)
    directory = directory or _fresh(original)
    if directory.resolve() == original.resolve():
        raise InputError(f"run.dir: {directory} is the run itself; choose another directory for its repetition")
    config.run = dataclasses.replace(config.run, dir=str(directory), resume="auto")
    train(config, context, directory, json.loads(attributes["choices"]), data_of=original)
    repeated = open_run(directory)
    passed_over = stored_otherwise(view, repeated)
    if passed_over:
        print(f"compared   but for {', '.join(passed_over)}, which the version of {original} stored otherwise")
    found = first_difference(view, repeated, passed_over)
    if found is None:
        print(f"repeated   {directory / FILE_NAME}: equal to {original / FILE_NAME} to the bit")
        return EXIT_DONE
    now = repeated.attributes
    changed = [
        f"{name} {attributes.get(name)} -> {now.get(name)}"
        for name in SURROUNDINGS
        if attributes.get(name) != now.get(name)
    ]
    since = "; ".join(changed) or "nothing that the run recorded"
    print(f"repeated   {directory / FILE_NAME}: not equal to {original / FILE_NAME}: first {found.where}")
    print(f"difference {found.largest:.3g} at most; changed since: {since}")
    return EXIT_ERROR


def _fresh(original: Path) -> Path:
    """`<original>-repeat`, `-repeat-2`, ...: the first that holds no complete run."""
    original = original.resolve()
    for number in itertools.count(1):
        candidate = original.with_name(f"{original.name}-repeat" + (f"-{number}" if number > 1 else ""))
        if run_status(candidate) != COMPLETED:
            return candidate
    raise AssertionError("there is always another number")
