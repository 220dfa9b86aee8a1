"""Circuits of real states that tests of engines share."""

from __future__ import annotations

from qmltrain.circuit.angle import feature, parameter
from qmltrain.circuit.circuit import Circuit, Gate


def layered(n_qubits: int, layers: int, entangler: str = "cz") -> Circuit:
    """RY(x) encoding, then layers of RY on each qubit, H on one, RY(x) on another, and a ring of `entangler`."""
    gates = [Gate("ry", (q,), (feature(q),)) for q in range(n_qubits)]
    count = 0
    width = {"cz": 2, "cx": 2, "ccx": 3}[entangler]
    for layer in range(layers):
        for q in range(n_qubits):
            gates.append(Gate("ry", (q,), (parameter(count),)))
            count += 1
        gates.append(Gate("h", (layer % n_qubits,)))
        gates.append(Gate("ry", ((layer + 1) % n_qubits,), (feature(layer % n_qubits),)))
        if n_qubits >= width:
            rings = 1 if n_qubits == width else n_qubits
            gates += [Gate(entangler, tuple((q + i) % n_qubits for i in range(width))) for q in range(rings)]
    names = tuple(f"theta.{k}" for k in range(count))
    return Circuit(n_qubits, tuple(gates), names, n_features=n_qubits)
