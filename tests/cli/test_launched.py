"""Commands under a launcher: who prints, what is refused, and that MPI is not met without one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from qmltrain.cli import main
from qmltrain.cli.known_verbs import known_verbs
from qmltrain.cli.launched import Launched
from qmltrain.errors import InputError

SMALL = ["dataset=none", "encoding=none", "circuit.n_qubits=2", "observable=ising", "loss=expectation", "head=raw"]


@pytest.fixture
def as_rank(monkeypatch):
    """The environment of a rank of two."""

    def set_rank(rank: int) -> None:
        monkeypatch.setenv("PMI_SIZE", "2")
        monkeypatch.setenv("PMI_RANK", str(rank))

    return set_rank


@pytest.mark.parametrize(
    "verb", [verb for verb in known_verbs().values() if not verb.ranks], ids=lambda verb: verb.name
)
def test_verbs_that_share_nothing_are_refused(verb, as_rank, capsys):
    as_rank(0)
    with pytest.raises(InputError, match=f"^{verb.name} runs in one process, and mpirun started 2 "):
        Launched([]).check(verb)
    Launched(["run.mpi=never"]).check(verb)


def test_a_sweep_is_refused(as_rank, capsys, tmp_path, monkeypatch):
    as_rank(0)
    monkeypatch.chdir(tmp_path)
    assert main(["-m", *SMALL, "run.seed=1,2"]) == 2
    assert capsys.readouterr().err.startswith("qmltrain: error: -m: a sweep runs in one process, ")
    assert not list(tmp_path.iterdir())


def test_only_the_first_rank_says_what_is_wrong(as_rank):
    for rank, lines in ((0, 1), (1, 0)):
        as_rank(rank)
        words = [sys.executable, "-m", "qmltrain", "plan", *SMALL]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 2 and len(done.stderr.splitlines()) == lines and not done.stdout


@pytest.mark.parametrize("setting", ["auto", "never"])
def test_one_process_meets_no_mpi(setting, tmp_path):
    code = "import sys; from qmltrain.cli import main; main(sys.argv[1:]); assert 'mpi4py' not in sys.modules"
    words = [*SMALL, "train.epochs=1", f"run.dir={tmp_path / 'run'}", f"run.mpi={setting}", "run.progress=none"]
    subprocess.run([sys.executable, "-c", code, *words], capture_output=True, check=True)


def test_missing_mpi_is_said(as_rank, monkeypatch, capsys, tmp_path):
    as_rank(0)
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    monkeypatch.delitem(sys.modules, "qmltrain.ranks.mpi", raising=False)
    assert main([*SMALL, f"run.dir={tmp_path / 'run'}"]) == 2
    message = capsys.readouterr().err
    assert message.startswith("qmltrain: error: run.mpi: mpi4py cannot be imported") and message.count("\n") == 1
    assert "pip install" in message and not (tmp_path / "run").exists()


def test_a_file_may_say_that_each_process_is_on_its_own(as_rank, capsys):
    """What rank 1 prints is seen again."""
    as_rank(1)
    launched = Launched(["experiment=mine"])
    assert not launched.speaks
    assert launched.open("never") is None and launched.speaks
    print("heard")
    assert capsys.readouterr().out == "heard\n"


@pytest.mark.parametrize("verb", ["evaluate", "collect"])
def test_verbs_of_paths_may_be_told_that_they_are_alone(verb, as_rank, capsys, tmp_path):
    as_rank(1)
    assert main([verb, str(tmp_path / "missing"), "run.mpi=never"]) == 2
    assert "missing" in capsys.readouterr().err
