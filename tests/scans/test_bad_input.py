"""What a scan cannot be: one line, exit code 2, nothing written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from qmltrain.cli import main
from tests.scans.small_scans import CIRCUIT, GRID

CASES: list[tuple[list[str], list[str]]] = [
    (["scan.plane=[random]"], ["scan.plane", "found 1 directions", "a plane has two", "scan.line"]),
    (["scan.plane=[random,random]", "scan.line=random"], ["scan.plane", "not both"]),
    (["scan.plane=[gradient,gradient]"], ["scan.plane", "gradient twice is no plane"]),
    (["scan.line=nowhere"], ["scan.line", "'nowhere'", "random, gradient, start", "ansatz.0.rx.0"]),
    (["scan.line=start"], ["scan.line", "give the run as scan.run"]),
    (["scan.line=random", "scan.quantities=[loss]"], ["scan.quantities", "not used by scan.line"]),
    (["scan.resolution=7"], ["scan.resolution", "only with scan.line or scan.plane"]),
    (["scan.run=runs/any"], ["scan.run", "only with scan.line or scan.plane"]),
    (["scan.run=nowhere", "scan.line=random"], ["dataset: the run's own is taken with scan.run"]),
    (["scan.quantities=[variance]"], ["scan.quantities", "['variance']", "loss, gradient"]),
    (["scan.quantities=[fidelity]", "scan.gradients=first"], ["scan.gradients", "only with gradient"]),
    (["scan.bins=10"], ["scan.bins", "only with fidelity"]),
    (["scan.gradients=[ansatz.7]"], ["scan.gradients", "'ansatz.7' meets no parameter"]),
    (["scan.gradients=middle"], ["scan.gradients", "'middle'", "first, last, all"]),
    (["scan.rows=3"], ["scan.rows", "no data"]),
    (["scan.draws=0"], ["scan.draws", "integers from 1"]),
    (["scan.draws=3,4"], ["scan.draws", "cannot be swept"]),
    (["scan.shard=4/3"], ["scan.shard", "k/K"]),
    (["optimizer.learning_rate=0.1,0.2"], ["optimizer.learning_rate", "a scan does not read it"]),
    (["optimizer=adam,sgd"], ["optimizer", "no group whose entries make different points"]),
    (["circuit.n_qubits=interval(1,3)"], ["circuit.n_qubits", "a grid needs values"]),
    (["circuit.n_qubits=1,2"], ["observable.terms", "1"]),  # Z0 Z1 on one qubit: the first point is wrong
    (["train.initial=from_run"], ["train.initial", "from_run is one start"]),
    (["train.initial=identity"], ["train.initial", "identity is not possible"]),
    (["train.initial=normal", "train.initial_shape=[1,2]"], ["train.initial_shape", "not used by normal"]),
    (["ansatz=hea,python"], ["ansatz"]),
    (["scan.quantities=[entanglement]", "circuit.n_qubits=1", "observable.terms=['Z0']"], ["entanglement is between"]),
    (["engine.reductions=[light_cones]"], ["engine.reductions", "not used by scan"]),
    (["train.freeze=[0]"], ["train.freeze", "not used by scan", "leave it null", "scan.gradients"]),
    (["train.freeze=[0],[1]"], ["train.freeze", "leave it out"]),
    (["circuit.n_qubits=60"], ["60 qubits"]),
    (["circuit.n_qubits=22", "engine=cpu", "engine.memory_gib=0.001"], ["engine.memory_gib"]),
    (["run.resume=must"], ["run.resume=must", "there is no"]),
    (["-m", *GRID], ["-m", "not used by scan"]),
    (["circuit.qubits=2,3"], ["circuit.qubits", "did you mean circuit.n_qubits"]),
]


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str], in_empty_directory: None) -> Callable[..., str]:
    def run(*words: str) -> str:
        code = main(["scan", *words])
        captured = capsys.readouterr()
        assert (code, captured.out) == (2, ""), captured.err
        assert captured.err.count("\n") == 1 and captured.err.startswith("qmltrain: error: "), captured.err
        return captured.err

    return run


@pytest.mark.parametrize(("words", "said"), CASES, ids=[" ".join(words) for words, _ in CASES])
def test_refused_in_one_line(refused, words, said):
    error = refused(*CIRCUIT, "circuit.n_qubits=2", *words)
    for text in said:
        assert text in error
    assert not list(Path().iterdir())


def test_a_quantity_without_a_meaning(refused, tmp_path):
    fixed = tmp_path / "fixed.qasm"
    fixed.write_text('OPENQASM 3.0; include "stdgates.inc"; qubit[2] q; h q[0]; cx q[0], q[1];')
    words = [*CIRCUIT, "circuit.n_qubits=2", "ansatz=qasm", f"ansatz.path={fixed}"]
    for quantity in ("gradient", "gradient_norms"):
        assert f"scan.quantities: {quantity}" in refused(*words, f"scan.quantities=[loss,{quantity}]")


def test_another_config_in_a_directory(refused, capsys):
    first = [*CIRCUIT, *GRID, "run.dir=a", "scan.draws=2"]
    assert main(["scan", *first]) == 0
    capsys.readouterr()
    before = {path: path.read_bytes() for path in Path("a").iterdir()}
    error = refused(*CIRCUIT, *GRID, "run.dir=a", "engine.precision=complex128")
    assert 'engine.precision was "complex64", now "complex128"' in error and "another run.dir" in error
    error = refused(*CIRCUIT, "circuit.n_qubits=2,3", "run.dir=a")
    assert "swept were circuit.n_qubits, ansatz.layers, now circuit.n_qubits" in error
    assert "run.resume=never: a holds a scan already" in refused(*first, "run.resume=never")
    assert before == {path: path.read_bytes() for path in Path("a").iterdir()}


def test_a_run_is_no_scan(refused, capsys):
    words = [*CIRCUIT, "circuit.n_qubits=2", "run.dir=a", "train.epochs=1"]
    assert main(["train", *words]) == 0
    capsys.readouterr()
    assert "run.dir: a holds a run; choose another" in refused(*words)
    assert "circuit.n_qubits: the run's own is taken with scan.run; leave it out" in refused(
        "scan.run=a", "scan.line=random", "circuit.n_qubits=2"
    )
    assert "run.seed: the run's own is taken with scan.run" in refused("scan.run=a", "scan.line=random", "run.seed=2")


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no /proc")
def test_a_directory_that_cannot_be_made(refused):
    error = refused(*CIRCUIT, "circuit.n_qubits=2", "run.dir=/proc/foo")
    assert "run.dir: /proc/foo cannot be made: " in error and error.endswith("choose another\n")


def test_the_same_point_twice(refused):
    error = refused(*CIRCUIT, "circuit.n_qubits=2", "engine.threads=1,2")
    assert "engine.threads: threads=1 and threads=2 are the same point of a scan" in error
