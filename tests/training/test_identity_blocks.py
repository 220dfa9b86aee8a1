"""Identity blocks: the unitary of every pair of layers is the identity, at angles that are not all 0; refusals."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.circuit.angle import constant, feature, parameter
from qmltrain.circuit.builder import CircuitBuilder
from qmltrain.circuit.circuit import Circuit, Gate
from qmltrain.circuit.library.ansatze import ANSATZE
from qmltrain.circuit.library.assemble import assemble
from qmltrain.errors import InputError
from qmltrain.training.identity_blocks import identity_blocks
from qmltrain.training.initialization import initial_parameters
from tests.circuit.dense import unitary as circuit_unitary


def unitary(circuit: Circuit, theta: np.ndarray) -> np.ndarray:
    return circuit_unitary(circuit, theta, np.zeros(circuit.n_features))


def assert_identity(matrix: np.ndarray) -> None:
    np.testing.assert_allclose(matrix * np.conj(matrix[0, 0]), np.eye(len(matrix)), atol=1e-12)


def ansatz(name: str, n: int, layers: int, **options: object) -> Circuit:
    return assemble(n, 0, "none", {}, name, {"layers": layers, **options})


@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize("entangler", ["cz_ring", "cz_chain", "none"])
@pytest.mark.parametrize("layers", [2, 4])
def test_hea_cancels_at_random_angles(n: int, entangler: str, layers: int) -> None:
    circuit = ansatz("hea", n, layers, entangler=entangler)
    theta = identity_blocks(circuit, np.random.default_rng(0))
    assert np.count_nonzero(theta) == layers * n  # one of the three rotations of every qubit
    assert_identity(unitary(circuit, theta))
    assert np.all(np.abs(identity_blocks(circuit, np.random.default_rng(0), 0.1)) <= 0.1)


def mirrored(n: int, seed: int) -> Circuit:
    """Random rotations and fixed gates, then the same backwards: as in the paper, all angles can be drawn."""
    generator = np.random.default_rng(seed)
    builder = CircuitBuilder(n)
    gates: list[tuple[str, tuple[int, ...], str]] = []
    for _ in range(12):
        kind = generator.choice(["rx", "ry", "rz", "rzz", "rxx", "pauli_rot", "multi_rz", "cx", "cz", "h", "swap"])
        qubits = tuple(int(q) for q in generator.permutation(n)[: 1 if kind in ("rx", "ry", "rz", "h") else 2])
        gates.append((str(kind), qubits, "YX" if kind == "pauli_rot" else ""))
    for part in (gates, gates[::-1]):
        layer = builder.start_layer()
        for number, (kind, qubits, pauli) in enumerate(part):
            if kind in ("cx", "cz", "h", "swap"):
                builder.add(kind, qubits)
            else:
                [index] = builder.parameters([f"ansatz.{layer}.{number}"])
                builder.add(kind, qubits, parameter(index, scale=0.5 + number), pauli=pauli)
    return builder.build()


@pytest.mark.parametrize("seed", range(12))
def test_a_mirrored_ansatz_is_drawn_in_full(seed: int) -> None:
    circuit = mirrored(3, seed)
    theta = identity_blocks(circuit, np.random.default_rng(seed))
    assert np.count_nonzero(theta) == circuit.n_parameters
    assert_identity(unitary(circuit, theta))


@pytest.mark.parametrize("name", sorted(set(ANSATZE) - {"python", "qasm"}))
@pytest.mark.parametrize("n", [2, 4])
def test_every_ansatz_is_the_identity_or_refused(name: str, n: int) -> None:
    try:
        circuit = ansatz(name, n, 2)
    except InputError:
        circuit = ansatz(name, n, 1)
    try:
        theta = identity_blocks(circuit, np.random.default_rng(1))
    except InputError as error:
        assert str(error).startswith("train.initial: identity is not possible") and "\n" not in str(error)
        return
    assert np.any(theta)
    for start in circuit.layer_starts[2::2]:
        assert start  # the pairs are whole
    prefix = circuit.gates[: circuit.layer_starts[0]]  # H of qaoa: not of a layer
    before = Circuit(n, prefix, circuit.parameter_names)
    assert_identity(unitary(circuit, theta) @ np.linalg.inv(unitary(before, theta)))


def test_later_layers_alone() -> None:
    circuit = ansatz("hea", 2, 3)
    theta = identity_blocks(circuit, np.random.default_rng(0), first_layer=1)
    assert not np.any(theta[:6]) and np.any(theta[6:12])


def test_an_encoding_may_follow_a_pair_but_not_part_it() -> None:
    options = {"repeats": 3, "trainable": "weights"}
    circuit = assemble(2, 2, "reuploading", options, "hea", {"layers": 2})
    theta = initial_parameters(circuit, "identity", np.random.default_rng(0))
    weights = [name.startswith("encoding") for name in circuit.parameter_names]
    assert np.array_equal(theta[weights], np.ones(6)) and np.count_nonzero(theta[~np.array(weights)]) == 12
    assert_identity(unitary(circuit, theta))  # the features are 0 here
    with pytest.raises(InputError, match=r"features are encoded between layers 0 and 1"):
        identity_blocks(assemble(2, 2, "reuploading", {"repeats": 2}, "hea", {"layers": 1}), np.random.default_rng(0))


RX = Gate("rx", (0,), (parameter(0),))


def two_layers(first: list[Gate], second: list[Gate], n_parameters: int = 2, n_features: int = 0) -> Circuit:
    names = tuple(f"p{k}" for k in range(n_parameters))
    return Circuit(2, (*first, *second), names, n_features, layer_starts=(0, len(first)))


@pytest.mark.parametrize(
    ("circuit", "reason"),
    [
        (ansatz("hea", 2, 3), "an even number of layers is needed, found 3"),
        (ansatz("hea", 3, 2, entangler="cx_ring"), "layers 0 and 1 are not the identity when all angles are 0"),
        (ansatz("hea", 2, 2, rotations=["rx"]), "no rotation of layer 0 can undo one of layer 1; choose train.initial"),
        (two_layers([RX, Gate("t", (0,))], [Gate("tdg", (0,))]), "t in layers 0 and 1 is"),
        (two_layers([RX], [Gate("rx", (0,), (constant(0.3),))]), "is not a Clifford gate"),
        (two_layers([RX], [Gate("rz", (0,), (constant(np.pi / 2),))]), "not the identity"),
        (two_layers([Gate("rx", (0,), (feature(0),))], [], 0, 1), "features are encoded between"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(circuit: Circuit, reason: str) -> None:
    with pytest.raises(InputError, match=r"^train\.initial: identity is not possible: .*" + reason):
        identity_blocks(circuit, np.random.default_rng(0))
