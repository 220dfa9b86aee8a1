"""Trouble with a run's directory, through the command itself: one line, the exit code, nothing written over."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from qmltrain.cli import main
from qmltrain.runs.lock import RunLock
from qmltrain.sessions.training_run import run_directory
from tests.small_configs import moons

WORDS = [
    "dataset=make_moons",
    "dataset.n_samples=60",
    "preprocess.pca=null",
    "circuit.n_qubits=2",
    "encoding.repeats=2",
    "engine.name=interpreter",
    "train.epochs=2",
    "train.batch_size=18",
    "train.baseline=false",
    "run.progress=none",
    "run.save_every=1",
]


def qmltrain(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """Exit code and what was written to stderr."""
    code = main([*WORDS, *words])
    return code, capsys.readouterr().err


@pytest.fixture
def finished(tmp_path, capsys) -> Path:  # noqa: ANN001
    directory = tmp_path / "run"
    assert qmltrain(capsys, f"run.dir={directory}")[0] == 0
    return directory


def one_line(text: str) -> str:
    lines = text.strip().splitlines()
    assert len(lines) == 1, text
    return lines[0]


def test_a_live_run_is_refused_and_left_alone(tmp_path, capsys):
    directory = tmp_path / "run"
    directory.mkdir()
    with RunLock(directory):
        before = sorted(directory.iterdir())
        code, text = qmltrain(capsys, f"run.dir={directory}")
        assert sorted(directory.iterdir()) == before
    assert code == 2
    assert "in use" in one_line(text)


@pytest.mark.parametrize("below", ["", "inside"])
def test_a_file_in_the_place_of_the_directory(tmp_path, capsys, below):
    place = tmp_path / "run"
    place.write_text("precious")
    code, text = qmltrain(capsys, f"run.dir={place / below}")
    assert code == 2
    assert f"{place} is not a directory" in one_line(text)
    assert place.read_text() == "precious"


def test_a_directory_that_cannot_be_written_to(capsys):
    code, text = qmltrain(capsys, "run.root=/proc/nothing")
    assert code == 2
    assert "/proc" in one_line(text)


def test_a_run_file_of_another_schema(finished, capsys):
    before = (finished / "run.h5").read_bytes().replace(b"qmltrain-run 2 ", b"qmltrain-run 9 ", 1)
    (finished / "run.h5").write_bytes(before)
    for words in ([f"run.dir={finished}"], ["resume", str(finished)], ["evaluate", str(finished)]):
        code = main(words if words[0] in ("resume", "evaluate") else [*WORDS, *words])
        text = capsys.readouterr().err
        assert code in (1, 2)
        assert "schema version 9; this program reads 1 and 2" in one_line(text)
    assert (finished / "run.h5").read_bytes() == before


def test_a_run_file_that_is_not_one(finished, capsys):
    (finished / "run.h5").write_bytes(b"not HDF5 at all")
    code, text = qmltrain(capsys, f"run.dir={finished}")
    assert code in (1, 2)
    assert "run.h5" in one_line(text)
    assert (finished / "run.h5").read_bytes() == b"not HDF5 at all"


def test_all_snapshots_damaged(tmp_path, capsys, monkeypatch):
    from tests.sessions.stopped_runs import stop_at

    directory = tmp_path / "run"
    with monkeypatch.context() as patch:
        stop_at(patch, 2)
        code, text = qmltrain(capsys, f"run.dir={directory}")
    assert code == 75
    assert "SIGUSR1" in text.splitlines()[-1]
    for path in (directory / "snapshots").glob("step-*"):
        path.write_bytes(path.read_bytes()[:-1])
    kept = {path.name: path.read_bytes() for path in (directory / "snapshots").iterdir()}
    code, text = qmltrain(capsys, f"run.dir={directory}")
    assert code == 1
    assert "snapshot" in text.strip().splitlines()[-1]
    assert {path.name: path.read_bytes() for path in (directory / "snapshots").iterdir()} == kept


def test_a_full_disk_keeps_the_last_good_snapshot(tmp_path, capsys):
    """In a process of its own: RLIMIT_FSIZE makes every file larger than the limit fail as a full disk does."""
    directory = tmp_path / "run"
    program = (
        "import resource, signal, sys\n"
        "from qmltrain.cli import main\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from qmltrain.runs.snapshots import SnapshotFolder\n"
        "save, count = SnapshotFolder.save, []\n"
        "def saving(self, snapshot):\n"
        "    count.append(1)\n"
        "    if len(count) == 3:\n"
        "        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))\n"
        "    return save(self, snapshot)\n"
        "SnapshotFolder.save = saving\n"
        "sys.exit(main(sys.argv[2:]))\n"
    )

    words = [sys.executable, "-c", program, "512", *WORDS, f"run.dir={directory}"]
    full = subprocess.run(words, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert full.returncode == 1, full.stderr
    assert "qmltrain: error:" in full.stderr.strip().splitlines()[-1]
    assert "Traceback" not in full.stderr
    assert main([*WORDS, f"run.dir={directory}"]) == 0
    assert "run file" in capsys.readouterr().out


def test_the_default_directory_comes_from_the_config_alone(tmp_path):
    a, b = moons(tmp_path), moons(tmp_path, run__progress="none", engine__threads=2)
    c = moons(tmp_path, optimizer__learning_rate=0.01)
    assert run_directory(a) == run_directory(b) != run_directory(c)
