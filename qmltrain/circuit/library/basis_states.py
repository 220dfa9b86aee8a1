"""Projectors on basis states as sums of strings of Z, which engines measure all at once."""

from __future__ import annotations

from collections.abc import Sequence

from qmltrain.circuit.observables import PauliString
from qmltrain.errors import InputError

MAX_PROJECTED_QUBITS = 16  # 2^16 strings; engines take about 4^n operations per sample, see docs/config.md


def basis_state_sum(qubits: Sequence[int], outcome: int) -> list[tuple[float, PauliString]]:
    """``prod_j (1 + (-1)^{bit j of outcome} Z_{qubits[j]}) / 2`` as a sum over all subsets of the qubits."""
    terms = [(1.0, 0)]
    for position, qubit in enumerate(qubits):
        sign = -1.0 if outcome >> position & 1 else 1.0
        terms = [(value / 2, mask) for value, mask in terms] + [
            (sign * value / 2, mask | 1 << qubit) for value, mask in terms
        ]
    return [(value, PauliString(0, mask)) for value, mask in terms]


def check_projected_qubits(n_qubits: int, what: str) -> None:
    """Raise InputError, beginning with `what`, for more qubits than a projector may have."""
    if n_qubits > MAX_PROJECTED_QUBITS:
        raise InputError(
            f"{what} on {n_qubits} qubits is a sum of {2**n_qubits} strings of Z; at most {MAX_PROJECTED_QUBITS} "
            "qubits are possible"
        )
