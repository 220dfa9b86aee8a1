"""What the ranks of one training agree on before its first step, and what is said of how they share it.

Rank 0 opens the run, and tells the others what it found (`Order`); they open the data themselves, and write nothing.
"""

from __future__ import annotations

import dataclasses
import hashlib
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from qmltrain.config.schema import Config
from qmltrain.engines.protocol import BLOCK, FloatArray
from qmltrain.engines.ranks import Ranks, blocks_of
from qmltrain.engines.selection import gpu_in_use, take_gpu, without_threads
from qmltrain.errors import InputError, QmltrainError
from qmltrain.job_limits import available_bytes
from qmltrain.models.build import Compiled
from qmltrain.models.problem import Problem
from qmltrain.runs.snapshots import Snapshot
from qmltrain.training.state import TrainingState
from qmltrain.training.trainer import OnEpoch
from qmltrain.units import GIB
from qmltrain.wording import listed, plural

SAME_FILES = "give every node the same files"
Thing = TypeVar("Thing")


class Together(Ranks, Protocol):
    """What a session needs of its ranks. `threads`: of this rank; `beside`: ranks on its node, itself included, of
    which it is number `number_beside`."""

    threads: int
    beside: int
    number_beside: int

    @property
    def is_first(self) -> bool: ...

    def from_first(self, make: Callable[[], Thing]) -> Thing: ...

    def hear(self) -> Any: ...

    def texts(self, own: str) -> list[str]: ...

    def check_same(self, what: str, own: str, remedy: str, kind: type[QmltrainError] = InputError) -> None: ...


@dataclass(frozen=True)
class Order:
    """What rank 0 found: where the run is, its config with the data found, the arrays of its preprocessing, automatic
    choices, and what to begin from: parameters, or a snapshot."""

    directory: Path
    config: Config
    arrays: Mapping[str, np.ndarray]
    choices: Mapping[str, Any]
    theta_P: FloatArray | None
    snapshot: Snapshot | None


def of_rank(config: Config, ranks: Together | None) -> Config:
    """Threads and memory of a rank, where the config leaves them open: its share of the node's. Where a GPU computes,
    this rank's thread has its own from here on, and all of that one's memory."""
    if ranks is None:
        return config
    engine = config.engine
    memory_gib = engine.memory_gib
    if not take_gpu(engine.name, ranks.number_beside):
        memory_gib = memory_gib or available_bytes() / ranks.beside / GIB
    engine = dataclasses.replace(engine, threads=engine.threads or ranks.threads, memory_gib=memory_gib)
    return dataclasses.replace(config, engine=engine)


def check_together(ranks: Together, problem: Problem, compiled: Compiled) -> None:
    """Raise InputError where the ranks would not compute the same bits from the same data; called by all."""
    check_engines(ranks, compiled)
    check_data(ranks, problem.source.checksum)


def check_engines(ranks: Together, compiled: Compiled) -> None:
    """Raise InputError where the engines of the ranks have other bits; called by all."""
    check_device(ranks, without_threads(compiled.selection.engine.describe()))


def check_device(ranks: Together, device: str) -> None:
    """The same, of an engine's description without its threads; and where two ranks would share a GPU."""
    ranks.check_same(
        "engine.name", device, "take nodes of one kind, or the instruction set that all have (QMLTRAIN_SIMD)"
    )
    if not device.startswith("cuda"):
        return
    places = [text.split("\n") for text in ranks.texts(f"{socket.gethostname()}\n{gpu_in_use()}")]
    for node in dict.fromkeys(node for node, _ in places):
        gpus = [gpu for of_node, gpu in places if of_node == node]
        if len(set(gpus)) < len(gpus):
            raise InputError(
                f"engine.name: node {node} has {len(gpus)} ranks and {plural(len(set(gpus)), 'GPU')} for them; start "
                "one rank for each GPU (mpirun -n, srun --ntasks-per-node and --gpus-per-task=1), or set "
                "engine.name=cpu"
            )


def check_data(ranks: Together, checksum: str) -> None:
    """Raise InputError where the ranks have not read the same data set; called by all."""
    ranks.check_same("dataset", checksum, SAME_FILES)


def check_parameters(ranks: Together, theta_P: FloatArray, remedy: str) -> None:
    """Raise InputError where the ranks have other parameters; called by all."""
    ranks.check_same("parameters", _digest(theta_P), remedy)


def _digest(theta_P: FloatArray) -> str:
    return hashlib.sha256(theta_P.tobytes()).hexdigest()[:16]


def same_parameters(ranks: Together) -> OnEpoch:
    """Checks at the end of each epoch that no rank has gone its own way: processors of one instruction set may have
    another mathematical library."""

    def check(state: TrainingState, metrics: Mapping[str, float]) -> None:
        what = f"parameters after epoch {state.epoch}"
        ranks.check_same(
            what, _digest(state.theta_P), "these nodes compute different bits; take nodes of one kind", QmltrainError
        )

    return check


def rank_lines(ranks: Together, batch: int, *, whole: bool, has_data: bool = True) -> Iterator[str]:
    """How the steps of `batch` samples are shared; `whole`: not at all. Without data a step has one evaluation."""
    yield f"{ranks.size} ranks, {ranks.threads} thread{'s' * (ranks.threads > 1)} in rank 0"
    if whole:
        yield (
            f"every rank computes whole batches: this circuit takes {batch} samples as one matrix, which is not "
            "shared; one process is faster"
        )
        return
    if not has_data:
        yield f"a step without data is one evaluation, which rank {ranks.size - 1} makes alone; one process is faster"
        return
    idle = [str(rank) for rank in range(ranks.size) if not blocks_of(batch, rank, ranks.size)]
    if idle:
        many, blocks = "s" * (len(idle) > 1), "1 block" if batch <= BLOCK else f"{-(-batch // BLOCK)} blocks"
        yield (
            f"idle: rank{many} {listed(idle)}, since a batch of {batch} samples is {blocks} of {BLOCK}; none is from "
            f"train.batch_size={BLOCK * (ranks.size - 1) + 1} on"
        )
