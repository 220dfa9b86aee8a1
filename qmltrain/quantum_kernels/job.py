"""A Gram matrix in its directory: begun, gone on with tile by tile, and the machines that are fitted on it.

The directory is like a training's: its lock, `status.json`, and one file, `kernel.h5`. Complete it is read again, for
other `kernel.C`, without a state being computed.
"""

from __future__ import annotations

import dataclasses
import json
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from qmltrain.cluster.signals import StopRequest
from qmltrain.config.groups.engine import EngineConfig
from qmltrain.config.schema import CommandContext, Config
from qmltrain.config.storage import to_yaml
from qmltrain.engines.selection import without_threads
from qmltrain.errors import InputError, InterruptedRun, StorageError
from qmltrain.job_limits import usable_cpus
from qmltrain.models.data_facts import data_lines, encoded_names
from qmltrain.quantum_kernels import file as kernel_file
from qmltrain.quantum_kernels.file import FILE_NAME, KernelFile, Layout, read_arrays, read_header
from qmltrain.quantum_kernels.gram import Panels, compute_tiles
from qmltrain.quantum_kernels.identity import check_same_kernel, digest
from qmltrain.quantum_kernels.machines import Fitted, fit, rbf_matrices
from qmltrain.quantum_kernels.shared_tiles import Order, check_together, compute_shared_tiles, follow
from qmltrain.quantum_kernels.task import KernelTask, build_task
from qmltrain.quantum_kernels.tiles import Tile
from qmltrain.runs.atomic import remove_stale_temporaries
from qmltrain.runs.attributes import collect_attributes, collect_session, utc_now
from qmltrain.runs.directory import default_directory
from qmltrain.runs.lock import RunLock
from qmltrain.runs.reading import run_status
from qmltrain.runs.scan_files import holds_scan
from qmltrain.runs.status_file import read_status_file, write_status_file
from qmltrain.sessions.together import Together, of_rank
from qmltrain.sessions.training_run import check_directory, make_directory
from qmltrain.training.gradients import StepAbandoned
from qmltrain.training.progress import make_progress

_CHOSEN = ("engine", "reductions", "reductions_samples")  # choices that bits follow from
_NAMES = ("accuracy", "balanced_accuracy", "f1_macro", "roc_auc", "r2", "mae")


def run_kernel(config: Config, context: CommandContext) -> int:
    """Compute what is missing, fit, and print; exit code 0. Raises InterruptedRun (75) where a signal stopped it.

    Of the ranks in `context` all call this; the first one alone reads and writes the directory.
    """
    ranks: Together | None = context.ranks
    with StopRequest(speaks=ranks is None or ranks.is_first) as stop:
        if ranks is not None and not ranks.is_first:
            follow(of_rank(config, ranks), context.overrides, ranks, lambda: stop.requested is not None)
            return 0
        engine, config = config.engine, of_rank(config, ranks)
        task = build_task(config, context.overrides)
        directory = _directory(config, task)
        if (directory / FILE_NAME).exists():  # its choices are those to go on with
            choices, now = read_status_file(directory).get("choices") or {}, task.embedding.choices()
            if any(choices[key] != now.get(key) for key in _CHOSEN if key in choices):
                task = build_task(config, context.overrides, choices)
        check_directory(directory)
        _check_before(config, task, directory)
        make_directory(directory)
        with RunLock(directory):
            return _Session(config, context, task, directory, stop, engine).run()


def _directory(config: Config, task: KernelTask) -> Path:
    """`run.dir`, or a name made of `run.name` and what changes the matrix."""
    if config.run.dir is not None:
        return Path(config.run.dir)
    return default_directory(config.run.root, config.run.name, digest(task.settings))


def _check_before(config: Config, task: KernelTask, directory: Path) -> None:
    """Raise InputError where the directory is another's, or `run.resume` forbids what is there."""
    path = directory / FILE_NAME
    if run_status(directory) is not None:
        raise InputError(f"run.dir: {directory} holds a training; choose another directory for its kernel")
    if holds_scan(directory):
        raise InputError(f"run.dir: {directory} holds a scan; choose another directory for a kernel")
    if not path.exists():
        if config.run.resume == "must":
            raise InputError(
                f"run.resume=must: there is no kernel in {directory}; check run.dir, or set run.resume=auto"
            )
        return
    if config.run.resume == "never":
        raise InputError(f"run.resume=never: {directory} holds a kernel already; choose another run.dir or run.name")
    attributes = read_header(path).attributes
    check_same_kernel(json.loads(attributes["settings"]), task.settings, path)
    if attributes["digest"] != task.digest():
        raise InputError(
            f"{path}: rows or circuit are no longer those that it was begun with, though its config is the same "
            "(another version of a library?); choose another run.dir"
        )


class _Session:
    """One process's share of the work on a matrix."""

    def __init__(
        self,
        config: Config,
        context: CommandContext,
        task: KernelTask,
        directory: Path,
        stop: StopRequest,
        engine: EngineConfig,
    ) -> None:
        """`engine`: as it was asked for, before ranks shared threads and memory."""
        self.config, self.context, self.task, self.engine = config, context, task, engine
        self.ranks: Together | None = context.ranks
        self.directory, self.path, self.stop = directory, directory / FILE_NAME, stop
        self.threads = config.engine.threads or usable_cpus()
        self.status: dict[str, Any] = {}

    def run(self) -> int:
        task = self.task
        remove_stale_temporaries(self.directory)
        if not self.path.exists():
            self._create()
        gamma = read_header(self.path).attributes.get("gamma")
        if task.embedding.kind.gamma is None:
            task.embedding.kind.gamma = gamma
        before = read_status_file(self.directory)
        choices = before.get("choices")
        if choices:
            _warn_of_another_device(choices, task.embedding.choices(), self.directory)
        self.status = {
            **before,
            "status": "running",
            "choices": choices or task.embedding.choices(),
            "sessions": [*before.get("sessions", []), collect_session()],
        }
        file = KernelFile(self.path, task.tiles())
        try:
            self._say("running", file)
            self._matrix(file)
            if self.ranks is not None:
                self.ranks.from_first(lambda: None)
            asked = {"C": list(task.candidates), "folds": task.folds} if task.config.kernel.fit else None
            if self.status.get("machines") != asked or "summary" not in self.status:
                self._say("running", file)
                self.status["summary"] = self._summary(file)
            summary = self.status["summary"]
            file.sync()
            self._say("completed", file, machines=asked)
        except StepAbandoned:
            file.sync()
            self._say("interrupted", file)
            done, by = len(file.tiles) - len(file.missing), self.stop.requested or "a signal to another rank"
            raise InterruptedRun(
                f"stopped by {by} after {done} of {len(file.tiles)} tiles of {self.path}; run the same command "
                "again to go on"
            ) from None
        except StorageError:
            raise
        except Exception:
            self._say("failed", file)
            raise
        finally:
            file.close()
        print_kernel(self.path, task, summary, self.status)
        return 0

    def _create(self) -> None:
        task, config = self.task, self.config
        embedding, problem = task.embedding, task.problem
        if not embedding.on_states:
            embedding.kind.choose(embedding.vectors(task.features["train"], self._stopped))
        attributes = {
            **collect_attributes(),
            "kernel": config.kernel.name,
            "gamma": embedding.kind.gamma,
            "settings": json.dumps(task.settings),
            "digest": task.digest(),
            "config_yaml": to_yaml(dataclasses.replace(task.config, engine=self.engine)),
            "command_line": " ".join(self.context.command_line),
            "overrides": list(self.context.overrides),
            "n_qubits": embedding.model.circuit.n_qubits,
            "precision": embedding.precision,
            "device": embedding.selection.engine.describe(),
            "class_names": [str(name) for name in problem.source.info.class_names],
            "feature_names": list(encoded_names(problem)),
            "dataset": problem.source.info.description,
            "dataset_checksum": problem.source.checksum,
            "preprocessing": problem.data.preprocessor.describe(),
        }
        parameters, arrays = embedding.parameters(), dict[str, Any]()
        if parameters:
            arrays |= {"parameters": np.array([*parameters.values()]), "parameter_names": [*parameters]}
        for split, rows in task.rows.items():
            arrays |= {f"{split}_rows": rows, f"{split}_labels": task.stored_labels(split)}
        layout = Layout(len(task.rows["train"]), len(task.rows["test"]), len(task.tiles()), embedding.value_dtype)
        kernel_file.create(self.path, layout, attributes, arrays)

    def _stopped(self) -> bool:
        return self.stop.requested is not None

    def _say(self, status: str, file: KernelFile, **more: Any) -> None:
        done = len(file.tiles) - len(file.missing)
        self.status |= {"status": status, "updated_utc": utc_now(), "tiles": [done, len(file.tiles)], **more}
        write_status_file(self.directory, self.status)

    def _matrix(self, file: KernelFile) -> None:
        """The tiles that are missing."""
        if not file.missing:
            return
        task, run = self.task, self.config.run
        total, begun = len(file.tiles), time.monotonic()
        progress = make_progress(run.progress, total, total - len(file.missing), run.log_seconds, "tile")  # type: ignore[arg-type]
        missing = {tile.number: tile for tile in file.missing}

        def finished(tile: Tile) -> None:
            del missing[tile.number]
            progress.step(total - len(missing), {})

        try:
            for line in data_lines(task.problem):
                progress.message(line)
            progress.message(f"kernel {self.path}: {task.embedding.selection.reason}")
            panels = Panels(task.embedding, task.features, task.tile_rows, task.memory_bytes, self._stopped)
            if self.ranks is None:
                compute_tiles(panels, tuple(file.missing), file.write, finished, self.threads)
            else:
                numbers = tuple(tile.number for tile in file.missing)
                order = Order(self.status["choices"], task.embedding.kind.gamma, numbers)
                self.ranks.from_first(lambda: order)
                check_together(self.ranks, task)
                compute_shared_tiles(panels, tuple(file.missing), file.write, finished, self.threads, self.ranks)
        finally:
            progress.close()
            file.missing = list(missing.values())
            seconds = float(self.status.get("matrix_seconds", 0.0)) + time.monotonic() - begun
            self.status["matrix_seconds"] = seconds

    def _summary(self, file: KernelFile) -> dict[str, float]:
        """Of the machines, fitted on the whole matrix."""
        task = self.task
        if not task.config.kernel.fit:
            return {}
        file.sync()
        machines = task.machine_task()
        stored = read_arrays(self.path, ("train", "test"))

        def fitted(train_BB: Any, test_BB: Any) -> Fitted:
            seed = task.problem.seeds.split
            return fit(train_BB, test_BB, machines, task.candidates, task.folds, seed, self._stopped)

        quantum = fitted(stored["train"], stored["test"])
        del stored
        file.write_predictions(quantum.predictions_B)
        rival = fitted(*rbf_matrices(task.features["train"], task.features["test"]))
        return {**_named("kernel", quantum), **_named("rbf", rival)}


def _named(prefix: str, fitted: Fitted) -> dict[str, float]:
    found = {f"{prefix}/C": fitted.C}
    if fitted.score == fitted.score:  # NaN is not
        found[f"{prefix}/validation_score"] = fitted.score
    return found | {f"{prefix}/test_{name}": float(value) for name, value in fitted.metrics.items()}


def _warn_of_another_device(before: Mapping[str, Any], now: Mapping[str, Any], directory: Path) -> None:
    """Bits are promised for one engine and instruction set, whatever the number of threads."""
    was, is_now = (without_threads(str(choices.get("engine_description"))) for choices in (before, now))
    if was != is_now:
        warnings.warn(
            f"{directory}: the kernel was begun on {was}, goes on with {is_now}; the last bits of what follows may "
            "differ",
            stacklevel=2,
        )


def print_kernel(path: Path, task: KernelTask, summary: Mapping[str, float], status: Mapping[str, Any]) -> None:
    """Results go to stdout."""
    embedding, sizes = task.embedding, {split: len(rows) for split, rows in task.rows.items()}
    gamma = embedding.kind.gamma
    kind = task.config.kernel.name + ("" if gamma is None else f", gamma {gamma:.6g}")
    print(f"kernel     {path}: {kind}, {embedding.model.circuit.n_qubits} qubits")
    shapes = f"train {sizes['train']} x {sizes['train']}, test {sizes['test']} x {sizes['train']}"
    print(f"matrix     {shapes}, {embedding.value_dtype}, in {float(status.get('matrix_seconds', 0.0)):.1f} s")
    print(f"device     {embedding.selection.engine.describe()}")
    if not summary:
        return
    rivals = {"kernel": "", "rbf": "   RBF kernel on the same features "}
    what = "accuracy" if task.problem.n_classes else "r2"
    if len(task.candidates) > 1:
        texts = [f"{rivals[one]}{summary[f'{one}/validation_score']:.4f} (C {summary[f'{one}/C']:g})" for one in rivals]
        print(f"{task.folds}-fold {what}".ljust(24) + "".join(texts))
    for name in _NAMES:
        if f"kernel/test_{name}" in summary:
            print(f"test {name:<18} " + "".join(f"{rivals[one]}{summary[f'{one}/test_{name}']:.4f}" for one in rivals))
