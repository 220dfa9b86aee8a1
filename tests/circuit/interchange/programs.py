"""OpenQASM programs as circuits, and as lines of text."""

from __future__ import annotations

from qmltrain.circuit.circuit import Circuit
from qmltrain.circuit.interchange.qasm_import import read_program
from tests.circuit.listing import listing

LIBRARY = 'include "stdgates.inc"; '
HEADER = 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'


def circuit_of(text: str, n_features: int = 0) -> Circuit:
    program = read_program(text, "file")
    return Circuit(
        program.n_qubits, program.gates, program.parameter_names, n_features=max(n_features, program.n_features)
    )


def lines(text: str) -> list[str]:
    """The gates of `text`, to which the library is added."""
    return listing(circuit_of(LIBRARY + text))
