"""Circuits of one encoding around the plainest ansatz, as objects and as lines of text."""

from __future__ import annotations

from qmltrain.circuit.circuit import Circuit
from qmltrain.circuit.library.assemble import assemble
from tests.circuit.listing import listing


def build(n: int, n_features: int, name: str, **options: object) -> Circuit:
    """The encoding around an ansatz of one RX a qubit."""
    return assemble(n, n_features, name, options, "hea", {"rotations": ["rx"], "entangler": "none"})


def lines(n: int, n_features: int, name: str, **options: object) -> list[str]:
    """The gates of the encoding, without those of the ansatz behind it."""
    circuit = build(n, n_features, name, **options)
    assert len(circuit.layer_starts) == 1
    return listing(circuit)[: circuit.layer_starts[0]]
