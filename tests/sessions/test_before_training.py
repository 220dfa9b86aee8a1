"""What would train for nothing is refused before the first step; what fails after the last one is a warning."""

from __future__ import annotations

import re
import warnings
from dataclasses import replace

import numpy as np
import pytest

from qmltrain.cli import main
from qmltrain.config.schema import Config
from qmltrain.errors import InputError
from qmltrain.runs.views import open_run
from qmltrain.sessions import session
from qmltrain.sessions.results import summary_of
from qmltrain.sessions.training_run import run_directory
from qmltrain.verbs import evaluate, repeat, resume, train
from tests.own_tables import NOT_MOONS, write_table
from tests.sessions.complete_runs import complete
from tests.sessions.stopped_runs import train_until
from tests.small_configs import CONTEXT, moons

NO_ENCODING = {"encoding__name": "none", "encoding__repeats": None}


def refused(config: Config, message: str) -> str:
    with pytest.raises(InputError, match=message) as caught:
        train.run(config, CONTEXT)
    assert not run_directory(config).exists() and "\n" not in str(caught.value)
    return str(caught.value)


def test_a_circuit_that_reads_no_feature(tmp_path):
    message = refused(moons(tmp_path, **NO_ENCODING), r"does not read features 0, 1 of 2")
    assert message.startswith("encoding.name: ") and "dataset=none" in message
    message = refused(moons(tmp_path, **NO_ENCODING, preprocess__pca=1), "does not read feature principal component 0")
    table = write_table(tmp_path / "table.csv", ["yes", "no"] * 20)
    refused(moons(tmp_path, **table, **NO_ENCODING), r"does not read features 0 \(c0\), 1 \(c1\), 2 \(c2\) of 3")
    zero = {"encoding__name": "z_feature_map", "encoding__repeats": 1, "encoding__alpha": 0.0}
    refused(moons(tmp_path, **zero), r"encoding=z_feature_map, ansatz=hea does not read features 0, 1 of 2")


@pytest.mark.parametrize(
    ("gate", "hadamards", "unread"), [("rz", None, True), ("rz", True, False), ("rx", True, True), ("rx", None, False)]
)
def test_phases_alone_encode_nothing(tmp_path, gate, hadamards, unread):
    changes = {"encoding__name": "angle", "encoding__repeats": None, "encoding__gate": gate, "train__epochs": 1}
    config = moons(tmp_path, **changes, encoding__hadamards=hadamards)
    if unread:
        message = refused(config, r"ansatz=hea does not read features 0, 1 of 2")
        assert f"{gate.upper()} changes the phase of" in message
    else:
        assert train.run(config, CONTEXT) == 0


def qasm(tmp_path, text, **changes):
    pytest.importorskip("openqasm3", reason="needs the extra qasm")
    path = tmp_path / "own.qasm"
    path.write_text(text)
    return moons(tmp_path, **NO_ENCODING, ansatz__name="qasm", ansatz__path=str(path), **changes)


def test_names_as_qiskit_writes_them_are_parameters_not_features(tmp_path):
    text = 'OPENQASM 2.0; include "qelib1.inc"; qreg q[2]; ry(_x_0_) q[0]; ry(_x_1_) q[1]; cx q[0], q[1];'
    message = refused(qasm(tmp_path, text), "does not read features 0, 1 of 2")
    assert "_x_0_, _x_1_ are trained as parameters: rename them, _x_0_ to x0" in message
    refused(qasm(tmp_path, text.replace("_x_0_", "x0")), "does not read feature 1 of 2; its inputs _x_1_ .* to x1,")


def test_features_that_the_circuit_leaves_out(tmp_path):
    text = "input float x0; input float a; qubit[2] q; ry(a) q; rx(x0) q[1]; cx q[0], q[1];"
    message = refused(qasm(tmp_path, text), "does not read feature 1 of 2")
    assert "own.qasm x1" in message
    refused(qasm(tmp_path, text.replace("x0", "x1")), "does not read feature 0 of 2")


LAYER = {"input__name": "linear", "input__activation": "tanh"}


def test_outputs_of_an_input_layer_that_the_circuit_leaves_out(tmp_path):
    message = refused(moons(tmp_path, **NO_ENCODING, **LAYER), r"does not read outputs 0, 1 of the input layer's 2")
    assert message.startswith("input.outputs: ") and "encoding=angle" in message
    text = "input float x0; input float a; qubit[2] q; ry(a) q; rx(x0) q[1]; cx q[0], q[1];"
    message = refused(qasm(tmp_path, text, **LAYER), "does not read output 1 of the input layer's 2")
    assert "set input.outputs=1" in message
    refused(qasm(tmp_path, text.replace("x0", "x1"), **LAYER), "output 0 of .*; choose a circuit that reads them all")


ONE_QUBIT_MEASURED = {
    "ansatz__entangler": "none",
    "observable__name": "pauli",
    "observable__terms": ["Z0"],
    "head__name": "raw",
    "loss__name": "binary_cross_entropy",
    "train__epochs": 1,
}


@pytest.mark.parametrize(
    ("changes", "warned"),
    [
        ({}, r"observable=pauli measures depends on feature 1 of 2"),
        (LAYER, r"depends on output 1 of the input layer's 2"),
        ({"ansatz__entangler": "cx_ring"}, None),
        ({"observable__terms": ["Z0 + 0.5*Z1"]}, None),
    ],
)
def test_features_that_nothing_measured_depends_on(tmp_path, changes, warned):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        train.run(moons(tmp_path, **{**ONE_QUBIT_MEASURED, **changes}), CONTEXT)
    lines = [str(one.message) for one in caught if "depends on" in str(one.message)]
    assert len(lines) == (warned is not None) and (warned is None or re.search(warned, lines[0]))


def test_a_run_that_starts_again_is_refused_and_one_that_goes_on_is_not(tmp_path, monkeypatch):
    """A run of an earlier version may have been begun with such a circuit: its snapshots go on."""
    monkeypatch.setattr("qmltrain.sessions.training_run.check_before_training", lambda problem, reductions: None)
    directory = train_until(moons(tmp_path, **NO_ENCODING), 5)
    whole = complete(tmp_path / "whole", **NO_ENCODING)
    monkeypatch.undo()
    assert resume.run(directory, CONTEXT) == 0
    assert evaluate.run(whole, CONTEXT) == 0
    with pytest.raises(InputError, match="does not read features 0, 1 of 2"):
        repeat.run(whole, CONTEXT)


def test_nothing_to_train(tmp_path):
    words = {**NO_ENCODING, "dataset__name": "none", "head__name": "raw", "loss__name": "expectation"}
    words |= {"observable__name": "ising", "train__batch_size": 32, **NOT_MOONS}
    text = "qubit[2] q; h q; cx q[0], q[1];"
    refused(qasm(tmp_path, text, **{k: v for k, v in words.items() if k not in NO_ENCODING}), "nothing to train")


def split_file(path, absent: int):
    """A class that is in the test rows alone, though it may be any of three."""
    labels = np.repeat([0, 1, 2], 20)
    split = np.where(labels == absent, "test", "train")
    np.savez(path, x=np.random.default_rng(0).normal(size=(60, 2)), y=labels, split=split)
    return {**NOT_MOONS, "dataset__name": "npz", "dataset__path": str(path)}


@pytest.mark.parametrize("absent", [0, 1, 2])
@pytest.mark.parametrize("baseline", [True, False])
def test_a_class_without_a_training_row(tmp_path, absent, baseline):
    config = moons(tmp_path, **split_file(tmp_path / "own.npz", absent), train__baseline=baseline)
    refused(config, rf"^dataset: no training sample of class '{absent}' \(20 in validation and test\)")


def test_targets_that_overflow(tmp_path):
    y = np.random.default_rng(0).normal(size=60) * 1e160
    np.savez(tmp_path / "own.npz", x=np.random.default_rng(1).normal(size=(60, 2)), y=y)
    own = {**NOT_MOONS, "dataset__name": "npz", "dataset__path": str(tmp_path / "own.npz"), "loss__name": "huber"}
    refused(moons(tmp_path, **own), "^dataset: the targets span ")


def test_rows_of_a_file_are_read_before_training_not_at_its_end(tmp_path, monkeypatch):
    """A test row that is read at the end alone, since features do not fit into the cache."""
    h5py = pytest.importorskip("h5py")
    monkeypatch.setattr("qmltrain.data.batches.STREAMED_CACHE_BYTES", 0)
    x, split = np.random.default_rng(0).normal(size=(60, 2)), np.array([0] * 40 + [1] * 10 + [2] * 10)
    x[55, 1] = np.nan
    with h5py.File(tmp_path / "own.h5", "w") as file:
        file["x"], file["y"], file["split"] = x, np.arange(60) % 2, split
    own = {**NOT_MOONS, "dataset__name": "hdf5", "dataset__path": str(tmp_path / "own.h5")}
    refused(moons(tmp_path, **own), "row 55 holds NaN")


def test_a_rare_class_is_warned_of_once(tmp_path):
    table = write_table(tmp_path / "table.csv", ["yes"] * 30 + ["no"] * 30 + ["No"])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        complete(tmp_path / "runs", **table, train__epochs=1)
    texts = [str(warning.message) for warning in caught]
    assert [text for text in texts if "class" in text] == [
        "dataset: classes 'No' and 'no' differ in case or blanks alone; if each is one class, write one name",
        "dataset: class 'No' has 1 sample in all",
    ]


@pytest.mark.parametrize("error", [ValueError("Input X contains NaN.\nMore. And more"), MemoryError()])
def test_a_baseline_that_fails_is_a_warning_and_the_run_is_sealed(tmp_path, monkeypatch, error, capsys):
    def fails(*arguments):
        raise error

    monkeypatch.setattr(session, "baseline", fails)
    with pytest.warns(UserWarning, match=r"^train.baseline: could not be fitted \(.*\); the run ends without it") as w:
        directory = complete(tmp_path, train__baseline=True, train__perceptron=True)
    assert "\n" not in str(w[0].message) and "And more" not in str(w[0].message)
    view = open_run(directory)
    summary = summary_of(view.attributes)
    assert view.status == "completed" and "test/accuracy" in summary and "perceptron/accuracy" in summary
    assert not any(name.startswith("baseline/") for name in summary)
    assert "test accuracy" in capsys.readouterr().out


def test_features_too_large_for_the_baseline(tmp_path):
    x = np.random.default_rng(0).normal(size=(60, 2)) * 1e200
    np.savez(tmp_path / "own.npz", x=x, y=np.arange(60) % 2)
    words = ["dataset=npz", f"dataset.path={tmp_path / 'own.npz'}", "preprocess=amplitudes", "encoding=amplitude"]
    words += ["circuit.n_qubits=1", "train.epochs=1", "engine=interpreter", f"run.dir={tmp_path / 'run'}"]
    with pytest.warns(UserWarning, match="train.baseline: could not be fitted"):
        assert main(words) == 0
    assert open_run(tmp_path / "run").status == "completed"


def test_the_command_says_what_it_trains_on(tmp_path, capsys):
    words = ["dataset=iris", "preprocess.pca=4", "circuit.n_qubits=2", "encoding.repeats=2", "train.max_steps=1"]
    assert main([*words, "engine=interpreter", "run.progress=lines", f"run.dir={tmp_path / 'run'}"]) == 0
    printed = capsys.readouterr().err.splitlines()
    assert "classes    setosa: 50, versicolor: 50, virginica: 50" in printed
    assert printed.index("circuit    2 qubits, reads all 4 features") < printed.index(
        next(line for line in printed if line.startswith("step "))
    )


def test_rows_of_zeros_before_amplitudes_are_found_before_the_first_step(tmp_path):
    x, y = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) % 2
    x[17] = 0.0
    np.savez(tmp_path / "rows.npz", x=x, y=y)
    data = {"dataset__name": "npz", "dataset__path": str(tmp_path / "rows.npz"), "dataset__noise": None}
    plain = {
        "dataset__n_samples": None,
        "dataset__generator_seed": None,
        "preprocess__scale": "none",
        "train__epochs": 1,
    }
    amplitudes = {**NO_ENCODING, "encoding__name": "amplitude", "input__name": "linear"}
    config = moons(tmp_path, **{**data, **plain, **amplitudes, "input__bias": False})
    assert "input.bias=true" in refused(config, "amplitudes that are all 0 of row 17")
    assert train.run(replace(config, input=replace(config.input, activation="sigmoid")), CONTEXT) == 0


@pytest.mark.parametrize("layer", [{"input__name": "linear", "input__outputs": 1}, {"preprocess__pca": 1}])
def test_one_amplitude_is_a_sign(tmp_path, layer):
    config = moons(tmp_path, **{**NO_ENCODING, "encoding__name": "amplitude"}, **layer, train__epochs=1)
    assert "one amplitude is a sign" in refused(config, "does not read (output 0|feature principal component 0)")
    assert train.run(replace(config, encoding=replace(config.encoding, pad_with=0.5)), CONTEXT) == 0


@pytest.mark.parametrize(("outputs", "pad_with", "runs"), [(None, None, False), (3, None, False), (3, 0.5, True)])
def test_relu_before_amplitudes(tmp_path, outputs, pad_with, runs):
    layer = {"input__name": "linear", "input__activation": "relu", "input__outputs": outputs, "train__epochs": 1}
    amplitudes = {**NO_ENCODING, "encoding__name": "amplitude", "encoding__pad_with": pad_with}
    config = moons(tmp_path, **amplitudes, **layer)
    if runs:
        assert train.run(config, CONTEXT) == 0
    else:
        refused(config, "relu can give amplitudes that are all 0")
