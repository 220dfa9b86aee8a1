"""What the processes of one mpiexec do, one command after another (NumPy and MPI are started once): run as a program.

    mpiexec -n 2 python -m tests.ranks.mpi_scenarios FOLDER SCENARIO ...

Each scenario leaves `<scenario>-<rank>.json` in the folder, which has the data: exit code and standard error.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from qmltrain.cli import main
from qmltrain.data import batches
from qmltrain.training.native_steps import NativeSteps
from tests.engines.cuda import fake_cupy

SMALL = [
    "dataset=npz", "dataset.path=samples.npz", "preprocess=angles", "preprocess.pca=null", "circuit.n_qubits=4",
    "encoding.repeats=2", "train.epochs=4", "train.baseline=false", "run.parameters_every=1", "run.gradients=full",
    "run.save_every=4", "engine.name=cpu",
]  # fmt: skip
STOPPED_AT = 6  # steps


@contextlib.contextmanager
def before_steps(happens: object) -> Iterator[None]:
    """`happens(step)` before each span of steps on rank 1, of one step each."""
    rank, earlier = int(os.environ["PMI_RANK"]), NativeSteps.run

    def run(self, state, most, seconds, rows):
        if rank == 1:
            happens(state.step)
        return earlier(self, state, 1, seconds, rows)

    NativeSteps.run = run
    try:
        yield
    finally:
        NativeSteps.run = earlier


def stop(step: int) -> None:
    if step == STOPPED_AT - 1:
        os.kill(os.getpid(), signal.SIGTERM)


def fail(step: int) -> None:
    if step == STOPPED_AT:
        raise OSError(28, "No space left on device", "/scratch/x")


def leave(step: int) -> None:
    if step == STOPPED_AT:
        sys.exit(3)


@contextlib.contextmanager
def by_messages() -> Iterator[None]:
    """As ranks of several nodes exchange what they have."""
    from qmltrain.ranks import mpi

    earlier, mpi.through_memory = mpi.through_memory, lambda transport: transport
    try:
        yield
    finally:
        mpi.through_memory = earlier


@contextlib.contextmanager
def read_by_rows() -> Iterator[None]:
    """Nothing is kept in memory. Leaves `rows-<rank>.json`: how many rows were read for batches, and for what else."""
    kept, compute, counts = batches.STREAMED_CACHE_BYTES, batches.PreparedData._compute, []

    def counted(self, rows):
        counts.append(len(rows))
        return compute(self, rows)

    batches.STREAMED_CACHE_BYTES, batches.PreparedData._compute = 0, counted
    try:
        yield
    finally:
        batches.STREAMED_CACHE_BYTES, batches.PreparedData._compute = kept, compute
        Path(f"rows-{os.environ['PMI_RANK']}.json").write_text(json.dumps(counts))


@contextlib.contextmanager
def gpus(number: int) -> Iterator[None]:
    """As many as a stand-in for CuPy shows. Leaves `gpus-<number>-<rank>.json`: which one was taken, launches there."""
    with pytest.MonkeyPatch.context() as patch:
        seen = tuple(bytes([one]) for one in range(number))
        machine = fake_cupy.instead_of_cupy(patch, fake_cupy.make(gpus=seen)).machine
        yield
    found = Path(f"gpus-{number}-{os.environ['PMI_RANK']}.json")
    found.write_text(json.dumps([machine.gpu, machine.launches]))


@contextlib.contextmanager
def while_mpi_is_opened(happens: object) -> Iterator[None]:
    """`happens()` on rank 1 in the middle of what ranks exchange at their start."""
    from qmltrain.ranks import mpi

    rank, earlier = int(os.environ["PMI_RANK"]), mpi.through_memory

    def through_memory(transport):
        if rank == 1:
            happens()
        return earlier(transport)

    mpi.through_memory = through_memory
    try:
        yield
    finally:
        mpi.through_memory = earlier


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def break_off() -> None:
    raise OSError(5, "Input/output error", "/dev/x")


ENDS_THE_JOB = {  # the launcher ends all ranks, so that nothing comes after it
    "interrupted": ([], while_mpi_is_opened(interrupt)),
    "broken off": ([], while_mpi_is_opened(break_off)),
}
SCENARIOS = {
    "whole": ([], contextlib.nullcontext()),
    "messages": ([], by_messages()),
    "arrays": (["engine.name=interpreter"], by_messages()),
    "streamed": (["dataset=hdf5", "dataset.path=samples.h5"], read_by_rows()),
    "two gpus": (["engine.name=cuda"], gpus(2)),
    "one gpu": (["engine.name=cuda"], gpus(1)),
    "stopped": ([], before_steps(stop)),
    "failed": ([], before_steps(fail)),
    "refused": (["head=raw"], contextlib.nullcontext()),
    "left": ([], before_steps(leave)),
    "others": ([f"run.seed={os.environ.get('PMI_RANK')}"], contextlib.nullcontext()),
    # rank 1 fails before it opens MPI
    "early": (["--config-dir", "missing"] if os.environ.get("PMI_RANK") == "1" else [], contextlib.nullcontext()),
}
EVALUATED = "evaluated"  # the run of scenario `whole`, before
KERNEL = "kernel"
OF_KERNEL = [
    "kernel", "dataset=make_moons", "dataset.n_samples=60", "preprocess=angles", "circuit.n_qubits=2", "encoding=iqp",
    "kernel=projected", "engine.name=cpu", "run.progress=none",
]  # fmt: skip
SCANNED = "scanned"
SCAN = [
    "scan", "dataset=none", "encoding=none", "head=raw", "loss=expectation", "observable=ising", "circuit.n_qubits=2,3",
    "scan.draws=30", "engine.name=cpu", "run.progress=none",
]  # fmt: skip


def run(name: str) -> None:
    told, printed = io.StringIO(), io.StringIO()
    if name == EVALUATED:
        words, around = ["evaluate", "whole", "--predictions", f"{name}.csv"], contextlib.nullcontext()
    elif name == KERNEL:
        words, around = [*OF_KERNEL, f"run.dir={name}"], contextlib.nullcontext()
    elif name == SCANNED:
        words, around = [*SCAN, f"run.dir={name}"], contextlib.nullcontext()
    else:
        changes, around = {**SCENARIOS, **ENDS_THE_JOB}[name]
        words = [*SMALL, *changes, f"run.dir={name}", "run.progress=lines"]
    errors = sys.stderr if name in ENDS_THE_JOB else told
    with around, contextlib.redirect_stderr(errors), contextlib.redirect_stdout(printed):
        code = main(words)
    found = {"code": code, "stderr": told.getvalue(), "stdout": printed.getvalue()}
    Path(f"{name}-{os.environ['PMI_RANK']}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    os.chdir(sys.argv[1])
    for name in sys.argv[2:]:
        run(name)
