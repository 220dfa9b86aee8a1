"""The command under mpiexec with two ranks: the run file of one process, one snapshot, one line of an error."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from qmltrain.cli import main
from qmltrain.runs.views import open_run
from qmltrain.scans.reading import read_scan
from tests.engines.cuda import fake_cupy
from tests.engines.cuda.emulator_device import compiler
from tests.quantum_kernels.kernel_cases import contents
from tests.ranks.mpi_scenarios import EVALUATED, KERNEL, OF_KERNEL, SCAN, SCANNED, SCENARIOS, SMALL, STOPPED_AT
from tests.ranks.written_arrays import tables
from tests.scans.small_scans import assert_same_bits

ROOT = Path(__file__).parents[2]
MPIEXEC = shutil.which("mpiexec", path=str(Path(sys.executable).parent))  # of the wheel `mpich`

pytestmark = pytest.mark.skipif(
    MPIEXEC is None or importlib.util.find_spec("mpi4py") is None, reason="no mpi4py and mpich"
)

needs_compiler = pytest.mark.skipif(compiler() is None, reason="no C++ compiler: the CUDA emulator needs g++")


def write_samples(folder: Path) -> Path:
    """Two classes on either side of a circle."""
    x = np.random.default_rng(1).uniform(-1, 1, (300, 2))
    samples = {"x": x, "y": (x**2).sum(axis=1) > 0.6}
    np.savez(folder / "samples.npz", **samples)
    with h5py.File(folder / "samples.h5", "w") as file:
        file.update(samples)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Where two ranks went through all scenarios."""
    found = write_samples(tmp_path_factory.mktemp("ranks"))
    done = launch(found, [*SCENARIOS, EVALUATED, SCANNED, KERNEL])
    assert done.returncode == 0, done.stderr
    return found


def launch(folder: Path, names: list[str], seconds: float = 240) -> subprocess.CompletedProcess:
    command = [MPIEXEC, "-n", "2", sys.executable, "-m", "tests.ranks.mpi_scenarios", str(folder), *names]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=seconds, check=False
    )


def ended(folder: Path, name: str) -> list[dict]:
    """How each rank ended."""
    return [json.loads((folder / f"{name}-{rank}.json").read_text()) for rank in (0, 1)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> Path:
    return train_alone(tmp_path_factory.mktemp("alone"), "whole")


def train_alone(folder: Path, scenario: str) -> Path:
    """The run of one process, in this one."""
    write_samples(folder)
    words = [*SMALL, *SCENARIOS[scenario][0]]
    words.append(f"dataset.path={folder / ('samples.h5' if 'dataset=hdf5' in words else 'samples.npz')}")
    assert main([*words, f"run.dir={folder / 'run'}", "run.progress=none"]) == 0
    return folder / "run"


def test_a_run_has_the_numbers_of_one_process(folder, alone):
    assert [rank["code"] for rank in ended(folder, "whole")] == [0, 0]
    assert tables(folder / "whole") == tables(alone)
    first, second = ended(folder, "whole")
    assert "2 ranks, " in first["stderr"] and not second["stderr"]


def test_so_has_one_by_messages(folder, alone):
    assert [rank["code"] for rank in ended(folder, "messages")] == [0, 0]
    assert tables(folder / "messages") == tables(alone)


def test_so_has_one_of_array_steps(folder, tmp_path):
    assert tables(folder / "arrays") == tables(train_alone(tmp_path, "arrays"))


def test_so_has_one_of_rows_that_are_read_when_they_are_asked_for(folder, tmp_path):
    """Each rank reads its own."""
    assert tables(folder / "streamed") == tables(train_alone(tmp_path, "streamed"))
    first, second = (np.array(json.loads((folder / f"rows-{rank}.json").read_text())) for rank in (0, 1))
    assert not np.array_equal(first, second)
    epochs, n_batches = 4, 4  # of 64 and at last of 18 samples; the split that is judged
    assert first.sum() + second.sum() < 2 * epochs * n_batches * 64


@needs_compiler
def test_so_has_one_of_ranks_with_a_gpu_each(folder, tmp_path, monkeypatch):
    """Whole trainings on stand-ins for CuPy: rank 1 takes the second GPU."""
    fake_cupy.instead_of_cupy(monkeypatch, fake_cupy.make())
    assert [rank["code"] for rank in ended(folder, "two gpus")] == [0, 0]
    assert tables(folder / "two gpus") == tables(train_alone(tmp_path, "two gpus"))
    taken = [json.loads((folder / f"gpus-2-{rank}.json").read_text()) for rank in (0, 1)]
    assert [gpu for gpu, _ in taken] == [0, 1]
    assert all(launches for _, launches in taken)


@needs_compiler
def test_two_ranks_do_not_share_a_gpu(folder):
    first, second = ended(folder, "one gpu")
    assert first["code"] == second["code"] == 2
    line = first["stderr"].splitlines()[-1]
    assert line.startswith("qmltrain: error: engine.name: node ")
    assert " has 2 ranks and 1 GPU for them; start one rank for each GPU (" in line


def test_a_signal_to_one_rank_stops_all_and_one_process_goes_on(folder, alone):
    first, second = ended(folder, "stopped")
    assert first["code"] == second["code"] == 75
    assert f"stopped by a signal to another rank after step {STOPPED_AT}, snapshot saved" in first["stderr"]
    assert not second["stderr"]
    assert main(["resume", str(folder / "stopped")]) == 0
    assert tables(folder / "stopped") == tables(alone)


def test_an_error_of_one_rank_is_one_line_of_the_first_and_the_code_of_both(folder):
    first, second = ended(folder, "failed")
    assert first["code"] == second["code"] == 1
    assert first["stderr"].splitlines()[-1] == "qmltrain: rank 1: error: /scratch/x: No space left on device"
    assert not second["stderr"]
    assert open_run(folder / "failed").status == "failed"


@pytest.mark.parametrize(("name", "code", "lines"), [("interrupted", 130, 0), ("broken off", 1, 1)])
def test_who_is_ended_while_mpi_is_opened_ends_all(name, code, lines, tmp_path):
    """The others are in an exchange that it does not come to. (An interrupt is told by rank 0, where it reaches it.)"""
    write_samples(tmp_path)
    done = launch(tmp_path, [name], seconds=60)
    assert done.returncode == code
    said = [line for line in done.stderr.splitlines() if line.startswith("qmltrain: ")]
    assert said == ["qmltrain: rank 1: error: [Errno 5] Input/output error: '/dev/x'"][:lines]


@pytest.mark.parametrize("broken", [[1], [0], [1, 2]])
def test_who_cannot_load_mpi_says_so_and_ends_all(broken, tmp_path):
    """The others are in MPI's own start, where they hear no signal."""
    write_samples(tmp_path)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "mpi4py.py").write_text("raise ImportError('libmpi.so.12 is not there')")
    words = [*SMALL, "run.dir=run"]
    done = launch_each(tmp_path, [(words, "broken" if rank in broken else "") for rank in range(3)])
    told = [line for line in done.stderr.splitlines() if line.startswith("qmltrain: ")]
    of_rank = "rank 1: " if 0 not in broken else ""
    assert done.returncode == 2 and len(told) == 1, done.stderr
    assert told[0].startswith(f"qmltrain: {of_rank}error: run.mpi: mpi4py cannot be imported (libmpi.so.12 is not")


def test_it_says_so_under_a_launcher_that_ends_the_others_by_itself(tmp_path):
    """Open MPI's mpirun, of which there is the environment alone."""
    (tmp_path / "mpi4py.py").write_text("raise ImportError('libmpi.so.12 is not there')")
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}", "OMP_NUM_THREADS": "1"}
    environment |= {"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "1"}
    command = [sys.executable, "-m", "qmltrain", *SMALL, "run.dir=run"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("qmltrain: rank 1: error: run.mpi: mpi4py cannot be imported (libmpi.so.12 is not")


def test_a_rank_with_a_verb_that_shares_nothing_ends_all(tmp_path):
    write_samples(tmp_path)
    done = launch_each(tmp_path, [([*SMALL, "run.dir=run"], ""), (["plan", *SMALL], "")])
    told = [line for line in done.stderr.splitlines() if line.startswith("qmltrain: ")]
    assert done.returncode == 2 and len(told) == 1, done.stderr
    assert told[0].startswith("qmltrain: rank 1: error: plan runs in one process, and mpirun started 2 ")


def launch_each(folder: Path, ranks: list[tuple[list[str], str]]) -> subprocess.CompletedProcess:
    """One mpiexec, whose ranks have their own words and modules in front of others."""
    command = [MPIEXEC]
    for words, modules in ranks:
        path = f"PYTHONPATH={folder / modules}:{ROOT}" if modules else f"PYTHONPATH={ROOT}"
        command += ["-n", "1", "env", path, sys.executable, "-m", "qmltrain", *words, ":"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command[:-1], cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("name", "code", "line"),
    [
        ("left", 1, "qmltrain: rank 1: error: the process was ended by sys.exit(3)"),
        (
            "others",
            2,
            "qmltrain: error: ranks: rank 0 was started with run.seed=0, rank 1 with run.seed=1; ranks share ",
        ),
        ("early", 2, "qmltrain: rank 1: error: --config-dir: 'missing' is not a folder"),
    ],
)
def test_all_end_where_one_fails_in_another_way(folder, name, code, line):
    first, second = ended(folder, name)
    assert first["code"] == second["code"] == code
    assert first["stderr"].splitlines()[-1].startswith(line)
    assert not second["stderr"]


def test_what_is_refused_is_refused_once(folder):
    first, second = ended(folder, "refused")
    assert first["code"] == second["code"] == 2
    assert first["stderr"].startswith("qmltrain: error: head.name: raw ") and first["stderr"].count("\n") == 1
    assert not second["stderr"] and not (folder / "refused").exists()


def test_an_evaluation_is_that_of_one_process(folder, alone, tmp_path, capsys):
    first, second = ended(folder, EVALUATED)
    assert first["code"] == second["code"] == 0 and not first["stderr"] and not second["stderr"]
    predictions = tmp_path / "alone.csv"
    assert main(["evaluate", str(alone), "--predictions", str(predictions)]) == 0
    expected = capsys.readouterr().out.splitlines()[1:-1]  # without the names of run and file
    assert first["stdout"].splitlines()[1:-1] == expected and any("test/accuracy" in line for line in expected)
    assert not second["stdout"]
    assert (folder / f"{EVALUATED}.csv").read_bytes() == predictions.read_bytes()


def test_a_scan_is_that_of_one_process(folder, tmp_path, capsys):
    first, second = ended(folder, SCANNED)
    assert first["code"] == second["code"] == 0 and not first["stderr"] and not second["stderr"]
    assert main([*SCAN, f"run.dir={tmp_path / 'alone'}"]) == 0
    assert first["stdout"].splitlines()[:-1] == capsys.readouterr().out.splitlines()[:-1]  # without the file's name
    assert not second["stdout"]
    assert_same_bits(read_scan(folder / SCANNED), read_scan(tmp_path / "alone"))


def test_a_kernel_is_that_of_one_process(folder, tmp_path, capsys):
    first, second = ended(folder, KERNEL)
    assert first["code"] == second["code"] == 0 and not first["stderr"] and not second["stderr"]
    assert main([*OF_KERNEL, f"run.dir={tmp_path / 'alone'}"]) == 0
    assert not second["stdout"] and first["stdout"].count("\n") == capsys.readouterr().out.count("\n")
    found, expected = (contents(path / "kernel.h5") for path in (folder / KERNEL, tmp_path / "alone"))
    assert found.keys() == expected.keys() and "train" in found
    for name, values in expected.items():
        assert values.tolist() == found[name].tolist(), name
