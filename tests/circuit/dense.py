"""An independent judge of circuits: dense NumPy, forward-mode derivatives, nothing of the package but gate matrices.

Tangent states are carried along with the state, so a gradient here shares neither code nor method with the
adjoint sweeps of the engines.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qmltrain.circuit.angle import Angle
from qmltrain.circuit.circuit import Circuit, Gate
from qmltrain.circuit.gates import gate_matrix
from qmltrain.circuit.observables import Observables, PauliString

# Central difference of order 8. A gate's matrix has frequencies up to 1 in its own angle, so the error is about 1e-16.
_STEP = 0.02
_STENCIL = {1: 4 / 5, 2: -1 / 5, 3: 4 / 105, 4: -1 / 280}


def angle_value(angle: Angle, theta_P: NDArray, x_F: NDArray) -> float:
    """The definition of `Angle`, written out for one sample."""
    if angle.feature is None:
        f = 1.0 if angle.weight is not None else 0.0
    elif angle.feature.kind == "linear":
        f = x_F[angle.feature.indices[0]]
    elif angle.feature.kind == "arccos":
        f = math.acos(x_F[angle.feature.indices[0]])
    else:
        f = math.prod(angle.feature.centre - x_F[index] for index in angle.feature.indices)
    weight = 1.0 if angle.weight is None else theta_P[angle.weight]
    bias = 0.0 if angle.bias is None else theta_P[angle.bias]
    return float(angle.scale * f * weight + bias + angle.offset)


def angle_gradient(angle: Angle, theta_P: NDArray, x_F: NDArray) -> dict[int, float]:
    """d(angle)/d(parameter); the angle is linear in each parameter, also in one that is both weight and bias."""
    gradient = {}
    for index in {angle.weight, angle.bias} - {None}:
        up, down = theta_P.copy(), theta_P.copy()
        up[index], down[index] = 1.0, 0.0
        gradient[index] = angle_value(angle, up, x_F) - angle_value(angle, down, x_F)
    return gradient


def apply(matrix: NDArray, state_BN: NDArray, qubits: tuple[int, ...], n_qubits: int) -> NDArray:
    """`matrix` on `qubits` of every row; bit j of the matrix index is the j-th of the qubits."""
    k = len(qubits)
    axes = [n_qubits - qubit for qubit in reversed(qubits)]  # axis 0 is the row, axis 1 qubit n-1
    tensor = state_BN.reshape((-1,) + (2,) * n_qubits)
    result = np.tensordot(matrix.reshape((2,) * (2 * k)), tensor, axes=(range(k, 2 * k), axes))
    return np.moveaxis(result, range(k), axes).reshape(state_BN.shape)


def _matrix(gate: Gate, angles: list[float]) -> NDArray:
    return gate_matrix(gate.name, len(gate.qubits), tuple(angles), gate.pauli)


def run(
    circuit: Circuit, theta_P: NDArray, x_F: NDArray, initial_N: NDArray | None = None, tangents: bool = True
) -> tuple[NDArray, NDArray]:
    """The final state (N,) and its derivatives (P, N) with respect to the parameters."""
    n, size = circuit.n_qubits, 2**circuit.n_qubits
    states = np.zeros((1 + (circuit.n_parameters if tangents else 0), size), dtype=np.complex128)
    states[0] = np.eye(size)[0] if initial_N is None else initial_N
    for gate in circuit.gates:
        values = [angle_value(angle, theta_P, x_F) for angle in gate.angles]
        before = states[:1]
        states = apply(_matrix(gate, values), states, gate.qubits, n)
        if not tangents:
            continue
        for position, angle in enumerate(gate.angles):
            gradient = angle_gradient(angle, theta_P, x_F)
            if not gradient:
                continue
            derivative = 0.0
            for step, weight in _STENCIL.items():
                for sign in (1, -1):
                    shifted = list(values)
                    shifted[position] += sign * step * _STEP
                    derivative = derivative + sign * weight / _STEP * _matrix(gate, shifted)
            turned = apply(derivative, before, gate.qubits, n)[0]
            for index, factor in gradient.items():
                states[1 + index] += factor * turned
    return states[0], states[1:]


def string_times(string: PauliString, state_BN: NDArray) -> NDArray:
    """The Pauli string applied to each row."""
    size = state_BN.shape[-1]
    result = np.empty_like(state_BN)
    for index in range(size):
        n_y = (string.x_mask & string.z_mask).bit_count()
        sign = (-1) ** (index & string.z_mask).bit_count()
        result[:, index ^ string.x_mask] = sign * 1j**n_y * state_BN[:, index]
    return result


def expectations(
    circuit: Circuit,
    observables: Observables,
    theta_P: NDArray,
    x_F: NDArray,
    initial_N: NDArray | None = None,
) -> tuple[NDArray, NDArray]:
    """Expectation values (K,) and their gradients (K, P) for one sample."""
    state_N, tangent_PN = run(circuit, theta_P, x_F, initial_N)
    values, gradients = [], []
    for row, constant in zip(observables.coefficients, observables.constants, strict=True):
        turned = constant * state_N
        for column, coefficient in row.items():
            turned = turned + coefficient * string_times(observables.strings[column], state_N[None])[0]
        values.append(np.vdot(state_N, turned).real)
        gradients.append(2 * (tangent_PN.conj() @ turned).real)
    return np.array(values), np.array(gradients)


def unitary(circuit: Circuit, theta_P: ArrayLike = (), x_F: ArrayLike = ()) -> NDArray:
    """The circuit's matrix (N, N)."""
    theta_P, x_F = np.asarray(theta_P), np.asarray(x_F)
    columns = np.eye(2**circuit.n_qubits, dtype=np.complex128)  # in rows, all at once
    for gate in circuit.gates:
        matrix = _matrix(gate, [angle_value(angle, theta_P, x_F) for angle in gate.angles])
        columns = apply(matrix, columns, gate.qubits, circuit.n_qubits)
    return columns.T


def assert_same_up_to_phase(found: NDArray, expected: NDArray, tolerance: float = 1e-12) -> None:
    """Two unitaries are equal but for a global phase."""
    phase = np.vdot(expected, found) / len(expected)
    assert abs(abs(phase) - 1) < tolerance
    np.testing.assert_allclose(found, expected * phase, rtol=0, atol=tolerance)
