"""Circuits that differ in the axes of their one-qubit rotations alone (`pauli_two_design`), as axes on one circuit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qmltrain.circuit.circuit import Circuit
from qmltrain.training.parameter_vectors import ROTATIONS

IntArray = NDArray[np.int64]


def axes_as_written(circuit: Circuit) -> IntArray:
    """(A,) 0, 1, 2 for x, y, z of each gate rx, ry, rz, in the order of the circuit."""
    return np.array([ROTATIONS.index(gate.name) for gate in circuit.gates if gate.name in ROTATIONS], dtype=np.int64)


def axes_on(pattern: Circuit, circuit: Circuit) -> IntArray | None:
    """`axes_as_written` of `circuit`, where nothing else in it differs from `pattern`; else None."""
    if len(circuit.gates) != len(pattern.gates) or circuit.n_qubits != pattern.n_qubits:
        return None
    for gate, other in zip(circuit.gates, pattern.gates, strict=True):
        if gate.name != other.name and not (gate.name in ROTATIONS and other.name in ROTATIONS):
            return None
        if gate.qubits != other.qubits or gate.angles != other.angles or gate.pauli != other.pauli:
            return None
    return axes_as_written(circuit)
