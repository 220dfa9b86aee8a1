"""The kinds of kernels: what a row becomes, a vector, and what two vectors make.

    fidelity    k(x, x') = |<psi(x)|psi(x')>|^2                                   the vector: psi, 2^n amplitudes
    projected   k(x, x') = exp(-gamma sum_q,P (<P_q>_x - <P_q>_x')^2), P = X, Y, Z     3 n expectations

The second is that of Huang et al., arXiv:2011.01938, up to a factor in gamma: the squared Frobenius distance
of two one-qubit states is half the squared distance of their Bloch vectors. Both are positive semidefinite, which
rounding may change by some units in the last place of the largest eigenvalue.

An entry's keyword-only parameters are its options.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from qmltrain.circuit.circuit import Circuit
from qmltrain.circuit.observables import PauliString
from qmltrain.engines.protocol import FloatArray

Vectors = NDArray[Any]  # (B, V)


class Kind(Protocol):
    """`strings`: what is measured of the circuit; without any the vectors are its states. `gamma`: None where it is not
    known yet, or not used. `real`: states have no imaginary parts, as the engine's plan says."""

    gamma: float | None
    real: bool

    def strings(self, circuit: Circuit) -> tuple[PauliString, ...]: ...

    def prepare(self, vectors_BV: Vectors) -> Vectors:
        """What is kept of vectors that come from the engine: row by row, whatever the other rows."""
        ...

    def choose(self, train_BV: Vectors) -> None:
        """Options that were left open, from the vectors of all training rows (where these are expectations)."""
        ...

    def tile(self, rows_aV: Vectors, columns_bV: Vectors) -> FloatArray:
        """(a, b) values of the kernel. The same arrays give the same bits on one BLAS thread."""
        ...


class Fidelity:
    """Squared overlaps of states: one complex matrix product a tile, a real one of real states."""

    gamma: float | None = None
    real = False

    def strings(self, circuit: Circuit) -> tuple[PauliString, ...]:
        return ()

    def prepare(self, vectors_BV: Vectors) -> Vectors:
        """States of norm 1: what rounding in deep circuits did to it is taken back."""
        if self.real:
            vectors_BV = np.ascontiguousarray(vectors_BV.real)
        reals = vectors_BV.view(vectors_BV.real.dtype)
        norms_B = np.sqrt(np.square(reals, dtype=np.float64).sum(axis=1, keepdims=True))
        return vectors_BV * (1 / norms_B).astype(reals.dtype)

    def choose(self, train_BV: Vectors) -> None:
        """Nothing is open."""

    def tile(self, rows_aV: Vectors, columns_bV: Vectors) -> FloatArray:
        overlaps = rows_aV.conj() @ columns_bV.T
        found: FloatArray = np.square(overlaps.real)
        return found if self.real else found + np.square(overlaps.imag)


class Projected:
    """A Gaussian of the Bloch vectors of all qubits."""

    real = False

    def __init__(self, *, gamma: float | None = None) -> None:
        self.gamma = gamma

    def strings(self, circuit: Circuit) -> tuple[PauliString, ...]:
        """X, Y, Z of qubit 0, then of qubit 1, ..."""
        bits = [1 << q for q in range(circuit.n_qubits)]
        return tuple(PauliString(*masks) for bit in bits for masks in ((bit, 0), (bit, bit), (0, bit)))

    def prepare(self, vectors_BV: Vectors) -> Vectors:
        return vectors_BV.astype(np.float64, copy=False)

    def choose(self, train_BV: Vectors) -> None:
        """gamma = 1 / (3 n variance), the variance that of all expectations of the training rows, as scikit-learn's
        gamma="scale" is for features; 1 / 3 n where they are all the same."""
        if self.gamma is None:
            variance = float(np.var(train_BV))
            self.gamma = 1.0 / (train_BV.shape[1] * (variance if variance > 0 else 1.0))

    def tile(self, rows_aV: Vectors, columns_bV: Vectors) -> FloatArray:
        assert self.gamma is not None
        squares_a, squares_b = (np.square(part).sum(axis=1) for part in (rows_aV, columns_bV))
        distances = squares_a[:, None] + squares_b[None] - 2 * (rows_aV @ columns_bV.T)
        return np.exp(-self.gamma * np.maximum(distances, 0.0))


KERNELS: dict[str, Callable[..., Kind]] = {"fidelity": Fidelity, "projected": Projected}
