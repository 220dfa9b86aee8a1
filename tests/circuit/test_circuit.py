"""A circuit that cannot be is refused, with the position of the gate."""

from __future__ import annotations

import pytest

from qmltrain.circuit.angle import parameter
from qmltrain.circuit.builder import CircuitBuilder
from qmltrain.errors import InputError


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        (("ry", 3, 0.1), r"^gate 1 \(ry\): qubits \(3,\) are not all in 0\.\.2"),
        (("rry", 0, 0.1), r"^gate 1 \(rry\): unknown gate"),
        (("ry", 0), r"^gate 1 \(ry\): takes 1 angles, 0 given"),
        (("cx", (0,)), r"^gate 1 \(cx\): takes 2 qubits, 1 given"),
        (("cx", (1, 1)), r"^gate 1 \(cx\): qubits \(1, 1\) must be distinct"),
        (("ry", 0, parameter(1)), r"^gate 1 \(ry\): parameter 1 is not in 0\.\.0"),
        (("pauli_rot", (0, 1), 0.1), r"^gate 1 \(pauli_rot\): needs one letter"),
    ],
)
def test_gates_that_cannot_be_are_named_by_position(gate: tuple, message: str) -> None:
    builder = CircuitBuilder(3)
    builder.parameters(["a"])
    builder.add("h", 0)
    builder.add(*gate)
    with pytest.raises(InputError, match=message):
        builder.build()


def test_a_name_used_twice_is_refused() -> None:
    builder = CircuitBuilder(1)
    builder.parameters(["a", "b"])
    builder.parameters(["b"])
    with pytest.raises(InputError, match="parameter name 'b' is used twice"):
        builder.build()
