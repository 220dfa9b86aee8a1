"""From names and options, as a config gives them, to a Circuit and its Observables."""

from __future__ import annotations

from qmltrain.circuit.builder import CircuitBuilder
from qmltrain.circuit.circuit import Circuit
from qmltrain.circuit.library.ansatze import ANSATZE
from qmltrain.circuit.library.encodings import ENCODINGS
from qmltrain.circuit.library.observable_builders import OBSERVABLES
from qmltrain.circuit.observables import Observables
from qmltrain.errors import InputError
from qmltrain.registry import Options, call_builder, check_options


def assemble(
    n_qubits: int,
    n_features: int,
    encoding_name: str,
    encoding_options: Options,
    ansatz_name: str,
    ansatz_options: Options,
) -> Circuit:
    """The circuit of an encoding around an ansatz; options that are None take the entry's default.

    Raises InputError for unknown names and options, options a builder refuses, and gates that cannot be.
    """
    builder = CircuitBuilder(n_qubits, n_features)
    check_options(ANSATZE, "ansatz", ansatz_name, ansatz_options)
    calls = 0

    def ansatz() -> None:
        nonlocal calls
        calls += 1
        call_builder(ANSATZE, "ansatz", ansatz_name, ansatz_options, builder)
        builder.end_layers()

    call_builder(ENCODINGS, "encoding", encoding_name, encoding_options, builder, ansatz)
    if not calls:
        raise InputError(f"encoding.name: {encoding_name} never called ansatz(), so that nothing would be trained")
    return builder.build()


def assemble_observables(n_qubits: int, name: str, options: Options) -> Observables:
    """The observables of registry entry `name`; raises InputError as `call_builder` does."""
    return call_builder(OBSERVABLES, "observable", name, options, n_qubits)
