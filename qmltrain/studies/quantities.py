"""From gradients, expectations and states of draws to their quantities.

The bits of a draw depend on its own numbers alone: sums follow the tree of `qmltrain.training.reduction`. Shape letters
as in `qmltrain.studies.study`; N = 2^n, a small d: the draws of one portion.
"""

from __future__ import annotations

import numpy as np

from qmltrain.circuit.observables import PauliString
from qmltrain.engines.protocol import FloatArray
from qmltrain.studies.vectors import ComplexArray
from qmltrain.training.model import Model
from qmltrain.training.reduction import SLAB, tree_sum


def mean_over_rows(values_SV: FloatArray, n_rows: int) -> FloatArray:
    """(d R, V) -> (d, V): samples are draws x rows, the rows of a draw side by side."""
    by_row = values_SV.reshape(-1, n_rows, values_SV.shape[1])
    return tree_sum(by_row.transpose(1, 0, 2)) / n_rows if n_rows > 1 else by_row[:, 0]


class LayerNorms:
    """Squared gradient norms: of each layer of `Model.layers`, and of all parameters."""

    def __init__(self, model: Model) -> None:
        names, layer_P = model.layers()
        members = [np.flatnonzero(layer_P == layer) for layer in range(len(names))]
        most = max((len(found) for found in members), default=0)
        self._index_LM = np.full((len(names), most), len(layer_P))  # beyond the parameters: a column of zeros
        for row, found in zip(self._index_LM, members, strict=True):
            row[: len(found)] = found
        flat = self._index_LM.reshape(-1)
        self._in_order = bool(np.array_equal(flat, np.arange(len(layer_P))))

    def __call__(self, gradient_dP: FloatArray) -> FloatArray:
        """(d, L + 1)."""
        squares_dP = gradient_dP * gradient_dP
        n_layers, most = self._index_LM.shape
        if self._in_order:
            squares_dLM = squares_dP.reshape(-1, n_layers, most)
        else:
            padded = np.concatenate([squares_dP, np.zeros((len(squares_dP), 1))], axis=1)
            squares_dLM = padded[:, self._index_LM]
        norms_dL: FloatArray = tree_sum(squares_dLM.transpose(2, 0, 1))
        return np.concatenate([norms_dL, tree_sum(norms_dL.T)[:, None]], axis=1)


def one_qubit_paulis(n_qubits: int) -> tuple[PauliString, ...]:
    """X, Y, Z of qubit 0, then of qubit 1, ...: what `meyer_wallach` takes the expectations of."""
    return tuple(PauliString(x << q, z << q) for q in range(n_qubits) for x, z in ((1, 0), (1, 1), (0, 1)))


def meyer_wallach(expectations_S3n: FloatArray) -> FloatArray:
    """Q = 1 - (1/n) sum_q (<X_q>^2 + <Y_q>^2 + <Z_q>^2), 0 for product states and at most 1. (S,)

    Meyer, Wallach, Journal of Mathematical Physics 43, 4273 (2002); in this form Brennen, arXiv:quant-ph/0305094.
    """
    squares = expectations_S3n * expectations_S3n
    return 1.0 - 3.0 * tree_sum(squares.T) / squares.shape[1]


def fidelities(states_dN: ComplexArray, partners_dN: ComplexArray) -> FloatArray:
    """|<psi|psi'>|^2 of each pair, (d,), in double precision; a slab of pairs at a time."""
    found_d = np.empty(len(states_dN))
    step = max(1, SLAB // (4 * states_dN.shape[1]))
    for first in range(0, len(found_d), step):
        rows = slice(first, first + step)
        products_bN = np.conj(states_dN[rows].astype(np.complex128)) * partners_dN[rows]
        overlaps_b = tree_sum(products_bN.T)
        found_d[rows] = np.square(overlaps_b.real) + np.square(overlaps_b.imag)
    return found_d
