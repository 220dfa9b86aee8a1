"""The command of a complete run shows its results again, if they are still those of its data and files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qmltrain.cli import main

WORDS = ("preprocess=angles", "encoding=angle", "circuit.n_qubits=2", "train.epochs=1", "train.baseline=false")


@pytest.fixture
def command(tmp_path: Path, monkeypatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QMLTRAIN_DATA", str(tmp_path))
    write(Path("data.npz"), 0)
    Path("mine.txt").write_text("Z0\n")
    observable = (
        "observable=hamiltonian",
        "observable.path=mine.txt",
        "head=linear",
        "run.dir=here",
        "run.progress=none",
    )
    words = ["dataset=npz", "dataset.path=data.npz", *WORDS, *observable]
    assert main(words) == 0
    return words


def write(path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    np.savez(path, x=rng.random((40, 2)), y=np.arange(40) % 2)


def test_it_is_complete(command, capsys) -> None:
    assert main(command) == 0 and main(["resume", "here"]) == 0
    assert capsys.readouterr().out.count("this run is complete; nothing to do") == 2


@pytest.mark.parametrize("again", ["command", "resume"])
def test_other_data_under_the_same_name(command, capsys, again) -> None:
    before = Path("here/run.h5").read_bytes()
    write(Path("data.npz"), 1)
    capsys.readouterr()
    assert main(command if again == "command" else ["resume", "here"]) == 2
    ended = capsys.readouterr()
    assert "dataset: npz has changed since the run in here began (sha256 was " in ended.err and not ended.out
    assert Path("here/run.h5").read_bytes() == before


def test_another_observable_under_the_same_name(command, capsys) -> None:
    Path("mine.txt").write_text("Z1\n")
    assert main(command) == 2
    assert "mine.txt" in capsys.readouterr().err


def test_data_that_are_gone(command, capsys) -> None:
    Path("data.npz").unlink()
    with pytest.warns(UserWarning, match="its data cannot be compared with those it was trained on: .*data.npz"):
        assert main(command) == 0
    assert "complete; nothing to do" in capsys.readouterr().out
