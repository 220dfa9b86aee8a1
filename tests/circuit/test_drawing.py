"""Drawings: small ones by hand, and for any circuit that lines are straight and widths kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmltrain.circuit.angle import Angle, Feature, constant, feature, parameter
from qmltrain.circuit.builder import CircuitBuilder
from qmltrain.circuit.circuit import Circuit, Gate, from_gates
from qmltrain.circuit.drawing import counts, draw
from qmltrain.circuit.gates import GATES
from qmltrain.circuit.library.assemble import assemble
from tests.circuit.strategies import circuits


def test_a_small_circuit() -> None:
    circuit = assemble(3, 2, "angle", {}, "hea", {"rotations": ["rz"], "entangler": "cx_ring"})
    assert draw(circuit).splitlines() == [
        "q0: ─┤RY(x0)├─┤RZ(θ0)├──●──────┤X├─",
        "                        │       │",
        "q1: ─┤RY(x1)├─┤RZ(θ1)├─┤X├──●───┼──",
        "                            │   │",
        "q2: ─┤RZ(θ2)├──────────────┤X├──●──",
    ]
    assert draw(circuit, ascii_only=True).splitlines() == [
        "q0: -[RY(x0)]-[RZ(t0)]--*------[X]-",
        "                        |       |",
        "q1: -[RY(x1)]-[RZ(t1)]-[X]--*---|--",
        "                            |   |",
        "q2: -[RZ(t2)]--------------[X]--*--",
    ]


def test_gates_cross_other_wires_and_pack_around_them() -> None:
    builder = CircuitBuilder(4, 4)
    builder.amplitude_encode()
    builder.add("cz", (0, 2))
    builder.add("h", 1)
    builder.add("swap", (3, 1))
    builder.add("cswap", (1, 0, 2))
    builder.add("ccx", (2, 0, 1))
    builder.add("cp", (0, 3), 0.5)
    assert draw(builder.build(), ascii_only=True).splitlines() == [
        "q0: [|x>]-*-------x--*-----*-----",
        "          |       |  |     |",
        "q1: [|x>]-|-[H]-x-*-[X]----|-----",
        "          |     | |  |     |",
        "q2: [|x>]-*-----|-x--*-----|-----",
        "                |          |",
        "q3: [|x>]-------x-------[P(0.5)]-",
    ]


@pytest.mark.parametrize(
    ("angle", "text"),
    [
        (constant(0.0), "0"),
        (constant(1.23456), "1.23"),
        (constant(3.141592653589793), "π"),
        (constant(-3 * 3.141592653589793 / 4), "-3π/4"),
        (parameter(7), "θ7"),
        (parameter(7, scale=2.0), "2 θ7"),
        (feature(1, weight=2, bias=3), "θ2 x1+θ3"),
        (Angle(feature=Feature("arccos", (4,)), scale=2.0), "2 acos x4"),
        (Angle(feature=Feature("product", (0, 1), centre=3.141592653589793), scale=2.0), "2 (π-x0)(π-x1)"),
        (Angle(feature=Feature("product", (0, 1))), "x0x1"),
        (Angle(feature=Feature("product", (0, 1, 2))), "-x0x1x2"),
        (Angle(weight=1, offset=-0.25), "θ1-0.25"),
        (Angle(weight=1, offset=0.25), "θ1+0.25"),
    ],
)
def test_angles_are_written_as_formulas(angle: Angle, text: str) -> None:
    gates = [Gate("rx", (0,), (angle,))]
    circuit = from_gates(1, gates, parameter_names=tuple("abcdefgh"), n_features=5)
    assert draw(circuit) == f"q0: ─┤RX({text})├─"


def test_long_circuits_are_cut_and_counted() -> None:
    circuit = assemble(8, 16, "reuploading", {"repeats": 2}, "hea", {"layers": 3})
    text = draw(circuit, max_columns=80).splitlines()
    assert len(text) == 16
    assert all(line.endswith("…") for line in text[:-1:2])
    assert max(map(len, text)) <= 80
    assert text[-1] == f"48 of {len(circuit.gates)} gates are shown"
    assert "gates are shown" not in draw(circuit, max_columns=10_000)


def test_no_gates() -> None:
    assert draw(from_gates(2, [])) == "q0: ─\n\nq1: ─"
    assert counts(from_gates(2, [])).depth == 0


def test_counts() -> None:
    found = counts(assemble(3, 3, "angle", {}, "hea", {"layers": 2}))
    assert found.gates == {"ry": 9, "cz": 6, "rx": 6, "rz": 6}
    assert (found.n_gates, found.n_qubits, found.n_parameters, found.n_features, found.n_layers) == (27, 3, 18, 3, 2)
    # RY; RX RY RZ; three CZ in a ring of three wait for each other; the next layer
    assert found.depth == 1 + 3 + 3 + 3 + 3


@given(circuits(max_qubits=5, max_gates=12), st.booleans())
def test_any_circuit_draws_with_straight_lines(circuit: Circuit, ascii_only: bool) -> None:
    lines = draw(circuit, max_columns=10_000, ascii_only=ascii_only).splitlines()
    wires = lines[::2]
    assert len(lines) == 2 * circuit.n_qubits - 1
    assert len({len(wire) for wire in wires}) == 1
    if ascii_only:
        assert all(line.isascii() for line in lines)
    assert sum(counts(circuit).gates.values()) == len(circuit.gates)


@pytest.mark.parametrize("name", GATES)
def test_every_gate_shows_on_each_of_its_qubits(name: str) -> None:
    definition = GATES[name]
    n = definition.n_qubits or 3
    pauli = "XYZ" if name == "pauli_rot" else ""
    gate = Gate(name, tuple(range(n)), tuple(constant(0.1 * k) for k in range(definition.n_angles)), pauli)
    wires = draw(from_gates(n, [gate])).splitlines()[::2]
    assert all(set(wire.split(": ")[1]) - set("─") for wire in wires)
