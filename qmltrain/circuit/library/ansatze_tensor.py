"""Tree- and chain-shaped ansaetze: QCNN, tree tensor network, matrix product state."""

from __future__ import annotations

import math
from collections.abc import Sequence

from qmltrain.circuit.angle import parameter
from qmltrain.circuit.builder import CircuitBuilder, place_names
from qmltrain.circuit.checks import check_choice, check_least_qubits, check_positive
from qmltrain.circuit.library.ansatze_local import add_layer
from qmltrain.circuit.library.entanglement import linear
from qmltrain.errors import InputError

Pairs = Sequence[tuple[int, int]]
BLOCKS = ("cx_ry", "ry_cx")


def qcnn(builder: CircuitBuilder, *, layers: int = 1) -> None:
    """Quantum convolutional neural network: convolution on all active qubits, pooling onto the upper half, repeated.

    The convolution of (a, b) is RZ(-pi/2) b; CX(b, a); RZ(t0) a; RY(t1) b; CX(a, b); RY(t2) b; CX(b, a); RZ(pi/2) a. It
    acts on the neighbours (0, 1), (2, 3), ... and then (1, 2), ..., (last, 0) of the active qubits. Pooling from
    source a to sink b is the same without the last CX and RZ; sources are the lower half of the active qubits, sinks
    the upper half, which stays active. Read Z on qubit n-1, the last sink.

    n must be a power of two from 2 on. Parameters: 3 for each pair, in the order of time: 3 m for a convolution and
    3 m / 2 for a pooling of m active qubits, 63 in all for n = 8. Each convolution and each pooling is a layer.
    Refuses other n, and `layers` other than 1, since the depth follows from n. Reference: Cong, Choi, Lukin, Nature
    Physics 15, 1273 (2019), arXiv:1810.03787; the blocks are those of Qiskit Machine Learning's QCNN tutorial, after
    Vatan and Williams, arXiv:quant-ph/0308006.
    """
    _check_tree(builder.n_qubits, layers, "qcnn")
    active = list(range(builder.n_qubits))
    while len(active) > 1:
        shifted = zip(active[1::2], active[2::2] + active[:1], strict=True)
        _convolution_layer(builder, [*zip(active[::2], active[1::2], strict=True), *shifted], whole=True)
        half = len(active) // 2
        _convolution_layer(builder, list(zip(active[:half], active[half:], strict=True)), whole=False)
        active = active[half:]


def ttn(builder: CircuitBuilder, *, layers: int = 1, block: str = "cx_ry") -> None:
    """Tree tensor network of blocks CX(a, b), RY a, RY b: on (0, 1), (2, 3), ..., then (1, 3), (5, 7), ..., up.

    Read qubit n-1, the root. n must be a power of two from 2 on. Parameters (n - 1, 2), block by block; each level
    of the tree is a layer. Refuses other n, and `layers` other than 1. Reference: Grant et al., npj Quantum
    Information 4, 65 (2018), arXiv:1804.03680; TTN of PennyLane with this block.

    With `block` ry_cx the rotations come first and the tree grows to the other side, as in the authors' figure: RY on
    all qubits, then CX(1, 0), CX(3, 2), ...; the same on 0, 2, 4, ..., and so on, and a last RY on qubit 0, the root,
    which is read. Parameters: 2 n - 1 in the order of time, the last one a layer of its own.
    """
    check_choice("ansatz.block", block, BLOCKS)
    _check_tree(builder.n_qubits, layers, "ttn")
    active = list(range(builder.n_qubits))
    if block == "ry_cx":
        while active:
            pairs = zip(active[1::2], active[::2], strict=False)  # none where the root is alone
            add_layer(builder, [*(("ry", qubit) for qubit in active), *(("cx", pair) for pair in pairs)])
            active = active[::2] if len(active) > 1 else []
        return
    while len(active) > 1:
        _block_layer(builder, list(zip(active[::2], active[1::2], strict=True)))
        active = active[1::2]


def mps(builder: CircuitBuilder, *, layers: int = 1) -> None:
    """Matrix product state: blocks CX(a, b), RY a, RY b on (0, 1), (1, 2), ..., (n-2, n-1); the chain `layers` times.

    From 2 qubits on. Parameters (layers, n - 1, 2), block by block. Reference: Huggins et al., Quantum Science and
    Technology 4, 024001 (2019), arXiv:1803.11537; MPS of PennyLane with this block and offset 1.
    """
    check_positive("ansatz.layers", layers)
    check_least_qubits("ansatz.name", builder.n_qubits, 2, "mps")
    for _ in range(layers):
        _block_layer(builder, linear(builder.n_qubits))


def _convolution_layer(builder: CircuitBuilder, pairs: Pairs, whole: bool) -> None:
    layer = builder.start_layer()
    places = [place for a, b in pairs for place in (("rz", a), ("ry", b), ("ry", b))]
    theta = iter(builder.parameters(place_names(f"ansatz.{layer}", places)))
    for a, b in pairs:
        builder.add("rz", b, -math.pi / 2)
        builder.add("cx", (b, a))
        builder.add("rz", a, parameter(next(theta)))
        builder.add("ry", b, parameter(next(theta)))
        builder.add("cx", (a, b))
        builder.add("ry", b, parameter(next(theta)))
        if whole:
            builder.add("cx", (b, a))
            builder.add("rz", a, math.pi / 2)


def _block_layer(builder: CircuitBuilder, pairs: Pairs) -> None:
    layer = builder.start_layer()
    places = [("ry", qubit) for pair in pairs for qubit in pair]
    theta = iter(builder.parameters(place_names(f"ansatz.{layer}", places)))
    for a, b in pairs:
        builder.add("cx", (a, b))
        builder.add("ry", a, parameter(next(theta)))
        builder.add("ry", b, parameter(next(theta)))


def _check_tree(n_qubits: int, layers: int, name: str) -> None:
    if n_qubits < 2 or n_qubits & (n_qubits - 1):
        below = 1 << (max(n_qubits, 2).bit_length() - 1)
        raise InputError(
            f"ansatz.name: {name} halves its qubits down to one, so circuit.n_qubits must be a power of two from 2 on, "
            f"such as {below} or {2 * below}; found {n_qubits}"
        )
    check_positive("ansatz.layers", layers)
    if layers != 1:
        raise InputError(
            f"ansatz.layers: the depth of {name} follows from circuit.n_qubits; leave it 1, found {layers}"
        )
