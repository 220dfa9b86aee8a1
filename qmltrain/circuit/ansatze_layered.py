"""Layered ansaetze: rotations on every qubit, then a fixed pattern of two-qubit gates; no final rotations."""

from __future__ import annotations

from collections.abc import Sequence

from qmltrain.circuit.angle import parameter
from qmltrain.circuit.builder import CircuitBuilder, numbered
from qmltrain.circuit.checks import ROTATIONS, check_choice, check_choices, check_positive
from qmltrain.errors import InputError

HEA_ENTANGLERS = ("cz_ring", "cz_chain", "cx_ring", "cx_chain", "none")


def ring(n_qubits: int) -> list[tuple[int, int]]:
    """(0, 1), (1, 2), ..., (n-1, 0); on two qubits (0, 1) alone, on one nothing."""
    if n_qubits == 2:
        return [(0, 1)]
    return [(i, (i + 1) % n_qubits) for i in range(n_qubits)] if n_qubits > 2 else []


def chain(n_qubits: int) -> list[tuple[int, int]]:
    """(0, 1), (1, 2), ..., (n-2, n-1)."""
    return [(i, i + 1) for i in range(n_qubits - 1)]


def hea(
    builder: CircuitBuilder, *, layers: int = 1, rotations: Sequence[str] = ROTATIONS, entangler: str = "cz_ring"
) -> None:
    """Hardware-efficient ansatz: a layer is every rotation of `rotations` on each qubit, then the entangler.

    `entangler` is cz_ring, cz_chain, cx_ring, cx_chain (gates in order 0, 1, ..., control first) or none; a ring of two
    qubits is one gate. From 1 qubit on (where there is nothing to entangle). Parameters (layers, n, R), R the number of
    rotations, in this order; no final rotation layer. So 20 qubits x 1,000 layers x 3 are 60,000 parameters.
    The name stands for the family of Kandala et al., Nature 549, 242 (2017), and claims no particular member.
    """
    check_positive("ansatz.layers", layers)
    check_choices("ansatz.rotations", rotations, ROTATIONS)
    check_choice("ansatz.entangler", entangler, HEA_ENTANGLERS)
    n = builder.n_qubits
    gate, _, shape = entangler.partition("_")
    pairs = {"ring": ring, "chain": chain}[shape](n) if shape else []
    labels = numbered(rotations)
    for _ in range(layers):
        layer = builder.start_layer()
        theta = iter(builder.parameters(f"ansatz.{layer}.{label}.{q}" for q in range(n) for label in labels))
        for qubit in range(n):
            for rotation in rotations:
                builder.add(rotation, qubit, parameter(next(theta)))
        for pair in pairs:
            builder.add(gate, pair)


def strongly_entangling(
    builder: CircuitBuilder, *, layers: int = 1, ranges: Sequence[int] | None = None, imprimitive: str = "cx"
) -> None:
    """Strongly entangling layers: RZ(phi) RY(theta) RZ(omega) on each qubit, then CX(i, i + r mod n) for i = 0..n-1.

    The range r of layer l is ``ranges[l]``, by default l mod (n-1) + 1; `imprimitive` is cx or cz. From 1 qubit on
    (rotations alone); on two qubits both CX(0, 1) and CX(1, 0) are applied. Parameters (layers, n, 3) in the order
    phi, theta, omega of time. Refuses ranges of another length than `layers` or outside 1..n-1. Reference:
    Schuld, Bocharov, Svore, Wiebe, Phys. Rev. A 101, 032308 (2020), arXiv:1804.00633; StronglyEntanglingLayers of
    PennyLane.
    """
    check_positive("ansatz.layers", layers)
    check_choice("ansatz.imprimitive", imprimitive, ("cx", "cz"))
    n = builder.n_qubits
    if ranges is None:
        ranges = [layer % (n - 1) + 1 if n > 1 else 0 for layer in range(layers)]
    else:
        _check_ranges(ranges, layers, n)
    gates = ("rz", "ry", "rz")
    labels = numbered(gates)
    for distance in ranges:
        layer = builder.start_layer()
        theta = iter(builder.parameters(f"ansatz.{layer}.{label}.{q}" for q in range(n) for label in labels))
        for qubit in range(n):
            for gate in gates:
                builder.add(gate, qubit, parameter(next(theta)))
        if n > 1:
            for qubit in range(n):
                builder.add(imprimitive, (qubit, (qubit + distance) % n))


def _check_ranges(ranges: Sequence[int], layers: int, n_qubits: int) -> None:
    if isinstance(ranges, str) or len(ranges) != layers:
        raise InputError(f"ansatz.ranges: one range a layer is needed, {layers} in all; found {ranges!r}")
    for layer, distance in enumerate(ranges):
        if isinstance(distance, bool) or not isinstance(distance, int) or not 1 <= distance < n_qubits:
            raise InputError(
                f"ansatz.ranges: range {distance!r} of layer {layer} is not in 1..{n_qubits - 1}, the distances of "
                f"two of {n_qubits} qubits"
            )
