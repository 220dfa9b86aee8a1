"""What a user's mistake gets: one line on stderr that names the key, exit code 2, nothing written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

MISTAKES = [
    # words, what the line must hold
    (["ansatz=foo"], ["ansatz", "'foo'", "hea"]),
    (["ansatz.name=foo"], ["ansatz.name", "'foo'", "hea"]),
    (["encoding.name=foo"], ["encoding.name", "'foo'", "angle"]),
    (["observable.name=foo"], ["observable.name", "'foo'", "projector"]),
    (["head.name=foo"], ["head.name", "'foo'", "linear"]),
    (["loss.name=foo"], ["loss.name", "'foo'", "cross_entropy"]),
    (["dataset.name=foo"], ["dataset.name", "'foo'", "digits"]),
    (["experiment=foo"], ["experiment", "'foo'", "digits_amplitude"]),
    (["ansatz.layer=3"], ["ansatz.layer:", "ansatz.layers"]),
    (["+ansatz.layer=3"], ["ansatz.layer:", "ansatz.layers"]),
    (["n_qubits=3"], ["n_qubits", "circuit.n_qubits"]),
    (["quantum=3"], ["quantum", "ansatz", "experiment"]),
    (["ansatz.layers=many"], ["ansatz.layers", "'many'", "integers"]),
    (["ansatz.layers=1.5"], ["ansatz.layers", "'1.5'", "integers"]),
    (["engine.fusion=perhaps"], ["engine.fusion", "'perhaps'", "true or false"]),
    (["encoding.gates=ry"], ["encoding.gates", "'ry'", "list"]),
    (["circuit.n_qubits=45"], ["circuit.n_qubits", "45", "1 to 40"]),
    (["circuit.n_qubits=0"], ["circuit.n_qubits", "0", "1 to 40"]),
    (["circuit.n_qubits=null"], ["circuit.n_qubits", "null"]),
    (["circuit.n_qubits=2,3"], ["circuit.n_qubits", "2,3", "-m"]),
    (["circuit.n_qubits"], ["circuit.n_qubits", "key=value"]),
    (["circuit.n_qubits=${nothing}"], ["circuit.n_qubits", "nothing"]),
    (["train.epochs=-1"], ["train.epochs", "-1"]),
    (["train.epochs=99999999999999999999"], ["train.epochs", "99999999999999999999"]),
    (["train.batch_size=1e30"], ["train.batch_size", "1e30"]),
    (["train.epochs=3", "train.epochs=1e3"], ["train.epochs", "'1e3'"]),
    (["preprocess=standard", "preprocess.range=[0,1]"], ["preprocess.range", "preprocess.scale=min_max"]),
    (
        ["engine=reference", "gradient.mode=checkpoint"],
        ["gradient.mode", "reference", "gradient.mode=auto"],
    ),
    (
        ["engine=reference", "gradient.checkpoint_interval=2"],
        ["gradient.checkpoint_interval", "reference", "null"],
    ),
    (["optimizer.learning_rate=-0.1"], ["optimizer.learning_rate", "-0.1"]),
    (["optimizer.learning_rate=inf"], ["optimizer.learning_rate", "inf"]),
    (["encoding=angle", "encoding.repeats=3"], ["encoding.repeats", "angle"]),
    (["encoding=python"], ["encoding.function"]),
    (["encoding=python", "encoding.function=no.such:thing"], ["encoding.function", "no"]),
    (["ansatz.rotations=[rx,ry"], ["ansatz.rotations=[rx,ry", "key=value"]),
    (["run.dir=a=b"], ["run.dir=a=b", "quotes"]),
    (["trian"], ["'trian'", "train"]),
    (["+experiment=digits"], ["experiment=digits", "without +"]),
    (["circuit=4"], ["config"]),
    (["-m", "ansatz=foo,hea"], ["ansatz", "'foo'"]),
    (["-m", "ansatz.layers=1,many"], ["ansatz.layers", "many"]),
    (["--config-dir", "nowhere"], ["--config-dir", "nowhere"]),
    (["--config"], ["--config"]),
    (["--cfg", "all", "-m"], ["-m", "--cfg"]),
    (["--cfg", "everything"], ["everything", "job"]),
    (["train", "--warm-up"], ["--warm-up", "info"]),
    (["resume", "--warm-up", "runs/a"], ["--warm-up", "info"]),
    (["evaluate"], ["evaluate", "run"]),
    (["evaluate", "a", "b"], ["evaluate", "2"]),
    (["evaluate", "nowhere"], ["nowhere"]),
    (["resume", "nowhere"], ["nowhere"]),
    (["plot", "nowhere"], ["nowhere"]),
    (["plot", "-m", "runs/a"], ["-m", "plot"]),
    (["info", "all"], ["info", "all"]),
    (["dataset=iris", "preprocess.pca=16"], ["preprocess.pca", "16", "4"]),
    (["head=raw"], ["head", "raw"]),
    (["dataset=npz"], ["dataset.path"]),
    (["dataset=npz", "dataset.path=nowhere.npz"], ["nowhere.npz"]),
    (["dataset.classes=[3]"], ["dataset.classes", "3"]),
    (["dataset.samples=3"], ["dataset.samples", "3"]),
]


@pytest.mark.parametrize(("words", "holds"), MISTAKES, ids=lambda value: " ".join(value))
def test_a_mistake_gets_one_line_and_exit_code_2(qmltrain, words, holds):
    ended = qmltrain(*words)
    assert ended.code == 2
    assert ended.err.startswith("qmltrain: error: ") and ended.err.count("\n") == 1, ended.err
    assert "Traceback" not in ended.err and ended.out == ""
    for text in holds:
        assert text in ended.err, ended.err
    assert not Path("runs").exists()


@pytest.mark.parametrize("verb", ["gradient", "plan", "circuit"])
@pytest.mark.parametrize("words", [["circuit.n_qubits=45"], ["ansatz.name=foo"], ["ansatz.layer=1"]], ids=str)
def test_every_verb_refuses_alike(qmltrain, verb, words):
    ended = qmltrain(verb, *words)
    assert ended.code == 2 and ended.err.startswith("qmltrain: error: ") and ended.err.count("\n") == 1
    assert not list(Path().iterdir())


def test_more_memory_than_there_is_refused_with_the_numbers(qmltrain):
    ended = qmltrain("circuit.n_qubits=32", "preprocess.pca=4", "run.progress=none")
    assert ended.code == 2 and ended.err.count("\n") == 1 and "GiB" in ended.err, ended.err


def test_nan_features_are_refused(qmltrain):
    x = np.zeros((40, 4))
    x[7, 2] = np.nan
    np.savez("nan.npz", x=x, y=np.arange(40) % 2)
    ended = qmltrain("dataset=npz", "dataset.path=nan.npz", "preprocess=angles", "circuit.n_qubits=4")
    assert ended.code == 2 and ended.err.count("\n") == 1 and "nan.npz" in ended.err


def test_a_row_of_zeros_cannot_be_amplitudes(qmltrain):
    x = np.ones((40, 4))
    x[7] = 0
    np.savez("zeros.npz", x=x, y=np.arange(40) % 2)
    words = [
        "dataset=npz",
        "dataset.path=zeros.npz",
        "preprocess=amplitudes",
        "encoding=amplitude",
        "circuit.n_qubits=2",
    ]
    ended = qmltrain(*words, "run.progress=none", "train.epochs=1", "train.batch_size=4")
    assert ended.code == 2, ended.err
    assert [line for line in ended.err.splitlines() if line.startswith("qmltrain: error: ")]
    assert "Traceback" not in ended.err


def test_verbose_shows_the_traceback_before_the_line(qmltrain):
    ended = qmltrain("-v", "circuit.n_qubits=45")
    assert ended.code == 2 and ended.err.startswith("Traceback")
    assert ended.err.splitlines()[-1].startswith("qmltrain: error: circuit.n_qubits: found 45")
