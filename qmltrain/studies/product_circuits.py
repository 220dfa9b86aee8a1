"""Exact values of circuits in which no gate joins two qubits: global and local cost at any n, and beside them any
observable, any one-qubit gates and any start whose parameters are drawn independently.

The state is a product, so with O = sum_m c_m P_m and independent parameters

    E <O>   = sum_m c_m prod_q E[r_q]_{m_q},        E <O>^2 = sum_{m, m'} c_m c_m' prod_q E[r_q r_q^T]_{m_q m'_q},

r_q the Bloch vector of qubit q, m_q the letter of string m on it (`qmltrain.studies.bloch`); a derivative with respect
to a parameter of qubit q takes the derivative's moments there, which are 0 in the components of the identity. Of RX on
every qubit, uniform, that is Var dC_G = (1/8) (3/8)^(n-1) and Var dC_L = 1/(8 n^2) (Cerezo et al., Nature
Communications 12, 1791 (2021), arXiv:2001.00550, warm-up example).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qmltrain.circuit.circuit import Circuit
from qmltrain.circuit.observables import PauliString
from qmltrain.engines.protocol import FloatArray
from qmltrain.studies.bloch import OneQubit, Turn, mean_matrix, one_qubit_steps, start_moment, uses
from qmltrain.studies.starts import Start

Terms = Sequence[tuple[float, PauliString]]
LARGEST = 2**24  # numbers of one contraction; beyond that an exact value is not said


@dataclass(frozen=True)
class MeanAndVariance:
    """Over the draws."""

    mean: float
    variance: float


class ProductCircuit:
    """Made by `of`; asked for one observable, one parameter, one power at a time."""

    def __init__(self, circuit: Circuit, start: Start, steps: list[list[OneQubit]], random_axes: bool) -> None:
        self.circuit, self.start, self.random_axes = circuit, start, random_axes
        self._steps = steps  # of each qubit
        self._known: dict[tuple[int, int], list[FloatArray]] = {}  # by qubit and order: moments before and after steps
        self._after: dict[tuple[int, int], list[FloatArray]] = {}  # the product of all steps after each
        self._place = {
            step.parameter: (qubit, k)
            for qubit, of_qubit in enumerate(steps)
            for k, step in enumerate(of_qubit)
            if isinstance(step, Turn)
        }
        self._moments = {order: [self.moments(q, order)[-1] for q in range(circuit.n_qubits)] for order in (1, 2)}

    @classmethod
    def of(cls, circuit: Circuit, start: Start, random_axes: bool = False) -> ProductCircuit | None:
        """None where a gate joins qubits, features come in, or a parameter is in several angles.

        `random_axes`: every rotation with a parameter turns about X, Y or Z with equal chances in each draw.
        """
        if circuit.amplitude_encoded or np.any(uses(circuit) > 1):
            return None
        steps: list[list[OneQubit]] = [[] for _ in range(circuit.n_qubits)]
        for position, gate in enumerate(circuit.gates):
            found = one_qubit_steps(position, gate)
            if found is None:
                return None
            steps[gate.qubits[0]] += found
        return cls(circuit, start, steps, random_axes)

    def expectation(self, terms: Terms, constant: float = 0.0) -> MeanAndVariance | None:
        """Of ``constant + sum_m c_m P_m``; None where the sums are too long (`LARGEST`)."""
        return self._mean_and_variance(terms, self._moments[1], self._moments[2], constant)

    def gradient(self, parameter: int, terms: Terms) -> MeanAndVariance | None:
        """Of the derivative with respect to a parameter; 0 of one that is in no gate."""
        if parameter not in self._place:
            return MeanAndVariance(0.0, 0.0)
        qubit, k = self._place[parameter]
        touched = [(c, string) for c, string in terms if (string.x_mask | string.z_mask) >> qubit & 1]
        first, second = ([*self._moments[order]] for order in (1, 2))
        for order, moments in ((1, first), (2, second)):
            derivative = mean_matrix(self._steps[qubit][k], self.start, order, True, self.random_axes)
            moments[qubit] = self._after[qubit, order][k] @ (derivative @ self.moments(qubit, order)[k])
        return self._mean_and_variance(touched, first, second, 0.0)

    def frame_potential(self, order: int) -> float:
        """E |<psi|psi'>|^(2 order) of two independent draws: prod_q 2^-order |E r_q^(x order)|^2."""
        moments = [self.moments(q, order)[-1] for q in range(self.circuit.n_qubits)]
        return float(np.prod([np.sum(moment**2) / 2**order for moment in moments]))

    def moments(self, qubit: int, order: int) -> list[FloatArray]:
        """Of a qubit before its first step, after it, after its second, ...: E r^(x order), (4^order,) each."""
        if (qubit, order) not in self._known:
            matrices = [mean_matrix(step, self.start, order, False, self.random_axes) for step in self._steps[qubit]]
            self._known[qubit, order] = [start_moment(order)]
            for matrix in matrices:
                self._known[qubit, order].append(matrix @ self._known[qubit, order][-1])
            after = [np.eye(4**order)]
            for matrix in reversed(matrices[1:]):
                after.append(after[-1] @ matrix)
            self._after[qubit, order] = after[::-1]
        return self._known[qubit, order]

    def _mean_and_variance(
        self, terms: Terms, first: list[FloatArray], second: list[FloatArray], constant: float
    ) -> MeanAndVariance | None:
        if not terms:
            return MeanAndVariance(constant, 0.0)
        coefficients_M = np.array([c for c, _ in terms])
        letters_Mn = np.array([_letters(string, self.circuit.n_qubits) for _, string in terms])
        mean = float(np.sum(coefficients_M * np.prod([m[letters_Mn[:, q]] for q, m in enumerate(first)], axis=0)))
        squares = [moment.reshape(4, 4) for moment in second]
        mean_square = _contracted(coefficients_M, letters_Mn, squares)
        if mean_square is None:
            return None
        return MeanAndVariance(mean + constant, max(mean_square - mean**2, 0.0))


def _letters(string: PauliString, n_qubits: int) -> list[int]:
    """0, 1, 2, 3 for I, X, Y, Z on each qubit."""
    return [(0, 1, 3, 2)[(string.x_mask >> q & 1) + 2 * (string.z_mask >> q & 1)] for q in range(n_qubits)]


def _contracted(c_M: FloatArray, letters_Mn: np.ndarray, squares: list[FloatArray]) -> float | None:
    """c^T (prod_q squares_q) c: over pairs of strings, or qubit by qubit over all products of letters that occur."""
    occurring = [np.unique(column) for column in letters_Mn.T]
    n_products = float(np.prod([float(len(letters)) for letters in occurring]))
    if n_products <= min(LARGEST, len(c_M) ** 2):
        factor, tensor = 1.0, np.zeros([len(letters) for letters in occurring if len(letters) > 1])
        places = [
            np.searchsorted(letters, column)
            for letters, column in zip(occurring, letters_Mn.T, strict=True)
            if len(letters) > 1
        ]
        np.add.at(tensor, tuple(places), c_M if places else c_M.sum())
        turned = tensor
        for letters, square in zip(occurring, squares, strict=True):
            if len(letters) == 1:
                factor *= square[letters[0], letters[0]]
            else:  # the first axis goes to the end, once for every axis
                turned = np.tensordot(turned, square[np.ix_(letters, letters)], axes=(0, 1))
        return float(factor * np.sum(tensor * turned))
    if len(c_M) ** 2 > LARGEST:
        return None
    products = np.ones((len(c_M), len(c_M)))
    for column, square in zip(letters_Mn.T, squares, strict=True):
        products *= square[np.ix_(column, column)]
    return float(np.sum(products * np.outer(c_M, c_M)))
