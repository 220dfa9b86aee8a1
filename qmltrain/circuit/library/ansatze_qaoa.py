"""QAOA as an ansatz: alternating cost and mixer evolutions on a weighted graph."""

from __future__ import annotations

from qmltrain.circuit.angle import parameter
from qmltrain.circuit.builder import CircuitBuilder
from qmltrain.circuit.checks import check_least_qubits, check_positive
from qmltrain.circuit.library.graphs import choose_graph


def qaoa(
    builder: CircuitBuilder,
    *,
    layers: int = 1,
    graph: str = "ring",
    degree: int | None = None,
    seed: int | None = None,
    path: str | None = None,
) -> None:
    """QAOA from |+>^n: `layers` times exp(-i gamma C) and exp(-i beta B), C = sum w_ij Z_i Z_j, B = sum X_i.

    In gates: H on all, then RZZ(2 w_ij gamma) on each edge and RX(2 beta) on each qubit. (The MaxCut cost
    sum w_ij (1 - Z_i Z_j) / 2 is -C/2 and a constant, so its gamma is -2 times this one.) `graph` is ring, chain,
    complete, random_regular (of `degree`, by default 3, and `seed`, by default 0), or file: `path`, one "i j" or
    "i j weight" a line. From 2 qubits on. Parameters (layers, 2): gamma, beta. Refuses options of another kind of
    graph. Reference: Farhi, Goldstone, Gutmann, arXiv:1411.4028.
    """
    check_positive("ansatz.layers", layers)
    check_least_qubits("ansatz.name", builder.n_qubits, 2, "qaoa")
    edges = choose_graph(builder.n_qubits, graph, degree, seed, path)
    for qubit in range(builder.n_qubits):
        builder.add("h", qubit)
    for _ in range(layers):
        layer = builder.start_layer()
        gamma, beta = builder.parameters([f"ansatz.{layer}.gamma", f"ansatz.{layer}.beta"])
        for i, j, weight in edges:
            builder.add("rzz", (i, j), parameter(gamma, scale=2 * weight))
        for qubit in range(builder.n_qubits):
            builder.add("rx", qubit, parameter(beta, scale=2.0))
