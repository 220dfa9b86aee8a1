"""Entanglement maps: on which ordered pairs (control, target) an entangling layer acts, in time order.

The maps and their order are those of Qiskit's `n_local` circuits, so that circuits written there can be rebuilt;
`ring` is PennyLane's.
"""

from __future__ import annotations

from collections.abc import Callable

from qmltrain.errors import InputError

Pairs = list[tuple[int, int]]


def full(n_qubits: int, layer: int = 0) -> Pairs:
    """Every pair i < j, in lexicographic order."""
    return [(i, j) for i in range(n_qubits) for j in range(i + 1, n_qubits)]


def linear(n_qubits: int, layer: int = 0) -> Pairs:
    """(0, 1), (1, 2), ..., (n-2, n-1)."""
    return [(i, i + 1) for i in range(n_qubits - 1)]


def reverse_linear(n_qubits: int, layer: int = 0) -> Pairs:
    """`linear` from the last pair to the first; with CX it is the same unitary as `full`."""
    return linear(n_qubits)[::-1]


def circular(n_qubits: int, layer: int = 0) -> Pairs:
    """(n-1, 0) first, then `linear`; on two qubits only (0, 1)."""
    return ([(n_qubits - 1, 0)] if n_qubits > 2 else []) + linear(n_qubits)


def pairwise(n_qubits: int, layer: int = 0) -> Pairs:
    """(0, 1), (2, 3), ... and then (1, 2), (3, 4), ..."""
    pairs = linear(n_qubits)
    return pairs[::2] + pairs[1::2]


def brick(n_qubits: int, layer: int = 0) -> Pairs:
    """(0, 1), (2, 3), ... in even layers, (1, 2), (3, 4), ... in odd ones."""
    return linear(n_qubits)[layer % 2 :: 2]


def sca(n_qubits: int, layer: int = 0) -> Pairs:
    """Shifted-circular-alternating: `circular` rotated right by `layer`, control and target swapped in odd layers.

    Sim, Johnson, Aspuru-Guzik, arXiv:1905.10876, circuit 15; the alternation is Qiskit's.
    """
    pairs = circular(n_qubits)
    if pairs:
        shift = layer % len(pairs)
        pairs = pairs[len(pairs) - shift :] + pairs[: len(pairs) - shift]
    return [(target, control) for control, target in pairs] if layer % 2 else pairs


def ring(n_qubits: int) -> Pairs:
    """(0, 1), (1, 2), ..., (n-1, 0), the wrapping pair last; on two qubits (0, 1) alone, on one nothing."""
    return linear(n_qubits) + ([(n_qubits - 1, 0)] if n_qubits > 2 else [])


ENTANGLEMENT: dict[str, Callable[[int, int], Pairs]] = {
    "full": full,
    "linear": linear,
    "reverse_linear": reverse_linear,
    "circular": circular,
    "pairwise": pairwise,
    "sca": sca,
}


def entangling_pairs(name: str, n_qubits: int, layer: int = 0) -> Pairs:
    """The pairs of map `name` in layer `layer` (0, 1, ...); raises InputError for an unknown name."""
    if name not in ENTANGLEMENT:
        raise InputError(f"ansatz.entanglement: {name!r} is not known; choose one of {', '.join(ENTANGLEMENT)}")
    return ENTANGLEMENT[name](n_qubits, layer)
