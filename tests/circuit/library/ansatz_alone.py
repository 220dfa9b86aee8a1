"""Circuits of one ansatz without an encoding, as objects and as lines of text."""

from __future__ import annotations

from qmltrain.circuit.circuit import Circuit
from qmltrain.circuit.library.assemble import assemble
from tests.circuit.listing import listing


def build(n: int, name: str, **options: object) -> Circuit:
    return assemble(n, 0, "none", {}, name, options)


def lines(n: int, name: str, **options: object) -> list[str]:
    return listing(build(n, name, **options))
