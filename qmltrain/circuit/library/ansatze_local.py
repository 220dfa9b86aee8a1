"""Local-rotation ansaetze after Qiskit's circuit library: rotation layers around an entanglement map, a last layer
of rotations included unless it is skipped.
"""

from __future__ import annotations

from collections.abc import Sequence

from qmltrain.circuit.angle import parameter
from qmltrain.circuit.builder import CircuitBuilder, place_names
from qmltrain.circuit.checks import check_choice, check_choices, check_positive
from qmltrain.circuit.gates import GATES
from qmltrain.circuit.library.entanglement import entangling_pairs

# Whatever is registered with at most one angle: a new gate can be used here at once.
ONE_QUBIT_GATES = tuple(name for name, g in GATES.items() if g.n_qubits == 1 and g.n_angles <= 1 and name != "id")
TWO_QUBIT_GATES = tuple(name for name, g in GATES.items() if g.n_qubits == 2 and g.n_angles <= 1)


def two_local(
    builder: CircuitBuilder,
    *,
    layers: int = 1,
    rotations: Sequence[str] = ("ry",),
    entangler: str = "cx",
    entanglement: str = "full",
    skip_final_rotation: bool = False,
) -> None:
    """`layers` times {each gate of `rotations` on all qubits; `entangler` on the pairs of the map}, then rotations.

    `rotations` are one-qubit gates and `entangler` is a two-qubit gate with no angle (h, cx) or one (ry, crx, rzz);
    `entanglement` is full, linear, reverse_linear, circular, pairwise or sca. From 1 qubit on (no entangler).
    Parameters in the order of time: rotation by rotation over the qubits, then the entanglers over the pairs, layer
    after layer; the last rotations are a layer of their own and can be skipped. Reference: n_local of Qiskit's
    circuit library (there `layers` is `reps`, by default 3).
    """
    check_positive("ansatz.layers", layers)
    check_choices("ansatz.rotations", rotations, ONE_QUBIT_GATES)
    check_choice("ansatz.entangler", entangler, TWO_QUBIT_GATES)
    for repetition in range(layers):
        places: list[tuple[str, int | tuple[int, ...]]] = _everywhere(builder.n_qubits, rotations)
        places += [(entangler, pair) for pair in entangling_pairs(entanglement, builder.n_qubits, repetition)]
        add_layer(builder, places)
    if not skip_final_rotation:
        add_layer(builder, _everywhere(builder.n_qubits, rotations))


def real_amplitudes(
    builder: CircuitBuilder,
    *,
    layers: int = 1,
    entanglement: str = "reverse_linear",
    skip_final_rotation: bool = False,
) -> None:
    """`layers` times {RY on each qubit; CX on the pairs of the entanglement map}, then a last RY on each qubit.

    All amplitudes stay real. `entanglement` is full, linear, reverse_linear, circular, pairwise or sca. From 1 qubit
    on (no CX). Parameters (layers + 1, n), or (layers, n) with `skip_final_rotation`; the last rotations are a layer
    of their own. Reference: real_amplitudes of Qiskit's circuit library (there `layers` is `reps`, by default 3).
    """
    two_local(
        builder,
        layers=layers,
        rotations=("ry",),
        entangler="cx",
        entanglement=entanglement,
        skip_final_rotation=skip_final_rotation,
    )


def efficient_su2(
    builder: CircuitBuilder,
    *,
    layers: int = 1,
    rotations: Sequence[str] = ("ry", "rz"),
    entanglement: str = "reverse_linear",
    skip_final_rotation: bool = False,
) -> None:
    """`layers` times {RY on all qubits, RZ on all qubits; CX on the pairs of the map}, then RY and RZ on all.

    `rotations` may be another list of one-qubit gates, R of them trainable. From 1 qubit on (no CX). Parameters
    (layers + 1, R, n), or (layers, R, n) with `skip_final_rotation`; the last rotations are a layer of their own.
    Reference: efficient_su2 of Qiskit's circuit library (there `layers` is `reps`, by default 3).
    """
    two_local(
        builder,
        layers=layers,
        rotations=rotations,
        entangler="cx",
        entanglement=entanglement,
        skip_final_rotation=skip_final_rotation,
    )


def add_layer(builder: CircuitBuilder, places: Sequence[tuple[str, int | tuple[int, ...]]]) -> None:
    """Start a layer and add the gates at `places` in order, each angle a new parameter; n_angles is 0 or 1."""
    layer = builder.start_layer()
    trained = [place for place in places if GATES[place[0]].n_angles]
    theta = iter(builder.parameters(place_names(f"ansatz.{layer}", trained)))
    for gate, qubits in places:
        if GATES[gate].n_angles:
            builder.add(gate, qubits, parameter(next(theta)))
        else:
            builder.add(gate, qubits)


def _everywhere(n_qubits: int, gates: Sequence[str]) -> list[tuple[str, int | tuple[int, ...]]]:
    return [(gate, qubit) for gate in gates for qubit in range(n_qubits)]
