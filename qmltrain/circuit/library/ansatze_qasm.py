"""A circuit from an OpenQASM file as an ansatz."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from qmltrain.circuit.angle import Angle
from qmltrain.circuit.builder import CircuitBuilder
from qmltrain.circuit.checks import check_positive
from qmltrain.circuit.circuit import MAX_QUBITS
from qmltrain.errors import InputError
from qmltrain.user_code import read_text


def qasm(builder: CircuitBuilder, *, layers: int = 1, path: str) -> None:
    """The circuit in the OpenQASM 3 or 2 file `path`, `layers` times, each time with parameters of its own.

    Inputs x0, x1, ... (or an array x) are features, all others are parameters;
    `qmltrain.circuit.interchange.qasm_import` says what is understood. Qubits in the order of their declarations, at
    most as many as the circuit has; those that the file resets must be as at the start. Parameters (layers, inputs)
    in the order of their declarations. Needs the extra `qasm`. Refuses more qubits or features than there are, and what
    cannot be read, with the line. Reference: Cross et al., ACM Transactions on Quantum Computing 3, 12 (2022),
    arXiv:2104.14722.
    """
    check_positive("ansatz.layers", layers)
    where = f"ansatz.path: {path}"
    program = _reader()(read_text(path, "ansatz.path"), where, lambda n: _check_qubits(n, builder.n_qubits, where))
    if program.n_features > builder.n_features:
        raise InputError(
            f"{where} uses the feature x{program.n_features - 1}, the data has {builder.n_features} features; choose "
            f"preprocess or data with {program.n_features} or more"
        )
    for _ in range(layers):
        _check_fresh(program.reset_qubits, builder, where)
        layer = builder.start_layer()
        own = builder.parameters([f"ansatz.{layer}.{name}" for name in program.parameter_names])
        for gate in program.gates:
            builder.add(gate.name, gate.qubits, *(_with_parameters(angle, own) for angle in gate.angles))


def _check_qubits(n: int, of_circuit: int, where: str) -> None:
    if n > MAX_QUBITS:
        raise InputError(f"{where} has {n} qubits; circuits have at most {MAX_QUBITS}")
    if n > of_circuit:
        raise InputError(f"{where} has {n} qubits, the circuit {of_circuit}; set circuit.n_qubits to {n} or more")


def _check_fresh(qubits: Sequence[int], builder: CircuitBuilder, where: str) -> None:
    """A reset does nothing where nothing has happened to its qubit: the reader knows that of the file alone."""
    changed = builder.changed_qubits & set(qubits) if qubits else set()
    if changed:
        raise InputError(
            f"{where} resets qubit {min(changed)}, which the encoding or the layer before has changed; remove the "
            "reset, or choose encoding=none and ansatz.layers=1"
        )


def _reader() -> Callable[[str, str, Callable[[int], None]], Any]:
    """`read_program` of `circuit/interchange`, a wing that the rest of the library does without."""
    try:
        wing = importlib.import_module("qmltrain.circuit.interchange.qasm_import")
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("qmltrain.circuit.interchange"):
            raise
        raise InputError("ansatz.name: qasm needs qmltrain/circuit/interchange, which is not installed here") from None
    return wing.read_program


def _with_parameters(angle: Angle, own: list[int]) -> Angle:
    """Indices in the file as indices in the circuit."""
    return replace(
        angle,
        weight=None if angle.weight is None else own[angle.weight],
        bias=None if angle.bias is None else own[angle.bias],
    )
