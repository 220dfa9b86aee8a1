"""`-m`: every point runs, one bad point does not end the sweep, a signal does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import qmltrain.cli
from qmltrain.errors import InterruptedRun, NonFiniteError


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Points as (n_qubits, seed); five qubits fail, six are stopped by a signal, seven hit a bug."""
    points: list[tuple[int, int]] = []

    def run(config, context):
        points.append((config.circuit.n_qubits, config.run.seed))
        assert f"circuit.n_qubits={config.circuit.n_qubits}" in context.overrides
        match config.circuit.n_qubits:
            case 5:
                raise NonFiniteError("loss is nan at step 3")
            case 6:
                raise InterruptedRun("stopped")
            case 7:
                raise ZeroDivisionError("oh")

    monkeypatch.setattr(qmltrain.cli.dispatch, "verb_function", lambda verb: run)
    return points


def records() -> list[dict]:
    [path] = Path("multirun").glob("*/*/points.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_combination_runs_once(qmltrain, seen):
    ended = qmltrain("-m", "circuit.n_qubits=2,3", "run.seed=0,1")
    assert ended.code == 0, ended.err
    assert seen == [(2, 0), (2, 1), (3, 0), (3, 1)]
    assert "point 2: circuit.n_qubits=3 run.seed=0" in ended.err and "4 of 4 points done" in ended.err
    assert [record["exit_code"] for record in records()] == [0, 0, 0, 0]
    assert records()[3]["overrides"] == ["circuit.n_qubits=3", "run.seed=1"]


def test_a_bad_point_does_not_end_the_sweep(qmltrain, seen):
    ended = qmltrain("-m", "circuit.n_qubits=5,45,7,2", "run.seed=3")
    assert ended.code == 1
    assert seen == [(5, 3), (7, 3), (2, 3)]
    assert [record["exit_code"] for record in records()] == [1, 2, 1, 0]
    assert "sweep: 1 of 4 points done" in ended.err
    assert "failed: point 0: error: loss is nan at step 3" in ended.err
    assert "failed: point 1: error: circuit.n_qubits: found 45" in ended.err
    assert "Traceback" not in ended.err


def test_a_signal_ends_the_sweep(qmltrain, seen):
    ended = qmltrain("-m", "circuit.n_qubits=2,6,3")
    assert ended.code == 75 and seen == [(2, 0), (6, 0)]
    assert "run the same command again" in ended.err
    assert [record["exit_code"] for record in records()] == [0, 75]


def test_points_that_do_not_compose_are_refused_before_the_first_runs(qmltrain, seen):
    for words in (["circuit.n_qubits=2,many"], ["ansatz=hea,foo"], ["circuit.n_qubit=2,3"]):
        ended = qmltrain("-m", *words)
        assert ended.code == 2 and ended.err.count("\n") == 1 and not seen, ended.err


def test_a_config_may_ask_for_its_sweep(qmltrain, seen):
    Path("mine/experiment").mkdir(parents=True)
    Path("mine/experiment/widths.yaml").write_text(
        "# @package _global_\nhydra:\n  mode: MULTIRUN\n  sweeper:\n    params:\n      circuit.n_qubits: 2,3\n"
    )
    ended = qmltrain("--config-dir", "mine", "experiment=widths", "run.seed=1")
    assert ended.code == 0, ended.err
    assert seen == [(2, 1), (3, 1)]


def test_the_directory_of_the_sweep_can_be_chosen(qmltrain, seen):
    assert qmltrain("-m", "circuit.n_qubits=2,3", "hydra.sweep.dir=here/s").code == 0
    assert sorted(path.name for path in Path("here/s").iterdir()) == ["multirun.yaml", "points.jsonl"]


def test_one_value_is_a_sweep_of_one_point(qmltrain, seen):
    assert qmltrain("-m", "circuit.n_qubits=2").code == 0
    assert seen == [(2, 0)]


def test_hydras_argument_parser_is_never_built(qmltrain, seen, monkeypatch):
    # Hydra 1.3's breaks on Python 3.14.
    import hydra._internal.utils

    def refuse():
        raise AssertionError("built")

    monkeypatch.setattr(hydra._internal.utils, "get_args_parser", refuse)
    assert qmltrain("-m", "circuit.n_qubits=2,3").code == 0
    assert qmltrain("circuit.n_qubits=2").code == 0
