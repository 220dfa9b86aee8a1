"""CircuitBuilder: what it collects, and what it refuses."""

from __future__ import annotations

import pytest

from qmltrain.circuit.angle import constant, parameter
from qmltrain.circuit.builder import CircuitBuilder, place_names
from qmltrain.circuit.circuit import Circuit, Gate
from qmltrain.errors import InputError


def test_collects_gates_parameters_and_layers() -> None:
    builder = CircuitBuilder(3, 2)
    builder.add("h", 0)
    outside = builder.parameters(["before"])
    assert builder.start_layer() == 0
    first = builder.parameters(["a", "b"])
    builder.add("ry", 1, parameter(first[0]))
    builder.add("rzz", (2, 0), 0.5)
    assert builder.start_layer() == 1
    second = builder.parameters(f"c.{k}" for k in range(2))
    builder.end_layers()
    after = builder.parameters(["after"])
    assert builder.parameters([]) == []
    builder.add("pauli_rot", [2, 1], parameter(after[0]), pauli="XY")
    assert (outside, first, second, after) == ([0], [1, 2], [3, 4], [5])
    assert (builder.n_gates, builder.n_layers) == (4, 2)
    assert builder.build() == Circuit(
        3,
        (
            Gate("h", (0,)),
            Gate("ry", (1,), (parameter(1),)),
            Gate("rzz", (2, 0), (constant(0.5),)),
            Gate("pauli_rot", (2, 1), (parameter(5),), "XY"),
        ),
        parameter_names=("before", "a", "b", "c.0", "c.1", "after"),
        n_features=2,
        layer_starts=(1, 3),
        parameter_layers=(-1, 0, 0, 1, 1, -1),
    )


def test_amplitude_encoding_comes_first() -> None:
    builder = CircuitBuilder(2, 4)
    builder.amplitude_encode()
    assert builder.build().amplitude_encoded
    builder.add("h", 0)
    with pytest.raises(InputError, match="1 gates precede it"):
        builder.amplitude_encode()


@pytest.mark.parametrize(("n_qubits", "n_features"), [(0, 0), (-1, 0), (1001, 0), (2, -1)])
def test_impossible_sizes_are_refused(n_qubits: int, n_features: int) -> None:
    with pytest.raises(InputError):
        CircuitBuilder(n_qubits, n_features)


def test_place_names_are_distinct() -> None:
    places = [("ry", 0), ("ry", 1), ("ry", 0), ("crx", (0, 1)), ("crx", (1, 0)), ("crx", (0, 1)), ("ry", 0)]
    assert place_names("ansatz.3", places) == [
        *["ansatz.3.ry.0", "ansatz.3.ry.1", "ansatz.3.ry_2.0"],
        *["ansatz.3.crx.0_1", "ansatz.3.crx.1_0", "ansatz.3.crx_2.0_1", "ansatz.3.ry_3.0"],
    ]


def test_more_gates_than_memory_could_hold_are_refused_while_they_are_added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("qmltrain.circuit.builder.MAX_GATES", 5)
    builder = CircuitBuilder(1)
    for _ in range(5):
        builder.add("h", 0)
    with pytest.raises(InputError, match=r"more than 5 gates; choose fewer ansatz\.layers or encoding\.repeats"):
        builder.add("h", 0)
