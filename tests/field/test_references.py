"""Our ansaetze and encodings against PennyLane's and Qiskit's own templates: values and gradients to 1e-10.

`references.json` holds what those libraries gave (see `make_references.py`); nothing of them is needed here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qmltrain.circuit.amplitude import amplitude_state
from qmltrain.circuit.builder import CircuitBuilder
from qmltrain.circuit.circuit import Circuit
from qmltrain.circuit.library.ansatze import ANSATZE
from qmltrain.circuit.library.ansatze_random import build_pauli_two_design, build_random_layers
from qmltrain.circuit.library.assemble import assemble, assemble_observables
from qmltrain.circuit.library.encodings import ENCODINGS
from qmltrain.engines.reference import ReferenceEngine
from qmltrain.registry import options_with_defaults
from qmltrain.training.angles import AngleMap
from tests.circuit import dense
from tests.engines.comparison import begin

REFERENCES = json.loads(Path(__file__).with_name("references.json").read_text(encoding="utf-8"))
CASES: list[dict[str, Any]] = REFERENCES["cases"]
TOLERANCE = 1e-10


def case_name(case: dict[str, Any]) -> str:
    entry = case["ansatz"] if case["encoding"][0] == "none" else case["encoding"]
    options = ",".join(f"{key}={value}" for key, value in entry[1].items())
    return f"{case['library']}-{entry[0]}-{case['n_qubits']}-{options}".replace(" ", "").replace("'", "")


def build(case: dict[str, Any], folder: Path) -> Circuit:
    """The circuit of a case; structures drawn by the other library's generator are taken from the file."""
    n = case["n_qubits"]
    name, options = case["ansatz"]
    if "structure" in case:
        builder = CircuitBuilder(n)
        if name == "pauli_two_design":
            build_pauli_two_design(builder, case["structure"])
        else:
            build_random_layers(builder, _split(case["structure"], options["n_rotations"]))
        return builder.build()
    if "graph_file" in case:
        (folder / "graph.txt").write_text(case["graph_file"])
        options = {**options, "path": str(folder / "graph.txt")}
    return assemble(n, len(case["features"]), *case["encoding"], name, options)


def _split(places: list, n_rotations: int) -> list:
    """Flat (gate, qubits) places -> layers that end with their last rotation."""
    layers: list[list] = [[]]
    count = 0
    for gate, qubits in places:
        if count == n_rotations:
            layers.append([])
            count = 0
        layers[-1].append((gate, qubits[0] if len(qubits) == 1 else tuple(qubits)))
        count += gate != "cx"
    return layers


def initial_state(case: dict[str, Any], circuit: Circuit) -> np.ndarray | None:
    if not circuit.amplitude_encoded:
        return None
    options = options_with_defaults(ENCODINGS, "encoding", *case["encoding"])
    options.pop("big_endian")  # gates do it
    return amplitude_state([case["features"]], circuit.n_qubits, **options)[0]


@pytest.mark.parametrize("case", CASES, ids=case_name)
def test_values_and_gradients_are_those_of_the_field(case: dict[str, Any], tmp_path: Path) -> None:
    circuit = build(case, tmp_path)
    observables = assemble_observables(case["n_qubits"], "pauli", {"terms": case["observables"]})
    theta_P, x_F = np.array(case["parameters"]), np.array(case["features"])
    assert circuit.n_parameters == len(theta_P)
    values_K, jacobian_KP = dense.expectations(circuit, observables, theta_P, x_F, initial_state(case, circuit))
    np.testing.assert_allclose(values_K, case["expectations"], rtol=0, atol=TOLERANCE)
    gradient_P = np.array(REFERENCES["cotangent"]) @ jacobian_KP
    np.testing.assert_allclose(gradient_P, case["gradient"], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("case", CASES, ids=case_name)
def test_the_reference_engine_gives_the_same(case: dict[str, Any], tmp_path: Path) -> None:
    """The same through slots, the adjoint sweep and the chain rule; the sample comes twice, as a batch of two."""
    circuit = build(case, tmp_path)
    observables = assemble_observables(case["n_qubits"], "pauli", {"terms": case["observables"]})
    coefficients_KM = np.zeros((observables.n_observables, len(observables.strings)))
    for row, terms in enumerate(observables.coefficients):
        for column, coefficient in terms.items():
            coefficients_KM[row, column] = coefficient
    angles = AngleMap(circuit)
    x_BF = np.array([case["features"]] * 2)
    program = ReferenceEngine().compile(circuit, observables.strings, "complex128")
    state_N = initial_state(case, circuit)
    step, per_sample = begin(program, circuit, np.array(case["parameters"]), x_BF)
    tape = step.forward(per_sample, None if state_N is None else np.stack([state_N] * 2))
    expectations_BK = tape.expectations_BM @ coefficients_KM.T + np.array(observables.constants)
    np.testing.assert_allclose(expectations_BK, [case["expectations"]] * 2, rtol=0, atol=TOLERANCE)
    cotangent_BM = np.array([REFERENCES["cotangent"]] * 2) @ coefficients_KM / 2  # the mean over the batch
    backward = tape.backward(cotangent_BM)
    gradient_S = step.slot_gradient(backward.block_sums_GR.sum(axis=0))
    gradient_P = angles.shared_gradient(gradient_S)
    gradient_P += angles.encoding_gradient(angles.encoding_sums(backward.per_sample_BS, x_BF).sum(axis=0))
    np.testing.assert_allclose(gradient_P, case["gradient"], rtol=0, atol=TOLERANCE)


def test_the_cases_tell_something_apart() -> None:
    """No case passes by values that vanish: each has an expectation or a gradient well away from zero."""
    for case in CASES:
        assert max(map(abs, case["expectations"] + case["gradient"])) > 1e-2, case_name(case)


def test_every_entry_with_a_template_elsewhere_has_references_of_three_sizes() -> None:
    # Not templates of those two libraries: the Sim circuits, the QCNN of a tutorial, our own re-uploading, and the
    # feature maps of Qadence. Their gate lists are written out in tests/circuit, and they are derived a second time in
    # test_second_derivation.
    without = {"sim_2", "sim_13", "sim_14", "sim_15", "sim_19", "qcnn", "qasm", "python", "none"}
    without |= {"reuploading", "fourier", "chebyshev"}
    sizes: dict[str, set[int]] = {}
    for case in CASES:
        for entry in (case["encoding"][0], case["ansatz"][0]):
            sizes.setdefault(entry, set()).add(case["n_qubits"])
    for name in [*ENCODINGS, *ANSATZE]:
        assert name in without or len(sizes.get(name, ())) == 3, f"{name}: three sizes by make_references, or `without`"
