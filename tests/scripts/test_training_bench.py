"""scripts/bench/training.py: peers get what qmltrain trained, a wrong one ends the run, a missing one is told.

A peer in NumPy that shares no code with qmltrain (parameter_shift_peer.py) stands for the tools, which are not here.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import sys
from pathlib import Path

import numpy as np
import pytest

BENCH = Path(__file__).resolve().parents[2] / "scripts" / "bench"
PEER = "tests.scripts.parameter_shift_peer"
CASE = "4,1,5 4 classes"
QUICK = [
    "--rounds",
    "2",
    "--steps",
    "12",
    "--batches",
    "12",
    "--peer-seconds",
    "0.01",
    "--budget",
    "20",
    "--core",
    "-1",
]
PREPARE = {"steps": 3, "budget": 5.0}


@pytest.fixture
def bench(monkeypatch):
    """Modules of scripts/bench by name; they and `peers` are on no path of the package."""
    monkeypatch.syspath_prepend(str(BENCH))
    return importlib.import_module


@pytest.fixture
def training(bench, monkeypatch):
    """training.py with one small case and one peer."""
    script = bench("training")
    monkeypatch.setattr(script, "PEERS", {"shifts": PEER})
    monkeypatch.setattr(script, "CASES", [bench("own_training").Case(4, 1, 5, classes=4)])
    return script


def random_task(bench):
    """3 qubits, 2 layers, 5 batches of 4 samples in 3 classes."""
    rng = np.random.default_rng(1)
    arrays = [rng.normal(size=shape) for shape in ((2, 3, 3), (3, 3), (3,), (5, 4, 3))]
    return bench("peers.protocol").Task(*arrays, rng.integers(0, 3, (5, 4)), 0.125)


@pytest.fixture
def ask(bench, monkeypatch, tmp_path):
    """The first answer of the peer in NumPy, with a mistake or none, to a random task."""
    random_task(bench).write(tmp_path / "task.npz")

    def answer(mistake: str = "", limit: float = 60.0) -> dict:
        monkeypatch.setenv("PEER_MISTAKE", mistake)
        process = bench("peer_process").PeerProcess("shifts", PEER, sys.executable, limit)
        found = process.ask({"task": str(tmp_path / "task.npz"), **PREPARE})
        process.close()
        return found

    return answer


def test_a_peer_that_shares_no_code_agrees_and_all_is_written(training, tmp_path, capsys):
    path = tmp_path / "found.json"
    training.main([*QUICK, "--only", CASE, "--json", str(path)])
    record = json.loads(path.read_text())
    assert list(record["results"]) == [CASE]
    assert record["cpu"] and record["date"] and record["effort"]["batches"] == 12
    found = record["results"][CASE]
    peer, ours, kernel = found["shifts"], found["qmltrain"], found["kernel"]
    assert peer["compared_steps"] == 10 and peer["largest_difference"] < 1e-5
    assert peer["variant"] == "parameter shifts" and peer["versions"] == {"numpy": np.__version__}
    assert ours["steps"] == 24 and ours["repeats"] == 2
    for one in (peer, ours, kernel):
        assert 0 < one["min_seconds"] <= one["step_seconds"] <= one["max_seconds"]
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith(f"| {CASE} |") for line in lines) == 1
    assert any(line.startswith(f"{CASE}: shifts: ") and "10 losses within" in line for line in lines)


def test_a_peer_that_trains_something_else_ends_the_run_and_is_named(training, ask):
    losses = ask()["variants"]["parameter shifts"]["losses"]
    assert training.prepared("shifts", ask(), losses)["compared_steps"] == PREPARE["steps"]
    with pytest.raises(SystemExit, match=r"^shifts \(parameter shifts\): the loss of step [23] is .* the same model$"):
        training.prepared("shifts", ask("gradient"), losses)


@pytest.mark.parametrize(
    ("mistake", "words", "reason"),
    [
        ("import", "not installed", "no module named a_package_that_nobody_has"),
        ("crash", "failed", "exit code 1: ArithmeticError: the tool's own words"),
        ("sleep", "too slow", "no answer in 0.1 s"),
    ],
)
def test_a_peer_without_times_is_told_with_the_reason(training, ask, mistake, words, reason):
    found = training.prepared("shifts", ask(mistake, 0.1 if mistake == "sleep" else 60.0), [0.7])
    assert training.cell(found) == words
    (line,) = training.remarks("4,3,32", {"shifts": found})
    assert line.startswith(f"4,3,32: shifts: {words}: {reason}")


def test_the_fastest_variant_by_its_median_is_told(training):
    variants = {name: {"first_call_seconds": k, "steps": 10 + k} for k, name in enumerate(("a", "b", "slow"))}
    found = training.fastest(variants, {"a": [1.0, 4.0, 5.0], "b": [3.0, 2.0, 9.0]})
    assert found["variant"] == "b" and found["first_call_seconds"] == 1 and found["steps"] == 11
    assert (found["step_seconds"], found["min_seconds"], found["max_seconds"]) == (3.0, 2.0, 9.0)
    assert variants["a"]["step_seconds"] == 4.0 and "step_seconds" not in variants["slow"]


def test_a_row_of_the_table(training):
    def times(*seconds: float) -> dict:
        return training.spread(list(seconds))

    results = {"qmltrain": times(2e-4), "kernel": times(4e-5, 8e-5, 1e-4), "a": times(1.0), "b": times(5e-5, 7e-5)}
    results["c"] = {"missing": "no module named c"}
    assert training.row("4,3,32", results, ["a", "b", "c"]) == (
        "| 4,3,32 | 200 (200 to 200) | 80 (60 to 90) | 2.50 | 1,000,000 (1,000,000 to 1,000,000) | 60 (55 to 65) "
        "| not installed | 0.30 (b) |"
    )
    assert (
        training.row("digits", {"qmltrain": times(1e-3)}, ["a"])
        == "| digits | 1,000 (1,000 to 1,000) | - | - | - | - |"
    )


@pytest.mark.parametrize(
    ("theirs", "words"),
    [
        ([0.7, 0.60011], "step 2"),
        ([math.nan, 0.6], "step 1"),
        ([0.7], "1 losses to compare"),
    ],
)
def test_losses_that_do_not_agree(training, theirs, words):
    with pytest.raises(SystemExit, match=f"^tool: .*{words}"):
        training.agreement("tool", [0.7, 0.6], theirs)
    assert training.agreement("tool", [0.7, 0.6], [0.70001, 0.60009])["compared_steps"] == 2


@pytest.mark.parametrize("words", [["--peers", "jaxx"], ["--python", "jaxx=python"], ["--only", "4,3"]])
def test_what_is_not_known_is_refused(training, words, capsys):
    with pytest.raises(SystemExit) as refused:
        training.main(words)
    assert refused.value.code == 2
    assert f"{words[1].partition('=')[0]!r} is not known; choose from" in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processes cannot be pinned here")
def test_a_core_that_is_not_this_process_s_is_refused(training):
    with pytest.raises(SystemExit, match="--core: 100000 is not one of this process's cores; choose from"):
        training.main(["--core", "100000", "--only", CASE])


def test_an_interpreter_that_is_not_there_is_named(bench):
    with pytest.raises(SystemExit, match="--python shifts=/no/python: cannot be started"):
        bench("peer_process").PeerProcess("shifts", PEER, "/no/python", 1.0)


@pytest.mark.parametrize("classes", [2, 10])
def test_data_are_the_same_each_time_whole_batches_and_every_class_as_frequent(bench, tmp_path, classes):
    own = bench("own_training")
    case = own.Case(4, 3, 32, classes)
    for name in ("a.npz", "b.npz"):
        own.write_data(case, 20, tmp_path / name)
    with np.load(tmp_path / "a.npz") as first, np.load(tmp_path / "b.npz") as second:
        x, y = first["x"], first["y"]
        assert np.array_equal(x, second["x"]) and np.array_equal(y, second["y"])
    assert x.shape == (640, 4) and x.min() >= 0 and x.max() < math.pi
    assert np.array_equal(x, x.astype(np.float32))
    assert np.array_equal(np.bincount(y), np.full(classes, 640 // classes))


def test_a_task_is_read_as_it_was_written(bench, tmp_path):
    written = random_task(bench)
    written.write(tmp_path / "task.npz")
    found = written.read(tmp_path / "task.npz")
    assert all(np.array_equal(value, getattr(found, name)) for name, value in vars(written).items())
    assert (found.qubits, found.layers, found.batches, found.batch) == (3, 2, 5, 4)


def test_the_kernel_with_new_angles_begins_with_those_given(bench):
    kernel, workers = bench("own_kernel"), bench("workers")
    case = bench("compare").hea(3, 2, 5) | {"threads": 1}
    values = workers.values(case)
    loss, gradient = kernel.repeated(case, *values)()
    renewed = kernel.renewed(case, *values)
    first_loss, first_gradient = renewed()
    assert first_loss == loss and np.array_equal(first_gradient, gradient)
    assert renewed()[0] != loss
