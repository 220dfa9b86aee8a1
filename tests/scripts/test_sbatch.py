"""The job scripts, run by bash with a SLURM that only writes down what it was asked."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
TRAIN, SWEEP = SCRIPTS / "train.sbatch", SCRIPTS / "sweep_array.sbatch"
SCAN, RANKS = SCRIPTS / "scan_array.sbatch", SCRIPTS / "train_ranks.sbatch"

# srun runs its command and passes its exit code on; each fake writes its arguments, one per line.
FAKES = {
    "srun": 'printf "%s\\n" "$@" > "$RECORD/srun"; while [ "${1#--}" != "$1" ]; do shift; done; "$@"',
    "qmltrain": 'printf "%s\\n" "$@" > "$RECORD/qmltrain"; env > "$RECORD/environment"; exit "$QMLTRAIN_EXIT"',
    "squeue": 'printf "%s\\n" "$@" > "$RECORD/squeue"; echo "$JOB_STATE"',
    "scontrol": 'printf "%s\\n" "$@" >> "$RECORD/scontrol"',
}

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="the job scripts need bash")


class FakeCluster:
    """Runs job scripts; ``calls(program)`` are the arguments it was last called with, None where it was not."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.programs = directory / "bin"
        self.programs.mkdir()
        for name, body in FAKES.items():
            program = self.programs / name
            program.write_text(f"#!/bin/bash\n{body}\n")
            program.chmod(0o755)

    def run(self, script: Path, *arguments: str, exit_code: int = 0, **environment: str) -> subprocess.CompletedProcess:
        for name in (*FAKES, "environment"):
            (self.directory / name).unlink(missing_ok=True)
        clean = {name: value for name, value in os.environ.items() if not name.startswith("SLURM")}
        return subprocess.run(
            ["bash", script, *arguments],
            cwd=self.directory,
            env={
                **clean,
                "PATH": f"{self.programs}:{os.environ['PATH']}",
                "RECORD": str(self.directory),
                "QMLTRAIN_EXIT": str(exit_code),
                "SLURM_JOB_ID": "100",
                "JOB_STATE": "RUNNING None",
                **environment,
            },
            capture_output=True,
            text=True,
        )

    def calls(self, program: str) -> list[str] | None:
        record = self.directory / program
        return record.read_text().splitlines() if record.exists() else None


@pytest.fixture
def cluster(tmp_path: Path) -> FakeCluster:
    return FakeCluster(tmp_path)


@pytest.fixture
def sweep_file(tmp_path: Path) -> Path:
    path = tmp_path / "sweep.txt"
    path.write_text(
        "# comment\n"
        "run.seed=0 ansatz.layers=2\n"
        "\n"
        "   # another\n"
        '  run.seed=1   \'observable.terms=["Z0 Z1", "X2"]\' dataset.path=*.txt$HOME\n'
        'run.name="it\'s"  # no comment here\n'
        "run.seed=3"  # without a line end
    )
    return path


def array(task: int, tasks: int = 3) -> dict[str, str]:
    bounds = {"SLURM_ARRAY_TASK_MIN": "1", "SLURM_ARRAY_TASK_MAX": str(tasks)}
    return {"SLURM_ARRAY_JOB_ID": "90", "SLURM_ARRAY_TASK_ID": str(task), **bounds}


@pytest.mark.parametrize(("script", "option"), [(TRAIN, "--kill-on-bad-exit=1"), (RANKS, "--wait=30")])
@pytest.mark.parametrize("exit_code", [0, 1, 2, 75, 130, 137])
def test_one_run_is_requeued_on_75_alone(cluster: FakeCluster, script: Path, option: str, exit_code: int) -> None:
    done = cluster.run(script, "experiment=digits", "run.name=a b", exit_code=exit_code, SLURM_CPUS_PER_TASK="6")
    assert done.returncode == exit_code, done.stderr
    assert cluster.calls("qmltrain") == ["experiment=digits", "run.name=a b"]
    assert (cluster.calls("srun") or [])[:2] == [option, "qmltrain"]
    assert cluster.calls("scontrol") == (["requeue", "100"] if exit_code == 75 else None)
    assert {"OMP_NUM_THREADS=6", "SRUN_CPUS_PER_TASK=6"} <= set(cluster.calls("environment") or ())


@pytest.mark.parametrize("exit_code", [0, 1, 2, 75, 130, 137])
def test_a_task_is_requeued_on_75_alone_and_by_its_own_name(
    cluster: FakeCluster, sweep_file: Path, exit_code: int
) -> None:
    done = cluster.run(SWEEP, str(sweep_file), "experiment=digits", exit_code=exit_code, **array(1))
    assert done.returncode == exit_code, done.stderr
    assert cluster.calls("scontrol") == (["requeue", "90_1"] if exit_code == 75 else None)


@pytest.mark.parametrize(
    ("task", "overrides"),
    [
        (1, ["run.seed=0", "ansatz.layers=2"]),
        (2, ["run.seed=1", 'observable.terms=["Z0 Z1", "X2"]', "dataset.path=*.txt$HOME"]),
        (3, ["run.name=it's", "#", "no", "comment", "here"]),
        (4, ["run.seed=3"]),
    ],
)
def test_each_task_takes_its_line(cluster: FakeCluster, sweep_file: Path, task: int, overrides: list[str]) -> None:
    done = cluster.run(SWEEP, str(sweep_file), "experiment=digits", "run.name=x", **array(task))
    assert done.returncode == 0, done.stderr
    assert cluster.calls("qmltrain") == ["experiment=digits", "run.name=x", *overrides]


def test_a_sweep_file_of_windows(cluster: FakeCluster, tmp_path: Path) -> None:
    path = tmp_path / "windows.txt"
    path.write_bytes(b"\xef\xbb\xbf# how deep\r\n\r\nrun.seed=0 'run.name=a b'\r\nrun.seed=1\r\n")
    for task, words in ((1, ["run.seed=0", "run.name=a b"]), (2, ["run.seed=1"])):
        assert cluster.run(SWEEP, str(path), **array(task)).returncode == 0
        assert (tmp_path / "qmltrain").read_bytes() == "".join(f"{word}\n" for word in words).encode()
    assert cluster.run(SWEEP, str(path), **array(3)).returncode == 2


@pytest.mark.parametrize("script", [TRAIN, RANKS, SWEEP, SCAN])
@pytest.mark.parametrize("name", ["TERM", "USR1", "HUP"])
def test_a_signal_to_the_whole_job_leaves_time_for_the_snapshot(
    cluster: FakeCluster, sweep_file: Path, script: Path, name: str
) -> None:
    signalled = cluster.programs / "qmltrain"  # the job's shell is the parent of the parent, srun
    signalled.write_text(
        f'#!/bin/bash\ntrap "" {name}\nkill -{name} "$(ps -o ppid= -p "$PPID")"\nsleep 0.2\n'
        'touch "$RECORD/snapshot"\nexit 75\n'
    )
    words = {SWEEP: [str(sweep_file)], SCAN: ["scan.draws=3"]}.get(script, [])
    done = cluster.run(script, *words, **array(1))
    assert done.returncode == 75 and (cluster.directory / "snapshot").exists(), done.stderr
    assert cluster.calls("scontrol") == ["requeue", "100" if script in (TRAIN, RANKS) else "90_1"]


@pytest.mark.parametrize(
    ("state", "goes_on"),
    [
        ("RUNNING None", True),
        ("COMPLETING TimeLimit", True),  # the signal before the limit came too late
        ("COMPLETING None", False),  # scancel
        ("", True),  # no answer
    ],
)
@pytest.mark.parametrize("script", [TRAIN, RANKS, SWEEP, SCAN])
def test_a_cancelled_job_stays_cancelled(
    cluster: FakeCluster, sweep_file: Path, script: Path, state: str, goes_on: bool
) -> None:
    words = {SWEEP: [str(sweep_file)], SCAN: ["scan.draws=3"]}.get(script, [])
    job = "100" if script in (TRAIN, RANKS) else "90_1"
    done = cluster.run(script, *words, exit_code=75, JOB_STATE=state, **array(1))
    assert done.returncode == 75 and cluster.calls("scontrol") == (["requeue", job] if goes_on else None)
    assert cluster.calls("squeue") == ["--noheader", f"--jobs={job}", "--format=%T %r"]


@pytest.mark.parametrize("task", [0, 5, 17])
def test_a_task_without_a_line_is_refused(cluster: FakeCluster, sweep_file: Path, task: int) -> None:
    done = cluster.run(SWEEP, str(sweep_file), **array(task))
    assert done.returncode == 2
    assert f"no line for task {task}; it has 4: submit with --array=1-4" in done.stderr
    assert cluster.calls("srun") is None and cluster.calls("scontrol") is None


def test_other_mistakes_are_refused(cluster: FakeCluster, tmp_path: Path, sweep_file: Path) -> None:
    (tmp_path / "empty.txt").write_text("# nothing\n\n")
    (tmp_path / "quotes.txt").write_text("run.name='open\n")
    for arguments, environment, message in [
        ((), array(1), "no sweep file"),
        ((str(sweep_file),), {}, "not a job array"),
        (("missing.txt",), array(1), "missing.txt: no such file"),
        (("empty.txt",), array(1), "no line for task 1; it has 0"),
        (("quotes.txt",), array(1), "quotes do not match: run.name='open"),
    ]:
        done = cluster.run(SWEEP, *arguments, **environment)
        assert done.returncode == 2 and message in done.stderr, (done.returncode, done.stderr)
        assert cluster.calls("srun") is None


def test_the_example_sweep_is_one(cluster: FakeCluster) -> None:
    example = SCRIPTS / "sweep_example.txt"
    for task in range(1, 7):
        assert cluster.run(SWEEP, str(example), **array(task)).returncode == 0
        assert len(cluster.calls("qmltrain") or ()) == 2
    assert cluster.run(SWEEP, str(example), **array(7)).returncode == 2


@pytest.mark.parametrize("exit_code", [0, 2, 75])
def test_each_task_of_a_scan_takes_its_shard(cluster: FakeCluster, exit_code: int) -> None:
    words = ["circuit.n_qubits=2,4", "observable.terms=['Z0 Z1']"]
    done = cluster.run(SCAN, *words, exit_code=exit_code, SLURM_CPUS_PER_TASK="6", **array(2))
    assert done.returncode == exit_code, done.stderr
    assert cluster.calls("qmltrain") == ["scan", *words, "scan.shard=2/3"]
    assert (cluster.calls("srun") or [])[:2] == ["--kill-on-bad-exit=1", "qmltrain"]
    assert cluster.calls("scontrol") == (["requeue", "90_2"] if exit_code == 75 else None)
    assert {"OMP_NUM_THREADS=6", "SRUN_CPUS_PER_TASK=6"} <= set(cluster.calls("environment") or ())


def test_some_tasks_of_a_scan_are_submitted_again(cluster: FakeCluster) -> None:
    again = {**array(5, 5), "SLURM_ARRAY_TASK_MIN": "5"}
    done = cluster.run(SCAN, "scan.draws=3", **again)
    assert done.returncode == 2 and "set SCAN_SHARDS=K" in done.stderr and cluster.calls("srun") is None
    assert cluster.run(SCAN, "scan.draws=3", SCAN_SHARDS="8", **again).returncode == 0
    assert cluster.calls("qmltrain") == ["scan", "scan.draws=3", "scan.shard=5/8"]


def test_mistakes_of_a_scan_are_refused(cluster: FakeCluster) -> None:
    for arguments, environment, message in [
        ((), array(1), "no config"),
        (("scan.draws=3",), {}, "not a job array"),
        (("scan.draws=3",), array(4), "task 4 is none of 3 shards; submit with --array=1-3"),
    ]:
        done = cluster.run(SCAN, *arguments, **environment)
        assert done.returncode == 2 and message in done.stderr, (done.returncode, done.stderr)
        assert cluster.calls("srun") is None


@pytest.mark.parametrize("script", [TRAIN, RANKS, SWEEP, SCAN])
def test_what_slurm_is_asked_for(script: Path) -> None:
    options = " ".join(re.findall(r"^#SBATCH (.*)$", script.read_text(), re.MULTILINE)).split()
    assert {"--signal=USR1@120", "--requeue", "--open-mode=append"} <= set(options)
    first_command = re.search(r"^[^#\n]", script.read_text(), re.MULTILINE)
    last_option = script.read_text().rindex("#SBATCH")
    assert first_command is not None and last_option < first_command.start()  # SLURM reads none after that
