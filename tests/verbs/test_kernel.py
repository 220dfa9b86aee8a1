"""The verb as users call it: exit codes, one line for a mistake, sweeps."""

from __future__ import annotations

import json

import pytest

from qmltrain.cli import main

SMALL = [
    "encoding=angle",
    "circuit.n_qubits=2",
    "dataset=make_moons",
    "dataset.n_samples=50",
    "preprocess=angles",
    "engine=interpreter",
    "run.progress=none",
]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_matrix_and_a_machine(capsys, tmp_path):
    assert main(["kernel", *SMALL]) == 0
    printed = capsys.readouterr().out
    [path] = tmp_path.glob("runs/run-*/kernel.h5")
    assert printed.startswith(f"kernel     {path.relative_to(tmp_path)}: fidelity, 2 qubits\n")
    assert "test accuracy" in printed and "RBF kernel on the same features" in printed
    assert main(["kernel", *SMALL]) == 0  # found again
    assert len(list(tmp_path.glob("runs/*"))) == 1


def test_kinds_are_chosen_as_groups_are(capsys):
    assert main(["kernel", *SMALL, "kernel=projected", "kernel.gamma=0.5", "kernel.fit=false"]) == 0
    assert ": projected, gamma 0.5, 2 qubits" in capsys.readouterr().out


def test_a_sweep_has_a_directory_for_each_point(tmp_path, capsys):
    assert main(["kernel", "-m", *SMALL, "encoding=angle,zz_feature_map", "kernel.fit=false"]) == 0
    assert len(list(tmp_path.glob("runs/*/kernel.h5"))) == 2
    [points] = tmp_path.glob("multirun/*/*/points.jsonl")
    assert [json.loads(line)["exit_code"] for line in points.read_text().splitlines()] == [0, 0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["kernel=linear"], "kernel"),
        (["kernel.gamma=0.5"], "kernel.gamma: not used by fidelity"),
        (["kernel=projected", "kernel.gamma=0"], "kernel.gamma: found 0"),
        (["kernel.C=[]"], "kernel.C: found []"),
        (["kernel.C=[1,1]"], "kernel.C"),
        (["kernel.folds=1"], "kernel.folds: found 1"),
        (["kernel.folds=900"], "kernel.folds: 900 parts"),
        (["kernel.run=nowhere"], "encoding: the run's own is taken with kernel.run"),
        (["encoding=none"], "reads no features"),
        (["circuit.n_qubits=40"], "error: 2 states of 1 sample need 16 TiB of"),
        (["kernel.fit=false", "kernel.folds=3"], "kernel.folds: not used with kernel.fit=false"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(words, message, capsys, tmp_path):
    assert main(["kernel", *SMALL, *words]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1
    assert printed.err.startswith("qmltrain: error: ") and message in printed.err
    assert not (tmp_path / "runs").exists()


def test_a_run_that_is_not_there(capsys):
    assert main(["kernel", "kernel.run=nowhere"]) == 2
    assert "kernel.run: nowhere: there is no run here" in capsys.readouterr().err
