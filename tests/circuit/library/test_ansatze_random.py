"""Random ansaetze: pinned by their seed, within their options."""

from __future__ import annotations

import pytest

from qmltrain.circuit.checks import ROTATIONS
from qmltrain.circuit.library.ansatze_random import two_design_axes
from qmltrain.circuit.library.assemble import assemble
from qmltrain.errors import InputError
from qmltrain.training import parameter_vectors
from tests.circuit.library.ansatz_alone import build, lines


def test_random_structures_are_fixed_by_their_seed() -> None:
    # Pinned: a change here would change the circuits of stored configs.
    assert lines(3, "random_layers", n_rotations=5, seed=2) == [
        "rx 1 t0",
        "ry 2 t1",
        "cx 2 1",
        "rz 0 t2",
        "rx 0 t3",
        "rz 1 t4",
    ]
    assert lines(3, "pauli_two_design", seed=1)[3:] == [
        "rz 0 t0",
        "rx 1 t1",
        "ry 2 t2",
        "cz 0 1",
        "cz 1 2",
        "rx 0 t3",
        "rx 1 t4",
        "rz 2 t5",
    ]
    for name in ("random_layers", "pauli_two_design"):
        assert lines(5, name, layers=4) == lines(5, name, layers=4, seed=0)
        assert lines(5, name, layers=4) != lines(5, name, layers=4, seed=1)
        with pytest.raises(InputError, match=r"^ansatz\.seed: .*found -1"):
            build(3, name, seed=-1)


def test_random_layers_options() -> None:
    circuit = build(4, "random_layers", layers=50, n_rotations=20, ratio_imprimitive=0.5)
    n_cx = sum(gate.name == "cx" for gate in circuit.gates)
    assert circuit.n_parameters == 1000
    assert 850 < n_cx < 1150  # as many as rotations, give or take five standard deviations
    assert {gate.name for gate in circuit.gates} == {"rx", "ry", "rz", "cx"}
    assert not any(gate.name == "cx" for gate in build(1, "random_layers", layers=9).gates)
    assert not any(gate.name == "cx" for gate in build(4, "random_layers", layers=9, ratio_imprimitive=0.0).gates)
    for ratio in (1.0, -0.1, float("nan")):
        with pytest.raises(InputError, match=r"^ansatz\.ratio_imprimitive: "):
            build(3, "random_layers", ratio_imprimitive=ratio)
    with pytest.raises(InputError, match=r"^ansatz\.n_rotations: "):
        build(3, "random_layers", n_rotations=0)


@pytest.mark.parametrize("n_qubits", [1, 2, 5])
@pytest.mark.parametrize(("encoding", "options"), [("none", {}), ("angle", {}), ("reuploading", {"repeats": 3})])
def test_axes_of_a_seed_are_those_of_its_circuit(n_qubits, encoding, options):
    n_features = 0 if encoding == "none" else n_qubits

    def circuit(seed):
        return assemble(n_qubits, n_features, encoding, options, "pauli_two_design", {"layers": 4, "seed": seed})

    axes = two_design_axes(circuit(0), 4)
    for seed in (0, 1, 2**62):
        names = [gate.name for gate in circuit(seed).gates if gate.name in ROTATIONS]
        assert [ROTATIONS[axis] for axis in axes(seed)] == names
    assert ROTATIONS == parameter_vectors.ROTATIONS
