"""What each encoding documents: numbers of qubits and features that fit, and its number of parameters."""

from __future__ import annotations

from collections.abc import Callable

# name -> (pairs of qubits and features that fit, parameters of the encoding for n qubits with its default options)
ONE_A_QUBIT = ((1, 1), (2, 1), (3, 3), (5, 4))
DOCUMENTED: dict[str, tuple[tuple[tuple[int, int], ...], Callable[[int], int]]] = {
    "angle": (ONE_A_QUBIT, lambda n: 0),
    "amplitude": (((1, 1), (1, 2), (3, 5), (3, 8)), lambda n: 0),
    "reuploading": (ONE_A_QUBIT, lambda n: n),
    "basis": (ONE_A_QUBIT, lambda n: 0),
    "iqp": (ONE_A_QUBIT, lambda n: 0),
    "z_feature_map": (ONE_A_QUBIT, lambda n: 0),
    "zz_feature_map": (((1, 1), (2, 2), (3, 2), (5, 5)), lambda n: 0),
    "pauli_feature_map": (((1, 1), (2, 2), (3, 2), (5, 5)), lambda n: 0),
    "qaoa_embedding": (ONE_A_QUBIT, lambda n: {1: 1, 2: 3}.get(n, 2 * n)),
    "fourier": (ONE_A_QUBIT, lambda n: 0),
    "chebyshev": (ONE_A_QUBIT, lambda n: 0),
    "none": (((1, 0), (3, 0), (3, 2)), lambda n: 0),
    "python": (((1, 1), (3, 2)), lambda n: n),
}
