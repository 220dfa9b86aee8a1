"""Circuits 2, 13, 14, 15 and 19 of Sim, Johnson, Aspuru-Guzik, Advanced Quantum Technologies 2, 1900070 (2019),
arXiv:1905.10876, generalised from 4 to n qubits; one layer is the circuit of the paper.
"""

from __future__ import annotations

from qmltrain.circuit.builder import CircuitBuilder
from qmltrain.circuit.checks import check_least_qubits, check_positive
from qmltrain.circuit.library.ansatze_local import add_layer

Places = list[tuple[str, int | tuple[int, ...]]]


def sim_2(builder: CircuitBuilder, *, layers: int = 1) -> None:
    """RX on all, RZ on all, then CX(q, q-1) from the last qubit down to (1, 0).

    From 1 qubit on (no CX). Parameters (layers, 2, n). Reference: circuit 2 of arXiv:1905.10876.
    """
    n = builder.n_qubits
    _repeat(builder, layers, _on_all(n, "rx") + _on_all(n, "rz") + [("cx", (q, q - 1)) for q in range(n - 1, 0, -1)])


def sim_13(builder: CircuitBuilder, *, layers: int = 1) -> None:
    """RY on all; CRZ ring; RY on all; CRZ ring the other way round (see `sim_14`, with CRZ).

    From 2 qubits on. Parameters (layers, 4, n) in the order of time. Reference: circuit 13 of arXiv:1905.10876.
    """
    _double_ring(builder, layers, "crz")


def sim_14(builder: CircuitBuilder, *, layers: int = 1) -> None:
    """RY on all; CRX(c, c+1 mod n) for c = n-1, ..., 0; RY on all; CRX(c, c-1 mod n) for c = n-1, 0, 1, ..., n-2.

    From 2 qubits on. Parameters (layers, 4, n) in the order of time. Reference: circuit 14 of arXiv:1905.10876.
    """
    _double_ring(builder, layers, "crx")


def sim_15(builder: CircuitBuilder, *, layers: int = 1) -> None:
    """RY on all; CX ring; RY on all; CX ring the other way round (see `sim_14`, with CX).

    From 2 qubits on. Parameters (layers, 2, n). Reference: circuit 15 of arXiv:1905.10876.
    """
    _double_ring(builder, layers, "cx")


def sim_19(builder: CircuitBuilder, *, layers: int = 1) -> None:
    """RX on all, RZ on all, then CRX(c, c+1 mod n) for c = n-1, ..., 0.

    From 2 qubits on. Parameters (layers, 3, n) in the order of time. Reference: circuit 19 of arXiv:1905.10876.
    """
    n = builder.n_qubits
    check_least_qubits("ansatz.name", n, 2, "sim_19")
    _repeat(builder, layers, _on_all(n, "rx") + _on_all(n, "rz") + _forward_ring(n, "crx"))


def _double_ring(builder: CircuitBuilder, layers: int, gate: str) -> None:
    n = builder.n_qubits
    check_least_qubits("ansatz.name", n, 2, "this circuit of Sim et al.")
    backward: Places = [(gate, (control % n, (control - 1) % n)) for control in range(n - 1, 2 * n - 1)]
    _repeat(builder, layers, _on_all(n, "ry") + _forward_ring(n, gate) + _on_all(n, "ry") + backward)


def _forward_ring(n: int, gate: str) -> Places:
    return [(gate, (control, (control + 1) % n)) for control in range(n - 1, -1, -1)]


def _on_all(n: int, gate: str) -> Places:
    return [(gate, qubit) for qubit in range(n)]


def _repeat(builder: CircuitBuilder, layers: int, places: Places) -> None:
    check_positive("ansatz.layers", layers)
    for _ in range(layers):
        add_layer(builder, places)
