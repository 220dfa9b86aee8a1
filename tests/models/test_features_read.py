"""Features that a circuit reads: by rules gate by gate, beside the states that two samples have."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.circuit.angle import Angle, Feature
from qmltrain.circuit.circuit import Circuit, Gate
from qmltrain.circuit.library.assemble import assemble
from qmltrain.models.features_read import circuit_reads
from tests.circuit.dense import unitary


def indices(angle: Angle) -> tuple[int, ...]:
    return () if angle.feature is None else angle.feature.indices


@pytest.mark.parametrize(
    ("encoding", "options", "reads"),
    [
        ("angle", {}, [0, 1, 2]),
        ("amplitude", {}, [0, 1, 2]),
        ("none", {}, []),
        ("zz_feature_map", {}, [0, 1, 2]),
        ("zz_feature_map", {"alpha": 0.0}, []),  # every angle is 0 times the features
        ("pauli_feature_map", {"paulis": ["ZZ"], "entanglement": "full"}, [0, 1, 2]),
        ("angle", {"gate": "ry", "hadamards": True}, [0, 1, 2]),
    ],
)
def test_features_that_the_circuit_reads(encoding, options, reads):
    circuit = assemble(3, 3, encoding, options, "hea", {"layers": 1})
    assert circuit_reads(circuit).tolist() == reads
    used = {i for gate in circuit.gates for angle in gate.angles for i in indices(angle) if angle.scale}
    assert circuit.amplitude_encoded or sorted(used) == reads


@pytest.mark.parametrize(
    ("before", "after", "reads"),
    [
        ([], ["rz"], False),
        (["x"], ["rz"], False),
        (["x"], ["p"], False),
        (["h"], ["rz"], True),
        (["h"], ["rx"], False),
        (["h", "s"], ["ry"], False),
        (["h", "s"], ["rx"], True),
        (["sx"], ["ry"], False),
        (["h", "t"], ["rx"], True),  # X + Y: the axis of neither
        (["ry"], ["rz"], True),
        (["cx"], ["rz"], False),
        ([], ["rzz"], False),
        (["h"], ["rzz"], True),
        (["h both"], ["rxx"], False),
        (["h both", "cz"], ["rx"], True),
    ],
)
def test_rotations_about_the_axis_of_an_eigenstate_read_nothing(before, after, reads):
    """As the states say, too: two samples have the same but for a phase where nothing is read."""
    gates = []
    for name in before:
        if name == "ry":
            gates.append(Gate("ry", (0,), (Angle(offset=0.4),)))
        elif name == "h both":
            gates += [Gate("h", (0,)), Gate("h", (1,))]
        else:
            gates.append(Gate(name, (0, 1) if name in ("cx", "cz") else (0,)))
    qubits = (0, 1) if after[0] in ("rzz", "rxx") else (0,)
    gates.append(Gate(after[0], qubits, (Angle(feature=Feature("linear", (0,))),)))
    circuit = Circuit(2, tuple(gates), n_features=1)
    assert circuit_reads(circuit).tolist() == [0] * reads
    one, other = (unitary(circuit, x_F=[value])[:, 0] for value in (0.3, 1.7))
    assert (abs(np.vdot(one, other)) < 0.999) == reads
