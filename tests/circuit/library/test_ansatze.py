"""Every registered ansatz: it builds, has the parameters it documents, names them, records its layers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from qmltrain.circuit.circuit import Circuit
from qmltrain.circuit.library.ansatze import ANSATZE
from qmltrain.circuit.library.assemble import assemble
from qmltrain.errors import InputError
from tests.circuit.interchange.programs import LIBRARY
from tests.circuit.library import ansatz_alone
from tests.circuit.library.documented_ansaetze import DOCUMENTED, ONE_DEPTH
from tests.circuit.library.user_modules import importable
from tests.circuit.listing import listing

QASM_FOLDER: list[Path] = []  # where the files ry_<n>.qasm lie

USER_MODULE = """
from qmltrain.circuit.angle import parameter

def ry_layers(builder, layers):
    for _ in range(layers):
        layer = builder.start_layer()
        for qubit, index in enumerate(builder.parameters(f"mine.{layer}.{q}" for q in range(builder.n_qubits))):
            builder.add("ry", qubit, parameter(index))

def nothing(builder, layers):
    pass

def broken(builder, layers):
    return layers / 0
"""


@pytest.fixture(scope="module", autouse=True)
def user_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("user")
    for n in DOCUMENTED["qasm"][0]:
        text = "".join(f"input float t{qubit}; ry(t{qubit}) q[{qubit}];\n" for qubit in range(n))
        (folder / f"ry_{n}.qasm").write_text(f"{LIBRARY}qubit[{n}] q;\n{text}")
    QASM_FOLDER.append(folder)
    with importable(folder, "user_ansatz_for_tests", USER_MODULE):
        yield


def build(n: int, name: str, **options: object) -> Circuit:
    """With the file of `qasm` and the function of `python` filled in."""
    if name == "qasm":
        options.setdefault("path", str(QASM_FOLDER[-1] / f"ry_{n}.qasm"))
    if name == "python":
        options.setdefault("function", "user_ansatz_for_tests:ry_layers")
    return ansatz_alone.build(n, name, **options)


def registered_sizes() -> list[tuple[str, int]]:
    assert set(DOCUMENTED) == set(ANSATZE), "a registered ansatz is missing in the table of this test"
    return [(name, n) for name in ANSATZE for n in DOCUMENTED[name][0]]


@pytest.mark.parametrize(("name", "n"), registered_sizes())
@pytest.mark.parametrize("layers", [1, 3])
def test_parameters_are_as_documented(name: str, n: int, layers: int) -> None:
    if name in ONE_DEPTH and layers > 1:
        with pytest.raises(InputError, match=r"^ansatz.layers: the depth of"):
            build(n, name, layers=layers)
        return
    circuit = build(n, name, layers=layers)
    assert circuit.n_parameters == DOCUMENTED[name][1](n, layers)
    assert len(set(circuit.parameter_names)) == circuit.n_parameters
    # in order of time: parameters are first used in the order of their indices, and all are used
    used = list(dict.fromkeys(a.weight for gate in circuit.gates for a in gate.angles if a.weight is not None))
    assert used == list(range(circuit.n_parameters))


@pytest.mark.parametrize(("name", "n"), registered_sizes())
def test_layers_are_recorded(name: str, n: int) -> None:
    circuit = build(n, name, layers=1 if name in ONE_DEPTH else 3)
    starts = circuit.layer_starts
    assert starts and list(starts) == sorted(starts) and starts[-1] <= len(circuit.gates)
    assert len(circuit.parameter_layers) == circuit.n_parameters
    for position, gate in enumerate(circuit.gates):
        layer = sum(start <= position for start in starts) - 1
        for angle in gate.angles:
            if angle.weight is not None:
                assert circuit.parameter_layers[angle.weight] == layer
    if name != "python":
        layers = [int(name.split(".")[1]) for name in circuit.parameter_names]
        assert layers == list(circuit.parameter_layers)


@pytest.mark.parametrize("name", [name for name, (sizes, _) in DOCUMENTED.items() if sizes[0] == 2])
def test_one_qubit_too_few_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"^ansatz\.name: .*found 1"):
        build(1, name)


@pytest.mark.parametrize("name", sorted(set(ANSATZE) - {"python"}))
@pytest.mark.parametrize("layers", [0, -1, 1.5, True, "2"])
def test_impossible_layers_are_refused(name: str, layers: object) -> None:
    with pytest.raises(InputError, match=r"^ansatz\.layers: "):
        build(4, name, layers=layers)


@pytest.mark.parametrize("name", ["pauli_two_design", "random_layers", "hea", "real_amplitudes"])
def test_repeated_by_reuploading_names_stay_unique(name: str) -> None:
    circuit = assemble(3, 2, "reuploading", {"repeats": 3}, name, {"layers": 2})
    assert len(set(circuit.parameter_names)) == circuit.n_parameters


def test_python_ansatz() -> None:
    circuit = build(2, "python", layers=2)
    assert listing(circuit) == ["ry 0 t0", "ry 1 t1", "ry 0 t2", "ry 1 t3"]
    assert circuit.parameter_layers == (0, 0, 1, 1)
    with pytest.raises(InputError, match=r"^ansatz\.function: user_ansatz_for_tests:broken failed at .*py:14: Zero"):
        build(2, "python", function="user_ansatz_for_tests:broken")
    assert build(2, "python", function="user_ansatz_for_tests:nothing").n_parameters == 0
