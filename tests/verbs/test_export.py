"""export: the trained model, read where it is for, gives the model's expectation values, scores and predictions."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import qmltrain
from qmltrain.circuit.circuit import Circuit
from qmltrain.cli import main
from qmltrain.engines.reference import ReferenceEngine
from qmltrain.models.trained import TrainedModel
from qmltrain.sessions.training_run import run_directory
from qmltrain.verbs import train
from qmltrain.verbs.export import FORMATS
from tests.circuit.interchange.pennylane_stand_in import execute_in_numpy
from tests.circuit.interchange.python_sources import execute
from tests.engines.comparison import forward
from tests.small_configs import CONTEXT, ising_chain, moons

KINDS = {
    "reuploading": {"ansatz__name": "strongly_entangling", "encoding__trainable": "weights_and_biases"},
    "zz_feature_map": {"encoding__name": "zz_feature_map", "ansatz__name": "efficient_su2"},
    "chebyshev": {"encoding__name": "chebyshev", "encoding__repeats": None, "preprocess__range": [-0.9, 0.9]},
    "amplitude": {"encoding__name": "amplitude", "encoding__repeats": None, "encoding__pad_with": 0.2},
    "target": {"observable__name": "target_state", "encoding__name": "angle", "encoding__repeats": None},
    "dressed": {"input__name": "mlp", "input__hidden": [3], "encoding__name": "angle", "encoding__repeats": None,
                "head__name": "linear", "loss__name": "cross_entropy", "preprocess__scale": "standard"},
    "sums": {"observable__name": "pauli", "observable__terms": ["0.5*Z0 Z1 + 0.25*X1 + 2", "Y0 Y1 - Z1"]},
}  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Path]:
    found = {}
    target = tmp_path_factory.mktemp("target") / "state.npy"
    np.save(target, np.exp(1j * np.arange(8) ** 2) * np.arange(1, 9) / math.sqrt(204))
    for kind, changes in KINDS.items():
        if kind == "target":
            changes = {**changes, "observable__path": str(target)}
        config = moons(tmp_path_factory.mktemp(kind), train__epochs=1, circuit__n_qubits=3, **changes)
        assert train.run(config, CONTEXT) == 0
        found[kind] = run_directory(config)
    return found


X = np.random.default_rng(8).normal(size=(3, 2))


def exported(run: Path, to: str, folder: Path) -> str:
    path = folder / f"circuit.{to}"
    assert main(["export", str(run), "--to", to, "--output", str(path)]) == 0
    return path.read_text()


def check_python(run: Path, space: dict) -> None:
    """`space` is what the exported source defines."""
    model = qmltrain.load(run, engine="reference")
    expected = model.expectations(X)
    assert np.ptp(expected) > 1e-3
    found = [space["expectations"](x_F) for x_F in encoded(model)]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)
    np.testing.assert_allclose(space["scores"](X), model.scores(X), rtol=0, atol=1e-10)
    assert np.array_equal(space["predict"](X), model.predict(X)) and space["CLASS_NAMES"] == model.class_names


def encoded(model: TrainedModel) -> np.ndarray:
    """What the circuit encodes of X."""
    return model.model.features(model.model.split(model.theta_P), model.features(X))


@pytest.mark.field
@pytest.mark.parametrize("kind", KINDS)
def test_pennylane_gives_the_same_expectations(runs, kind, tmp_path):
    pytest.importorskip("pennylane")
    source = exported(runs[kind], "pennylane", tmp_path)
    check_python(runs[kind], execute(source))
    assert "qubit 0 as the lowest" in source


@pytest.mark.parametrize("kind", KINDS)
def test_the_source_for_pennylane_gives_the_same_in_numpy(runs, kind, tmp_path):
    check_python(runs[kind], execute_in_numpy(exported(runs[kind], "pennylane", tmp_path)))


@pytest.mark.field
@pytest.mark.parametrize("kind", KINDS)
def test_qiskit_gives_the_same_expectations(runs, kind, tmp_path):
    pytest.importorskip("qiskit")
    check_python(runs[kind], execute(exported(runs[kind], "qiskit", tmp_path)))


def test_a_table_has_its_columns_and_a_regression_its_units(tmp_path):
    table = tmp_path / "heights.csv"
    ages = np.arange(40) / 2
    lines = [f"{age},{age % 7},{900 + 25.5 * age + age % 3}" for age in ages]
    table.write_text("\n".join(["age,shoe,height", *lines]) + "\n")
    changes = {"dataset__name": "csv", "dataset__path": str(table), "dataset__target": "height"}
    changes |= dict.fromkeys(("dataset__n_samples", "dataset__noise", "dataset__generator_seed"))
    config = moons(tmp_path / "runs", **changes, dataset__task="regression", loss__name="huber", train__epochs=2)
    assert train.run(config, CONTEXT) == 0
    model = qmltrain.load(run_directory(config), engine="reference")
    space = execute_in_numpy(exported(run_directory(config), "pennylane", tmp_path))
    x = np.array([ages, ages % 7]).T
    assert space["FEATURE_NAMES"] == ("age", "shoe") and np.ptp(model.predict(x)) > 1
    np.testing.assert_allclose(space["predict"](x), model.predict(x), rtol=1e-12)
    np.testing.assert_allclose(space["scores"](x), model.scores(x), rtol=0, atol=1e-12)


def test_without_data_there_are_expectations_alone(tmp_path):
    config = ising_chain(tmp_path, train__epochs=2)
    assert train.run(config, CONTEXT) == 0
    space = execute_in_numpy(exported(run_directory(config), "pennylane", tmp_path))
    expected = qmltrain.load(run_directory(config), engine="reference").expectations()
    np.testing.assert_allclose(space["expectations"](()), expected[0], rtol=0, atol=1e-10)
    assert "predict" not in space


def test_openqasm_says_what_is_not_in_it(runs, tmp_path):
    text = exported(runs["dressed"], "qasm3", tmp_path)
    assert "// x are what the input layers, which are not part of the circuit, make of" in text
    assert "// Its head (linear) acts on" in text
    (tmp_path / "other").mkdir()
    assert "// x are preprocessed features: " in exported(runs["sums"], "qasm3", tmp_path / "other")


def test_what_is_measured_after_further_gates_says_so(runs, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    assert "measured after further gates" in exported(runs["target"], "qasm3", tmp_path)
    assert "measured after further gates" not in exported(runs["sums"], "qasm3", other)


@pytest.mark.field
@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"amplitude", "chebyshev", "target"}))
def test_qiskit_reads_the_openqasm(runs, kind, tmp_path):
    """Not arccos: Qiskit's reader takes no functions of inputs."""
    pytest.importorskip("qiskit_qasm3_import")
    from qiskit import qasm3
    from qiskit.quantum_info import Statevector

    model = qmltrain.load(runs[kind], engine="reference")
    circuit = qasm3.loads(exported(runs[kind], "qasm3", tmp_path))
    operators = execute(exported(runs[kind], "qiskit", tmp_path))["OBSERVABLES"]
    for x_F, expected in zip(encoded(model), model.expectations(X), strict=True):
        values = {p: x_F[int(p.name.removeprefix("x"))] for p in circuit.parameters}
        state = Statevector(circuit.assign_parameters(values))
        found = [state.expectation_value(operator).real for operator in operators]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"amplitude", "target"}))
def test_our_own_reader_reads_the_openqasm(runs, kind, tmp_path):
    pytest.importorskip("openqasm3", reason="needs the extra qasm")
    from qmltrain.circuit.interchange.qasm_import import read_program

    text = exported(runs[kind], "qasm3", tmp_path)
    assert text.startswith("OPENQASM 3.0;\n// Trained with qmltrain, run moons-") and "q[0] the lowest" in text
    model = qmltrain.load(runs[kind], engine="reference")
    program = read_program(text, "exported")
    circuit = Circuit(3, program.gates, n_features=model.circuit.n_features)
    compiled = ReferenceEngine().compile(circuit, model.model.observables.strings)
    tape = forward(compiled, circuit, np.zeros(0), encoded(model))
    found = model.model.expectations(tape.expectations_BM)
    np.testing.assert_allclose(found, model.expectations(X), rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["RUN"], "--to: found None; allowed: qasm3, pennylane, qiskit"),
        (["RUN", "--to", "cirq"], "--to: found 'cirq'; allowed: "),
        (["AMPLITUDE", "--to", "qasm3"], "export to pennylane or qiskit"),
        (["RUN", "--to", "qasm3", "--output", "there"], "there exists already"),
        (["RUN", "--to", "qasm3", "--output", "absent/x"], "there is no folder absent"),
        (["absent", "--to", "qasm3"], "there is no run here"),
        (["RUN", "RUN", "--to", "qasm3"], "export: found 2 words"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_two(runs, words, message, in_empty_directory, capsys):
    Path("there").write_text("precious")
    places = {"RUN": str(runs["reuploading"]), "AMPLITUDE": str(runs["amplitude"])}
    assert main(["export", *(places.get(word, word) for word in words)]) == 2
    ended = capsys.readouterr()
    assert message in ended.err and ended.err.count("\n") == 1 and not ended.out
    assert Path("there").read_text() == "precious"


@pytest.mark.parametrize("to", FORMATS)
def test_without_output_it_is_printed(runs, to, capsys):
    assert main(["export", str(runs["sums"]), "--to", to]) == 0
    assert ("x0" if to == "qasm3" else "x[0]") in capsys.readouterr().out
