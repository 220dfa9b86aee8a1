"""The gates that take a given state back to |0...0>: state preparation in reverse.

Möttönen, Vartiainen, Bergholm, Salomaa, "Transformation of quantum states using uniformly controlled rotations",
arXiv:quant-ph/0407010: the phases go first, then qubit 0 is rotated to 0 by an angle that depends on all higher qubits,
then qubit 1, and so on. A rotation whose angle depends on other qubits is, between two fixed RX, one diagonal: the
Walsh-Hadamard transform of its angles gives the angle of every string of Z. So the whole is n + 1 diagonals and n pairs
of rotations, however many gates it is written with.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from qmltrain.circuit.angle import constant
from qmltrain.circuit.circuit import Gate
from qmltrain.gf2 import walsh_hadamard

# Angles that are left out: rounding of the transform. With all 2^n of them the state is off by 2^n / 2 times as much.
_SMALLEST_ANGLE = 1e-15


def unprepare(amplitudes_N: NDArray[np.complex128]) -> tuple[Gate, ...]:
    """Gates with constant angles that map the state `amplitudes_N` (2^n, norm 1) to |0...0> up to a global phase.

    Amplitude z is that of basis state z, qubit q being bit q. At most 2^(n+1) + 2n gates; a real state needs no
    phases, and structure in the amplitudes leaves out gates.
    """
    n_qubits = len(amplitudes_N).bit_length() - 1
    gates: list[Gate] = []
    if np.all(amplitudes_N.imag == 0):
        lengths = amplitudes_N.real  # signs are angles of the first rotations
    else:
        phases = np.where(amplitudes_N == 0, 0.0, np.angle(amplitudes_N))
        gates += _diagonal(2.0 * phases, 0)  # exp(-i phase) on every amplitude
        lengths = np.abs(amplitudes_N)
    for qubit in range(n_qubits):
        pairs = lengths.reshape(-1, 2)
        turns = -2.0 * np.arctan2(pairs[:, 1], pairs[:, 0])  # RY by it takes (pairs) to (length, 0)
        lengths = np.hypot(pairs[:, 0], pairs[:, 1])
        turns[lengths == 0] = np.mean(turns[lengths != 0])  # nothing to turn: any angle does, this one saves gates
        # RY(t) = RX(-pi/2) RZ(t) RX(pi/2), for each value of the higher qubits
        rotations = list(_diagonal(np.stack([turns, -turns], axis=1).reshape(-1), qubit))
        if rotations:
            gates.append(Gate("rx", (qubit,), (constant(math.pi / 2),)))
            gates += rotations
            gates.append(Gate("rx", (qubit,), (constant(-math.pi / 2),)))
    return tuple(gates)


def _diagonal(angles_z: NDArray[np.float64], lowest: int) -> Iterator[Gate]:
    """``exp(-i angle_z / 2)`` on basis state z of the qubits from `lowest` up, as strings of Z; no global phase."""
    weights_S = walsh_hadamard(angles_z) / len(angles_z)
    for mask in np.flatnonzero(np.abs(weights_S) > _SMALLEST_ANGLE).tolist():
        qubits = tuple(lowest + bit for bit in range(mask.bit_length()) if mask >> bit & 1)
        if qubits:
            yield Gate("multi_rz", qubits, (constant(float(weights_S[mask])),))
