"""What each ansatz documents: the numbers of qubits it takes, from the least on, and its number of parameters."""

from __future__ import annotations

from collections.abc import Callable

# name -> (numbers of qubits from the least on, number of parameters for n qubits and L layers)
ODD_SIZES = (1, 2, 3, 5, 8)
FROM_TWO = (2, 3, 5, 8)
DOCUMENTED: dict[str, tuple[tuple[int, ...], Callable[[int, int], int]]] = {
    "hea": (ODD_SIZES, lambda n, L: 3 * n * L),
    "strongly_entangling": (ODD_SIZES, lambda n, L: 3 * n * L),
    "basic_entangler": (ODD_SIZES, lambda n, L: n * L),
    "simplified_two_design": (ODD_SIZES, lambda n, L: n + 2 * (n - 1) * L),
    "real_amplitudes": (ODD_SIZES, lambda n, L: n * (L + 1)),
    "efficient_su2": (ODD_SIZES, lambda n, L: 2 * n * (L + 1)),
    "two_local": (ODD_SIZES, lambda n, L: n * (L + 1)),
    "pauli_two_design": (ODD_SIZES, lambda n, L: n * (L + 1)),
    "random_layers": (ODD_SIZES, lambda n, L: n * L),
    "sim_2": (ODD_SIZES, lambda n, L: 2 * n * L),
    "sim_13": (FROM_TWO, lambda n, L: 4 * n * L),
    "sim_14": (FROM_TWO, lambda n, L: 4 * n * L),
    "sim_15": (FROM_TWO, lambda n, L: 2 * n * L),
    "sim_19": (FROM_TWO, lambda n, L: 3 * n * L),
    "qaoa": (FROM_TWO, lambda n, L: 2 * L),
    "qcnn": ((2, 4, 8, 16), lambda n, L: 9 * (n - 1)),
    "ttn": ((2, 4, 8, 16), lambda n, L: 2 * (n - 1)),
    "mps": (FROM_TWO, lambda n, L: 2 * (n - 1) * L),
    "qasm": ((1, 3), lambda n, L: n * L),
    "python": ((1, 3), lambda n, L: n * L),
}
ONE_DEPTH = ("qcnn", "ttn")
