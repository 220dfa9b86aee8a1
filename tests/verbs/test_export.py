"""export: the trained circuit, read where it is for, gives the expectation values of the model to 1e-10."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

import qmltrain
from qmltrain.circuit.circuit import Circuit
from qmltrain.circuit.interchange.python_export import state_source, to_pennylane, to_qiskit
from qmltrain.circuit.interchange.qasm_export import to_qasm3
from qmltrain.circuit.observables import from_sums, pauli_string
from qmltrain.cli import main
from qmltrain.engines.reference import ReferenceEngine
from qmltrain.sessions.training_run import run_directory
from qmltrain.verbs import train
from qmltrain.verbs.export import FORMATS
from tests.engines.comparison import forward
from tests.small_configs import CONTEXT, moons

KINDS = {
    "reuploading": {"ansatz__name": "strongly_entangling", "encoding__trainable": "weights_and_biases"},
    "zz_feature_map": {"encoding__name": "zz_feature_map", "ansatz__name": "efficient_su2"},
    "chebyshev": {"encoding__name": "chebyshev", "encoding__repeats": None, "preprocess__range": [-0.9, 0.9]},
    "amplitude": {"encoding__name": "amplitude", "encoding__repeats": None, "encoding__pad_with": 0.2},
    "target": {"observable__name": "target_state", "encoding__name": "angle", "encoding__repeats": None},
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


def execute(source: str) -> dict:
    space: dict = {}
    exec(compile(source, "exported", "exec"), space)
    return space


def check_python(run: Path, source: str) -> None:
    model = qmltrain.load(run, engine="reference")
    space = execute(source)
    expected = model.expectations(X)
    assert np.ptp(expected) > 1e-3
    found = [space["expectations"](x_F) for x_F in model.features(X)]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


@pytest.mark.field
@pytest.mark.parametrize("kind", KINDS)
def test_pennylane_gives_the_same_expectations(runs, kind, tmp_path):
    pytest.importorskip("pennylane")
    source = exported(runs[kind], "pennylane", tmp_path)
    check_python(runs[kind], source)
    assert "qubit 0 as the lowest" in source


@pytest.mark.field
@pytest.mark.parametrize("kind", KINDS)
def test_qiskit_gives_the_same_expectations(runs, kind, tmp_path):
    pytest.importorskip("qiskit")
    check_python(runs[kind], exported(runs[kind], "qiskit", tmp_path))


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
    for x_F, expected in zip(model.features(X), model.expectations(X), strict=True):
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
    tape = forward(compiled, circuit, np.zeros(0), model.features(X))
    found = model.model.expectations(tape.expectations_BM)
    np.testing.assert_allclose(found, model.expectations(X), rtol=0, atol=1e-10)


def random_circuit(seed: int) -> Circuit:
    """Three qubits, every registered gate once, on random angles."""
    from qmltrain.circuit.angle import Angle, Feature
    from qmltrain.circuit.circuit import Gate
    from qmltrain.circuit.gates import GATES

    generator = np.random.default_rng(seed)
    kinds = [
        lambda: Angle(weight=int(generator.integers(4)), scale=0.7, offset=0.2),
        lambda: Angle(feature=Feature("linear", (int(generator.integers(3)),)), scale=1.3, weight=1, bias=2),
        lambda: Angle(feature=Feature("arccos", (1,)), scale=2.0),
        lambda: Angle(feature=Feature("product", (0, 2), math.pi), scale=0.5),
    ]
    listed = []
    for name, definition in GATES.items():
        width = definition.n_qubits or int(generator.integers(1, 4))
        qubits = tuple(generator.permutation(3)[:width].tolist())
        angles = tuple(kinds[int(generator.integers(4))]() for _ in range(definition.n_angles))
        pauli = "".join(generator.choice(list("XYZ"), width)) if name == "pauli_rot" else ""
        listed.append(Gate(name, qubits, angles, pauli))
    order = generator.permutation(len(listed))
    names = tuple(f"t{k}" for k in range(4))
    return Circuit(3, tuple(listed[k] for k in order), names, n_features=3)


OBSERVABLES = from_sums(
    [
        ("a", [(1.0, pauli_string({0: "Z"}))]),
        ("b", [(0.5, pauli_string({0: "X", 2: "Y"})), (-2.0, pauli_string({1: "Z", 2: "Z"}))]),
        ("c", [(1.0, pauli_string({})), (1.0, pauli_string({1: "Y"}))]),
    ]
)


def exact(circuit: Circuit, theta: np.ndarray, x_BF: np.ndarray) -> np.ndarray:
    program = ReferenceEngine().compile(circuit, OBSERVABLES.strings)
    strings_BM = forward(program, circuit, theta, x_BF).expectations_BM
    rows = [sum(v * strings_BM[:, k] for k, v in terms.items()) for terms in OBSERVABLES.coefficients]
    return np.array(rows).T


@pytest.mark.field
@pytest.mark.parametrize("writer", [to_pennylane, to_qiskit])
@pytest.mark.parametrize("seed", range(3))
def test_every_gate_arrives(writer, seed):
    pytest.importorskip("pennylane" if writer is to_pennylane else "qiskit")
    circuit = random_circuit(seed)
    theta, x_BF = np.random.default_rng(seed).normal(size=4), np.random.default_rng(seed).uniform(-0.9, 0.9, (2, 3))
    expectations = execute(writer(circuit, OBSERVABLES, theta.tolist(), ""))["expectations"]
    found = [expectations(x_F) for x_F in x_BF]
    np.testing.assert_allclose(found, exact(circuit, theta, x_BF), rtol=0, atol=1e-10)


@pytest.mark.field
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("version", [2, 3])
def test_circuits_of_qiskit_are_read(version, seed):
    """Random circuits of Qiskit, written by Qiskit, mean the same here: same qubit order, same angles."""
    pytest.importorskip("qiskit")
    pytest.importorskip("openqasm3")
    from qiskit import qasm2, qasm3
    from qiskit.circuit.random import random_circuit as of_qiskit
    from qiskit.quantum_info import Statevector

    from qmltrain.circuit.interchange.qasm_import import read_program
    from tests.circuit.dense import run

    theirs = of_qiskit(3, 6, max_operands=2, seed=seed)
    text = qasm2.dumps(theirs) if version == 2 else qasm3.dumps(theirs)
    program = read_program(text, "qiskit")
    state, _ = run(Circuit(3, program.gates), np.zeros(0), np.zeros(0), tangents=False)
    assert abs(np.vdot(state, Statevector(theirs).data)) == pytest.approx(1, abs=1e-10)


@pytest.mark.field
def test_named_parameters_of_qiskit_are_read():
    pytest.importorskip("qiskit")
    pytest.importorskip("openqasm3")
    from qiskit import QuantumCircuit, qasm3
    from qiskit.circuit import Parameter

    from qmltrain.circuit.interchange.qasm_import import read_program

    circuit = QuantumCircuit(2)
    a, b, x0 = Parameter("a"), Parameter("b"), Parameter("x0")
    circuit.rx(2 * a * x0 + b, 1)
    program = read_program(qasm3.dumps(circuit), "qiskit")
    assert (program.parameter_names, program.n_features) == (("a", "b"), 1)
    [gate] = program.gates
    assert (gate.name, gate.qubits, gate.angles[0].scale, gate.angles[0].weight, gate.angles[0].bias) == (
        "rx",
        (1,),
        2.0,
        0,
        1,
    )


def test_every_gate_has_a_name_in_both_languages():
    """Without the packages: the sources at least compile, and name every gate."""
    circuit = random_circuit(0)
    for writer in (to_pennylane, to_qiskit):
        compile(writer(circuit, OBSERVABLES, [0.1] * 4, ""), "exported", "exec")
    amplitudes = Circuit(2, (), n_features=3, amplitude_encoded=True)
    source = to_pennylane(amplitudes, OBSERVABLES, [], state_source(2, 0.5, True))
    space = execute(source.partition("def circuit")[0].replace("import pennylane as qml", ""))
    state = space["initial_state"]([1.0, 2.0, 3.0])
    np.testing.assert_allclose(state, np.array([1.0, 2.0, 3.0, 0.5]) / np.sqrt(14.25))


def test_notes_stay_comments():
    text = to_qasm3(Circuit(1, ()), [], ["one", "two"])
    assert text.splitlines()[1:3] == ["// one", "// two"]


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
