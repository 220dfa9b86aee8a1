"""Hand-made circuits that tests of engines share."""

from __future__ import annotations

from qmltrain.circuit.angle import feature, parameter
from qmltrain.circuit.circuit import Circuit, Gate


def hea(n_qubits: int, layers: int, entangler: str = "cz") -> Circuit:
    """RY(x) encoding, then layers of RX RY RZ and a ring; written out, independent of the ansatz registry."""
    gates = [Gate("ry", (q,), (feature(q),)) for q in range(n_qubits)]
    count = 0
    for _ in range(layers):
        for q in range(n_qubits):
            for name in ("rx", "ry", "rz"):
                gates.append(Gate(name, (q,), (parameter(count),)))
                count += 1
        pairs = [(q, (q + 1) % n_qubits) for q in range(n_qubits)] if n_qubits > 2 else [(0, 1)] * (n_qubits - 1)
        gates += [Gate(entangler, pair) for pair in pairs]
    names = tuple(f"theta.{k}" for k in range(count))
    return Circuit(n_qubits, tuple(gates), names, n_features=n_qubits)
