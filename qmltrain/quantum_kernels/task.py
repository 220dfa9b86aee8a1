"""What a kernel job is about: data, circuit and kernel of a config, or of a trained run. Nothing is written here, and
what can be wrong with a config and its data is found here."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from qmltrain.config.schema import Config
from qmltrain.engines.protocol import FloatArray
from qmltrain.errors import InputError, MemoryLimitError, UnusedOptionError
from qmltrain.job_limits import available_bytes
from qmltrain.models.build import group_options
from qmltrain.models.first_parameters import initial_theta
from qmltrain.models.problem import Problem, build_problem
from qmltrain.models.run_start import check_overrides, start_of_run
from qmltrain.models.stored_files import user_code
from qmltrain.quantum_kernels.embedding import Embedding, build_embedding, stacked
from qmltrain.quantum_kernels.identity import settings
from qmltrain.quantum_kernels.kinds import KERNELS
from qmltrain.quantum_kernels.machines import DEFAULT_C, DEFAULT_FOLDS, Task, bytes_needed, check_folds
from qmltrain.quantum_kernels.tiles import SplitName, Tile, cut, tile_rows
from qmltrain.registry import call_builder
from qmltrain.units import bytes_of_gib, gib

KEY = "kernel.run"
OF_COMMAND = ("engine", "run", "kernel")  # groups that are the command's, where the rest is a trained run's


@dataclass
class KernelTask:
    """`features` of the rows of each split; `settings`: what names the matrix."""

    config: Config
    problem: Problem
    embedding: Embedding
    features: dict[SplitName, FloatArray]
    rows: dict[SplitName, np.ndarray]
    settings: dict[str, Any]

    @property
    def memory_bytes(self) -> int:
        """For vectors of rows."""
        return bytes_of_gib(self.config.engine.memory_gib) or available_bytes()

    @property
    def tile_rows(self) -> int:
        return tile_rows(self.embedding.vector_bytes)

    def tiles(self) -> tuple[Tile, ...]:
        return cut(len(self.rows["train"]), len(self.rows["test"]), self.tile_rows)

    def labels(self, split: SplitName) -> np.ndarray:
        """As training has them: numbers of classes, scaled targets."""
        return np.asarray(self.problem.data.labels(self.rows[split]))

    def stored_labels(self, split: SplitName) -> np.ndarray:
        """Numbers of classes, targets in the units of the data."""
        labels = self.labels(split)
        return labels if self.problem.n_classes else self.problem.unscale(labels.astype(np.float64))

    def digest(self) -> str:
        """SHA-256 of everything that the matrix is computed from, beside the engine."""
        found = hashlib.sha256(self.embedding.digest().encode())
        for split, features in self.features.items():
            found.update(f"{split} {features.shape}".encode())
            found.update(np.ascontiguousarray(features, "<f8").tobytes())
        return found.hexdigest()

    @property
    def candidates(self) -> tuple[float, ...]:
        return tuple(self.config.kernel.C or DEFAULT_C)

    @property
    def folds(self) -> int:
        return self.config.kernel.folds or DEFAULT_FOLDS

    def machine_task(self) -> Task:
        labels = {split: self.labels(split) for split in self.rows}
        if self.problem.n_classes is None:
            labels = {split: found.astype(np.float64) for split, found in labels.items()}
        return Task(labels["train"], labels["test"], self.problem.n_classes, self.problem.unscale)


def build_task(config: Config, overrides: list[str], choices: Mapping[str, Any] | None = None) -> KernelTask:
    """`choices`: of a matrix that goes on. Raises InputError, MemoryLimitError, EngineUnavailableError."""
    options = group_options(config.kernel, "run", "fit", "C", "folds")
    kind = call_builder(KERNELS, "kernel", config.kernel.name, options)
    of_run = None
    if config.kernel.run is None:
        if config.train.freeze:
            raise UnusedOptionError("train.freeze", "not used by kernel, which trains nothing; leave it null")
        problem = build_problem(config)
        theta_P = initial_theta(problem)
        code = user_code(config)
        counted = settings(config) | ({"user_code": hashlib.sha256(repr(code).encode()).hexdigest()} if code else {})
    else:
        check_overrides(overrides, KEY, OF_COMMAND)
        of_run = start_of_run(config, config.kernel.run, KEY, OF_COMMAND)
        config, problem, theta_P = of_run.config, of_run.problem, of_run.best_P
        counted = settings(config, {"kernel.run": of_run.name})
    if not problem.has_data:
        raise InputError("dataset.name: a kernel is of rows of data, and dataset=none has none; choose a dataset")
    counted["dataset_checksum"] = problem.source.checksum
    rows: dict[SplitName, np.ndarray] = {"train": problem.split.train, "test": problem.split.test}
    embedding = build_embedding(
        config,
        problem.model,
        kind,
        theta_P,
        trained=of_run is not None,
        samples=len(rows["train"]),
        choices=choices,
    )
    width = problem.data.n_features
    features = {
        split: stacked(batch for batch, _ in problem.stream(which)) if len(which) else np.empty((0, width))
        for split, which in rows.items()
    }
    task = KernelTask(config, problem, embedding, features, rows, dict(sorted(counted.items())))
    _check_machine(task)
    return task


def _check_machine(task: KernelTask) -> None:
    """What fitting on the matrix would refuse, before it is computed."""
    if not task.config.kernel.fit:
        for name in ("C", "folds"):
            if getattr(task.config.kernel, name) is not None:
                raise InputError(f"kernel.{name}: not used with kernel.fit=false; leave it null")
        return
    n_train = len(task.rows["train"])
    needed, there = bytes_needed(n_train), available_bytes()
    if needed > there:
        raise MemoryLimitError(
            f"kernel.fit: a machine on {n_train} training rows needs {gib(needed)} of {gib(there)}; use fewer rows "
            "(dataset.samples), or kernel.fit=false for the matrix alone"
        )
    check_folds(task.labels("train"), task.problem.n_classes, task.folds if len(task.candidates) > 1 else 1)
