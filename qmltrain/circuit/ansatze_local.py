"""Local-rotation ansaetze after Qiskit's circuit library: rotation layers around an entanglement map, the last layer
of rotations included unless it is skipped.
"""

from __future__ import annotations

from collections.abc import Sequence

from qmltrain.circuit.angle import parameter
from qmltrain.circuit.builder import CircuitBuilder, numbered
from qmltrain.circuit.checks import check_positive
from qmltrain.circuit.entanglement import entangling_pairs
from qmltrain.circuit.gates import GATES


def real_amplitudes(
    builder: CircuitBuilder,
    *,
    layers: int = 1,
    entanglement: str = "reverse_linear",
    skip_final_rotation: bool = False,
) -> None:
    """`layers` times {RY on each qubit; CX on the pairs of the entanglement map}, then a last RY on each qubit.

    All amplitudes stay real. `entanglement` is full, linear, reverse_linear, circular, pairwise or sca. From 1 qubit
    on (no CX). Parameters (layers + 1, n), or (layers, n) with `skip_final_rotation`; the last rotations are a layer of
    their own. Reference: real_amplitudes of Qiskit's circuit library (there `layers` is `reps`, by default 3).
    """
    rotations_and_entanglers(builder, layers, ("ry",), ("cx",), entanglement, skip_final_rotation)


def rotations_and_entanglers(
    builder: CircuitBuilder,
    layers: int,
    rotations: Sequence[str],
    entanglers: Sequence[str],
    entanglement: str,
    skip_final_rotation: bool,
) -> None:
    """The common form: each rotation on all qubits, one after the other, then each entangler on the map's pairs.

    Parameters in time order: for each layer the rotations' (rotation, qubit), then the entanglers' (entangler,
    pair), where an entangler has angles.
    """
    check_positive("ansatz.layers", layers)
    for repetition in range(layers):
        layer = builder.start_layer()
        _rotation_layer(builder, layer, rotations)
        pairs = entangling_pairs(entanglement, builder.n_qubits, repetition)
        for gate, label in zip(entanglers, numbered(entanglers), strict=True):
            for control, target in pairs:
                names = [f"ansatz.{layer}.{label}.{control}_{target}"] if GATES[gate].n_angles else []
                builder.add(gate, (control, target), *map(parameter, builder.parameters(names)))
    if not skip_final_rotation:
        _rotation_layer(builder, builder.start_layer(), rotations)


def _rotation_layer(builder: CircuitBuilder, layer: int, rotations: Sequence[str]) -> None:
    for gate, label in zip(rotations, numbered(rotations), strict=True):
        for qubit in range(builder.n_qubits):
            names = [f"ansatz.{layer}.{label}.{qubit}"] if GATES[gate].n_angles else []
            builder.add(gate, qubit, *map(parameter, builder.parameters(names)))
