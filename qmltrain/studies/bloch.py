"""Moments of one qubit's Bloch vector under gates with random angles: exact, without a simulator.

A one-qubit state is r = (1, x, y, z), rho = (1 + x X + y Y + z Z) / 2, and a gate is a real 4 x 4 matrix on it. Of a
rotation by phi it is A + B cos(phi) + C sin(phi) = sum_j R_j exp(i j phi), j = -1, 0, 1, so that the mean of its t-fold
tensor power over phi = scale theta + offset is

    sum_{j_1..j_t} R_{j_1} (x) ... (x) R_{j_t} exp(i J offset) E exp(i J scale theta),   J = j_1 + ... + j_t,

and the same with a factor (i j scale) each for its derivative with respect to theta. Moments are arrays (4^t,), the
index of the first factor leading.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from qmltrain.circuit.circuit import Circuit, Gate
from qmltrain.circuit.gates import PAULI, gate_matrix
from qmltrain.engines.protocol import FloatArray
from qmltrain.studies.starts import Start

AXES = "XYZ"
_AXIS = {"rx": "X", "ry": "Y", "rz": "Z", "p": "Z", "multi_rz": "Z"}


@dataclass(frozen=True)
class Turn:
    """A rotation of `qubit` about `axis` by ``scale theta_parameter + offset``, of gate `position`."""

    position: int
    qubit: int
    axis: str
    parameter: int | None
    scale: float
    offset: float


@dataclass(frozen=True)
class Fixed:
    """A one-qubit gate without an angle, as a matrix (4, 4) on r."""

    position: int
    qubit: int
    matrix: FloatArray


OneQubit = Turn | Fixed


def one_qubit_steps(position: int, gate: Gate) -> list[OneQubit] | None:
    """What a gate on one qubit does, in time order; None for one on more qubits, or with a feature."""
    if len(gate.qubits) != 1 or any(angle.is_per_sample for angle in gate.angles):
        return None
    [qubit] = gate.qubits
    if all(angle.is_constant for angle in gate.angles):
        matrix = gate_matrix(gate.name, 1, tuple(angle.offset for angle in gate.angles), gate.pauli)
        return [Fixed(position, qubit, bloch_matrix(matrix))]
    if gate.name == "u":  # U(theta, phi, lambda) = RZ(phi) RY(theta) RZ(lambda) up to a phase
        theta, phi, lam = gate.angles
        turns = [("Z", lam), ("Y", theta), ("Z", phi)]
    else:
        turns = [(gate.pauli if gate.name == "pauli_rot" else _AXIS[gate.name], gate.angles[0])]
    steps: list[OneQubit] = []
    for axis, angle in turns:
        if angle.weight is not None and angle.bias is not None:
            return None  # two parameters in one angle
        parameter = angle.bias if angle.weight is None else angle.weight
        scale = angle.scale if angle.weight is not None else 1.0
        steps.append(Turn(position, qubit, axis, parameter, scale, angle.offset))
    return steps


def bloch_matrix(unitary: np.ndarray) -> FloatArray:
    """(4, 4): entry (a, b) is Tr(P_a U P_b U^dagger) / 2."""
    letters = [PAULI[letter] for letter in "IXYZ"]
    return np.array([[np.trace(a @ unitary @ b @ unitary.conj().T).real / 2 for b in letters] for a in letters])


def uses(circuit: Circuit) -> np.ndarray:
    """(P,): in how many angles each parameter is."""
    count = np.zeros(circuit.n_parameters, dtype=np.int64)
    for gate in circuit.gates:
        for angle in gate.angles:
            for index in {angle.weight, angle.bias} - {None}:
                count[index] += 1
    return count


def start_moment(order: int) -> FloatArray:
    """(4^order,) of |0>."""
    return _power(np.array([1.0, 0.0, 0.0, 1.0]), order)


def mean_matrix(
    step: OneQubit, start: Start, order: int, derivative: bool = False, any_axis: bool = False
) -> np.ndarray:
    """(4^order, 4^order): the mean of the tensor power of a step, or of its derivative with respect to theta.

    `any_axis`: the axis is X, Y or Z with equal chances (random ansaetze).
    """
    if isinstance(step, Fixed):
        return _power(step.matrix, order)
    if any_axis and step.parameter is not None:
        return np.mean([_mean_turn(step, axis, start, order, derivative) for axis in AXES], axis=0)
    return _mean_turn(step, step.axis, start, order, derivative)


def _mean_turn(step: Turn, axis: str, start: Start, order: int, derivative: bool) -> FloatArray:
    mean = np.zeros((4**order, 4**order), dtype=np.complex128)
    for frequency, matrix in _harmonics(axis, order, derivative):
        scaled = 1.0 + 0.0j if step.parameter is None else start.mean_phase(frequency * step.scale)
        mean += np.exp(1j * frequency * step.offset) * scaled * matrix
    return mean.real * (step.scale**order if derivative else 1.0)


@functools.cache
def _harmonics(axis: str, order: int, derivative: bool) -> list[tuple[int, np.ndarray]]:
    """(J, sum over j_1 + ... + j_t = J of the products), for scale 1."""
    found = {total: np.zeros((4**order, 4**order), dtype=np.complex128) for total in range(-order, order + 1)}
    components = dict(_components(axis))
    for frequencies in itertools.product((-1, 0, 1), repeat=order):
        factors = [components[j] * (1j * j if derivative else 1.0) for j in frequencies]
        found[sum(frequencies)] += functools.reduce(_kron, factors)
    return list(found.items())


def _components(axis: str) -> Iterator[tuple[int, np.ndarray]]:
    """R_j of a rotation about an axis: A, and (B - i j C) / 2."""
    along = 1 + AXES.index(axis)
    first, second = ((2, 3), (3, 1), (1, 2))[along - 1]  # first to second by a positive angle
    still, cosine, sine = np.zeros((3, 4, 4))
    still[0, 0] = still[along, along] = 1.0
    cosine[first, first] = cosine[second, second] = 1.0
    sine[second, first], sine[first, second] = 1.0, -1.0
    yield 0, still.astype(np.complex128)
    for j in (-1, 1):
        yield j, (cosine - 1j * j * sine) / 2


def _power(array: FloatArray, order: int) -> FloatArray:
    return functools.reduce(_kron, [array] * order)


def _kron(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.kron(a, b)
