"""Ansaetze with a random structure, fixed by `seed`.

Choosing the gates and writing the circuit are two functions, so that any structure, another library's too, can be
built. A circuit that holds the ansatz several times draws a new structure each time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from qmltrain.circuit.builder import CircuitBuilder
from qmltrain.circuit.checks import ROTATIONS, check_positive
from qmltrain.circuit.circuit import Circuit
from qmltrain.circuit.library.ansatze_local import add_layer
from qmltrain.circuit.library.entanglement import pairwise
from qmltrain.circuit.library.random_draws import RandomDraws
from qmltrain.errors import InputError

Places = list[tuple[str, int | tuple[int, ...]]]


def pauli_two_design(builder: CircuitBuilder, *, layers: int = 1, seed: int = 0) -> None:
    """RY(pi/4) on all; `layers` times {RX, RY or RZ, drawn for each qubit; CZ pairwise}; a last drawn rotation layer.

    CZ acts on (0, 1), (2, 3), ... and then on (1, 2), (3, 4), .... From 1 qubit on (no CZ). Parameters (layers + 1, n);
    the last rotations are a layer of their own, the initial RY belong to none. Refuses a negative seed. Reference:
    McClean, Boixo, Smelyanskiy, Babbush, Neven, Nature Communications 9, 4812 (2018), arXiv:1803.11173;
    pauli_two_design of Qiskit's circuit library, whose draws are others.
    """
    check_positive("ansatz.layers", layers)
    drawn = drawn_rotations(builder.n_qubits, layers, seed, builder.n_layers)
    build_pauli_two_design(builder, [[ROTATIONS[axis] for axis in row] for row in drawn])


def drawn_rotations(n_qubits: int, layers: int, seed: int, first_layer: int = 0) -> list[list[int]]:
    """(layers + 1, n) places in `ROTATIONS`: the choices of `pauli_two_design` that begins with layer `first_layer`.

    Circuits of two seeds differ in nothing else, so that many of them can be one circuit whose axes are data."""
    axes = RandomDraws(seed, first_layer).many_below(len(ROTATIONS), (layers + 1) * n_qubits)
    return [axes[row * n_qubits : (row + 1) * n_qubits] for row in range(layers + 1)]


def two_design_axes(circuit: Circuit, layers: int) -> Callable[[int], NDArray[np.int64]]:
    """Of a circuit with `pauli_two_design` in it, however often: from a seed to the places in `ROTATIONS` of all its
    gates rx, ry, rz, in order, as they would be with that seed."""
    rotations = [position for position, gate in enumerate(circuit.gates) if gate.name in ROTATIONS]
    written = np.array([ROTATIONS.index(circuit.gates[position].name) for position in rotations], dtype=np.int64)
    place = {position: k for k, position in enumerate(rotations)}
    drawn = np.array([[place[start + qubit] for qubit in range(circuit.n_qubits)] for start in circuit.layer_starts])

    def axes(seed: int) -> NDArray[np.int64]:
        found = written.copy()
        for first in range(0, len(drawn), layers + 1):
            found[drawn[first : first + layers + 1]] = drawn_rotations(circuit.n_qubits, layers, seed, first)
        return found

    return axes


def build_pauli_two_design(builder: CircuitBuilder, rotations: Sequence[Sequence[str]]) -> None:
    """The circuit for given rotations (layers + 1, n)."""
    for qubit in range(builder.n_qubits):
        builder.add("ry", qubit, math.pi / 4)
    for number, row in enumerate(rotations):
        places: Places = [(gate, qubit) for qubit, gate in enumerate(row)]
        if number < len(rotations) - 1:
            places += [("cz", pair) for pair in pairwise(builder.n_qubits)]
        add_layer(builder, places)


def random_layers(
    builder: CircuitBuilder,
    *,
    layers: int = 1,
    n_rotations: int | None = None,
    ratio_imprimitive: float = 0.3,
    seed: int = 0,
) -> None:
    """Layers of randomly placed gates: until `n_rotations` rotations are placed, draw a rotation or a CX.

    With probability `ratio_imprimitive` it is a CX on two random qubits, else RX, RY or RZ on a random qubit.
    `n_rotations` is by default n. From 1 qubit on (no CX). Parameters (layers, n_rotations). Refuses a ratio outside
    [0, 1) and a negative seed. Reference: RandomLayers of PennyLane, whose draws are others.
    """
    check_positive("ansatz.layers", layers)
    n = builder.n_qubits
    count = n if n_rotations is None else n_rotations
    check_positive("ansatz.n_rotations", count)
    if not 0.0 <= ratio_imprimitive < 1.0:
        raise InputError(f"ansatz.ratio_imprimitive: {ratio_imprimitive} is not in [0, 1)")
    draws = RandomDraws(seed, builder.n_layers)
    structure = []
    for _ in range(layers):
        places: Places = []
        placed = 0
        while placed < count:
            if draws.uniform() >= ratio_imprimitive:
                places.append((draws.choice(ROTATIONS), draws.below(n)))
                placed += 1
            elif n > 1:
                control = draws.below(n)
                places.append(("cx", (control, (control + 1 + draws.below(n - 1)) % n)))
        structure.append(places)
    build_random_layers(builder, structure)


def build_random_layers(builder: CircuitBuilder, structure: Sequence[Places]) -> None:
    """The circuit for given (gate, qubits) places, one list per layer."""
    for places in structure:
        add_layer(builder, places)
