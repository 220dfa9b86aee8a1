"""Whether a circuit's states stay real at any parameters, up to one phase: read off its gates, one by one.

Such a circuit reaches only a part of all states; where it is deep and random it comes to Haar-random real ones (the
orthogonal group).
"""

from __future__ import annotations

import numpy as np

from qmltrain.circuit.circuit import Circuit, Gate
from qmltrain.circuit.gates import gate_matrix

_REAL_ROTATIONS = ("ry", "cry")


def is_real(circuit: Circuit) -> bool:
    """False also where it takes several gates together to see it."""
    known: dict[object, bool] = {}
    for gate in circuit.gates:
        constants = tuple(angle.offset if angle.is_constant else None for angle in gate.angles)
        key = (gate.name, constants, gate.pauli, len(gate.qubits))
        if key not in known:
            known[key] = _is_real(gate, constants)
        if not known[key]:
            return False
    return True


def _is_real(gate: Gate, constants: tuple[float | None, ...]) -> bool:
    values = [value for value in constants if value is not None]
    if len(values) == len(constants):
        matrix = gate_matrix(gate.name, len(gate.qubits), tuple(values), gate.pauli)
        largest = matrix.reshape(-1)[np.argmax(np.abs(matrix))]
        return bool(np.abs((matrix * (np.conj(largest) / abs(largest))).imag).max() < 1e-12)
    if gate.name == "pauli_rot":  # exp(-i theta P / 2) with P imaginary
        return gate.pauli.count("Y") % 2 == 1
    return gate.name in _REAL_ROTATIONS
