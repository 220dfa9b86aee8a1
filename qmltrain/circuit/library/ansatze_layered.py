"""Layered ansaetze: rotations on every qubit, then a fixed pattern of two-qubit gates; no final rotations."""

from __future__ import annotations

from collections.abc import Sequence

from qmltrain.circuit.angle import parameter
from qmltrain.circuit.builder import CircuitBuilder, place_names
from qmltrain.circuit.checks import ROTATIONS, check_choice, check_choices, check_positive
from qmltrain.circuit.library.entanglement import brick, linear, pairwise, ring
from qmltrain.errors import InputError

HEA_ENTANGLERS = ("cz_ring", "cz_chain", "cx_ring", "cx_chain", "none", "cz_brick", "cx_brick")


def hea(
    builder: CircuitBuilder, *, layers: int = 1, rotations: Sequence[str] = ROTATIONS, entangler: str = "cz_ring"
) -> None:
    """Hardware-efficient ansatz: a layer is every rotation of `rotations` on each qubit, then the entangler.

    `entangler` is cz_ring, cz_chain, cx_ring, cx_chain (gates in order 0, 1, ..., control first), cz_brick, cx_brick
    (the pairs (0, 1), (2, 3), ... in even layers and (1, 2), (3, 4), ... in odd ones, layers counted over the whole
    circuit) or none; a ring of two qubits is one gate. An empty list of `rotations` leaves entanglers alone. From 1
    qubit on (where there is nothing to entangle). Parameters (layers, n, R), R the number of rotations, in this order;
    no final rotation layer. So 20 qubits x 1,000 layers x 3 are 60,000 parameters. The name stands for the family of
    Kandala et al., Nature 549, 242 (2017), and claims no particular member of it.
    """
    check_positive("ansatz.layers", layers)
    if list(rotations):
        check_choices("ansatz.rotations", rotations, ROTATIONS)
    check_choice("ansatz.entangler", entangler, HEA_ENTANGLERS)
    gate, _, shape = entangler.partition("_")
    shapes = {"ring": lambda n, layer: ring(n), "chain": linear, "brick": brick, "": lambda n, layer: []}
    for _ in range(layers):
        layer = _rotations_by_qubit(builder, rotations)
        for pair in shapes[shape](builder.n_qubits, layer):
            builder.add(gate, pair)


def basic_entangler(builder: CircuitBuilder, *, layers: int = 1, rotations: Sequence[str] = ("rx",)) -> None:
    """Basic entangler layers: one rotation on each qubit, then a ring of CX(i, i + 1 mod n), i = 0..n-1.

    The same as `hea` with a CX ring; on two qubits one CX, on one none. From 1 qubit on. Parameters (layers, n) for
    the one rotation of the original, (layers, n, R) for a longer list. Reference: BasicEntanglerLayers of PennyLane.
    """
    hea(builder, layers=layers, rotations=rotations, entangler="cx_ring")


def strongly_entangling(
    builder: CircuitBuilder, *, layers: int = 1, ranges: Sequence[int] | None = None, imprimitive: str = "cx"
) -> None:
    """Strongly entangling layers: RZ(phi) RY(theta) RZ(omega) on each qubit, then CX(i, i + r mod n), i = 0..n-1.

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
    for distance in ranges:
        _rotations_by_qubit(builder, ("rz", "ry", "rz"))
        if n > 1:
            for qubit in range(n):
                builder.add(imprimitive, (qubit, (qubit + distance) % n))


def simplified_two_design(builder: CircuitBuilder, *, layers: int = 1) -> None:
    """Simplified two-design: RY on each qubit, then layers of CZ and two RY on the even and on the odd pairs.

    A layer takes the pairs (0, 1), (2, 3), ... and then (1, 2), (3, 4), ..., on each a CZ and an RY on its first and
    its second qubit. From 1 qubit on (the first RY alone). Parameters: (n,) for the initial rotations, which are a
    layer of their own, then (layers, n - 1, 2) in the order of the pairs. Reference: Cerezo, Sone, Volkoff, Cincio,
    Coles, Nature Communications 12, 1791 (2021), arXiv:2001.00550; SimplifiedTwoDesign of PennyLane.
    """
    check_positive("ansatz.layers", layers)
    _rotations_by_qubit(builder, ("ry",))
    pairs = pairwise(builder.n_qubits)
    for _ in range(layers):
        layer = builder.start_layer()
        places = [("ry", qubit) for pair in pairs for qubit in pair]
        theta = iter(builder.parameters(place_names(f"ansatz.{layer}", places)))
        for pair in pairs:
            builder.add("cz", pair)
            for qubit in pair:
                builder.add("ry", qubit, parameter(next(theta)))


def _rotations_by_qubit(builder: CircuitBuilder, rotations: Sequence[str]) -> int:
    """Start a layer, whose number is returned, and put all rotations on qubit 0, then on qubit 1, ...: (n, R)."""
    layer = builder.start_layer()
    places = [(gate, qubit) for qubit in range(builder.n_qubits) for gate in rotations]
    theta = builder.parameters(place_names(f"ansatz.{layer}", places))
    for (gate, qubit), index in zip(places, theta, strict=True):
        builder.add(gate, qubit, parameter(index))
    return layer


def _check_ranges(ranges: Sequence[int], layers: int, n_qubits: int) -> None:
    if isinstance(ranges, str) or len(ranges) != layers:
        raise InputError(f"ansatz.ranges: one range per layer is needed, {layers} in all; found {ranges!r}")
    for layer, distance in enumerate(ranges):
        if isinstance(distance, bool) or not isinstance(distance, int) or not 1 <= distance < n_qubits:
            raise InputError(
                f"ansatz.ranges: range {distance!r} of layer {layer} is not in 1..{n_qubits - 1}, the distances of "
                f"two of {n_qubits} qubits"
            )
