"""Ranks of a real launcher for long: equal run files, and trainings that kills, signals and errors end at random.

    python -m tests.ranks.soak bits            run files of 1, 2, 3 and 5 ranks, with threads, chunks and spans
    python -m tests.ranks.soak ends [TIMES]    a rank is killed, gets a signal or fails, at random times (100)

`QMLTRAIN_SEED` chooses other random times; MPIEXEC another launcher than that beside this Python. Takes some minutes.
scripts/check_ranks runs both.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np

from tests.ranks.written_arrays import tables

SMALL = [
    "dataset=npz", "preprocess=angles", "preprocess.pca=null", "circuit.n_qubits=4", "encoding.repeats=2",
    "train.epochs=30", "train.baseline=false", "run.parameters_every=7", "run.gradients=full", "run.save_every=5",
    "run.progress=lines", "engine.name=cpu", "train.batch_size=80",
]  # fmt: skip
PATIENCE = 120.0  # seconds until a job that ought to be over is called hanging
LAUNCHER = os.environ.get("MPIEXEC") or shutil.which("mpiexec", path=str(Path(sys.executable).parent))
OPEN_MPI = ["--oversubscribe", "--allow-run-as-root"]
RANK_VARIABLES = ("PMI_RANK", "OMPI_COMM_WORLD_RANK")


def own_rank() -> int:
    return int(next(os.environ[name] for name in RANK_VARIABLES if name in os.environ))


def launched(ranks: int, words: list[str], program: list[str] | None = None) -> list[str]:
    """The command; `program`: another one than qmltrain."""
    assert LAUNCHER is not None, "no mpiexec beside this Python: pip install mpich, or set MPIEXEC"
    version = subprocess.run([LAUNCHER, "--version"], capture_output=True, text=True, check=True).stdout
    options = OPEN_MPI if "Open MPI" in version or "OpenRTE" in version else []
    return [LAUNCHER, *options, "-n", str(ranks), sys.executable, "-m", *(program or ["qmltrain"]), *words]


def slowly(happens: str = "nothing", rank: int = 0, step: int = 0) -> list[str]:
    """A training that is long enough to be met; from `step` on the disk of `rank` is "full", or `rank` is to "stop"."""
    return ["tests.ranks.soak", "train", happens, str(rank), str(step)]


def train(happens: str, rank: int, step: int, words: list[str]) -> int:
    """What one process of the launcher does."""
    from qmltrain.cli import main
    from qmltrain.training.native_steps import NativeSteps

    earlier = NativeSteps.run

    def run(self, state, most, seconds, rows):
        if own_rank() == rank and state.step >= step:
            if happens == "full":
                raise OSError(28, "No space left on device", "/scratch/x")
            if happens == "stop":
                os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)
        return earlier(self, state, 1, seconds, rows)

    NativeSteps.run = run  # type: ignore[method-assign]
    return main(words)


def write_samples(folder: Path) -> str:
    x = np.random.default_rng(1).uniform(-1, 1, (640, 2))
    np.savez(folder / "samples.npz", x=x, y=(x**2).sum(axis=1) > 0.6)
    return f"dataset.path={folder / 'samples.npz'}"


def bits(folder: Path) -> None:
    """Every way has the run file of one process; so has one that goes on with other ranks."""
    data = write_samples(folder)
    words = [*SMALL, data, "train.epochs=4"]
    alone = folder / "alone"
    subprocess.run([sys.executable, "-m", "qmltrain", *words, f"run.dir={alone}"], check=True, capture_output=True)
    expected = tables(alone)
    ways = product((1, 2, 3, 5), (1, 2), ("null", "0.0002"), ("null", "1", "7"))
    for number, (ranks, threads, memory, span) in enumerate(ways):
        directory = folder / f"run-{number}"
        words_of_way = [*words, f"run.dir={directory}", f"engine.threads={threads}"]
        # little memory makes small chunks, a snapshot ends a span
        words_of_way += [f"engine.memory_gib={memory}", f"run.save_every={span}"]
        if number % 2:
            check_run(launched(ranks, words_of_way, slowly("stop", ranks - 1, 11)), 75)
            ranks = (1, 2, 3, 5)[number // 2 % 4]
        check_run(launched(ranks, words_of_way), 0)
        found = tables(directory)
        different = [name for name in expected if found[name] != expected[name]]
        assert not different, f"{' '.join(words_of_way)}, {ranks} ranks: {different} differ"
        shutil.rmtree(directory)
    print(f"bits: {number + 1} runs have those of one process")


def check_run(command: list[str], code: int) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == code, f"{' '.join(command)}: {done.returncode}\n{done.stderr}"


def processes_of(directory: Path) -> dict[int, int]:
    """Process of each rank that works on a run."""
    found = {}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            if not entry.name.isdigit() or str(directory).encode() not in (entry / "cmdline").read_bytes():
                continue
            environment = dict(item.partition("=")[::2] for item in (entry / "environ").read_text().split("\0"))
            name = next((name for name in RANK_VARIABLES if name in environment), None)
            if name is not None:
                found[int(environment[name])] = int(entry.name)
    return found


def ends(folder: Path, times: int, chance: random.Random) -> None:
    """Each time all ranks end, within seconds, with one line of ours; the same command goes on to the same bits."""
    data = write_samples(folder)
    words = [*SMALL, data]
    alone = folder / "alone"
    begun = time.monotonic()
    check_run(launched(1, [*words, f"run.dir={alone}"], slowly()), 0)
    length, expected, seen = time.monotonic() - begun, tables(alone), []
    for number in range(times):
        directory = folder / f"run-{number}"
        command = [*words, f"run.dir={directory}"]
        ranks, way = chance.choice((2, 3, 5)), ("killed", "signal", "error")[number % 3]
        rank = number // 3 % ranks
        found = one_end(way, ranks, rank, command, chance, 1.5 * length)
        goes_on = launched(chance.choice((1, 2, 3)), command)
        check_run(goes_on, 0)
        assert tables(directory) == expected, f"{way} of rank {rank} of {ranks}: other numbers"
        assert not processes_of(directory), f"{way}: processes are left"
        seen.append({"way": way, "ranks": ranks, "rank": rank, **found})
        print(json.dumps(seen[-1]), flush=True)
        shutil.rmtree(directory)
    slowest = max(one["seconds"] for one in seen)
    print(f"ends: {times} times; the slowest end took {slowest:.1f} s; all went on to the bits of one process")


def one_end(
    way: str, ranks: int, rank: int, words: list[str], chance: random.Random, length: float
) -> dict[str, object]:
    """How a job ends after something has happened to `rank`."""
    if way == "error":
        step = chance.randrange(0, 150)
        begun = time.monotonic()
        job = subprocess.run(
            launched(ranks, words, slowly("full", rank, step)),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        lines = ours(job.stderr)
        of_rank = "" if rank == 0 else f"rank {rank}: "
        assert job.returncode == 1 and lines == [f"qmltrain: {of_rank}error: /scratch/x: No space left on device"], (
            job.returncode,
            job.stderr,
        )
        return {"at": step, "code": 1, "seconds": round(time.monotonic() - begun, 1)}
    directory = Path(words[-1].partition("=")[2])
    job = subprocess.Popen(launched(ranks, words, slowly()), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    at = chance.uniform(0.3, length)
    time.sleep(at)
    process = processes_of(directory).get(rank)
    if process is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL if way == "killed" else chance.choice((signal.SIGTERM, signal.SIGUSR1)))
    begun = time.monotonic()
    try:
        _, told = job.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        raise AssertionError(f"{way} of rank {rank} of {ranks} after {at:.2f} s: hangs") from None
    assert "Traceback" not in told, told
    lines = ours(told)
    assert len(lines) <= 1, told
    if way == "signal" and lines:
        assert "stopped by" in lines[0] and job.returncode == 75, (job.returncode, told)
    return {"at": round(at, 2), "code": job.returncode, "seconds": round(time.monotonic() - begun, 1), "line": lines}


def ours(told: str) -> list[str]:
    """Lines of errors that ranks wrote."""
    return [line for line in told.splitlines() if line.startswith("qmltrain: ")]


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="qmltrain-ranks-") as path:
        yield Path(path)


def main(words: list[str]) -> int:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    match words:
        case ["train", happens, rank, step, *rest]:
            return train(happens, int(rank), int(step), rest)
        case ["bits"]:
            with folder() as where:
                bits(where)
        case ["ends", *times]:
            chance = random.Random(int(os.environ.get("QMLTRAIN_SEED", "0")))
            with folder() as where:
                ends(where, int(times[0]) if times else 100, chance)
        case _:
            print(__doc__)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
