"""Observables: K Hermitian operators, each a real sum of Pauli strings.

Every observable the field uses is such a sum, if need be in another basis (projectors expand into strings of Z);
engines therefore measure strings only, each once, and ``expval_BK = expval_BM @ coefficients_KM.T + constants_K`` is
applied in one place, in double precision.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from qmltrain.circuit.circuit import Circuit, Gate
from qmltrain.errors import InputError


@dataclass(frozen=True, slots=True)
class PauliString:
    """The product of X on the qubits of `x_mask`, Z on those of `z_mask`, Y where both bits are set."""

    x_mask: int
    z_mask: int

    @property
    def is_diagonal(self) -> bool:
        return self.x_mask == 0

    @property
    def text(self) -> str:
        """In words: ``Z0 X3``; ``I`` without letters."""
        qubits = range((self.x_mask | self.z_mask).bit_length())
        letters = [(" XZY"[(self.x_mask >> q & 1) + 2 * (self.z_mask >> q & 1)], q) for q in qubits]
        return " ".join(f"{letter}{q}" for letter, q in letters if letter != " ") or "I"


@dataclass(frozen=True)
class Observables:
    """K observables over M strings: `coefficients` is a K-tuple of mappings string index -> coefficient.

    `names` has one name per observable ("Z0", "P(|011>)"), for files and messages. `diagonalizing_gates`, of constant
    angles, are applied after the circuit and before the strings are measured: with V their product, observable k is
    ``V^dagger (sum_m c_km P_m) V + constant_k``. A string of identities that is given becomes part of `constants`: it
    is known exactly, where measuring it would add the rounding of a state's norm.
    """

    strings: tuple[PauliString, ...]
    coefficients: tuple[Mapping[int, float], ...]
    names: tuple[str, ...]
    diagonalizing_gates: tuple[Gate, ...] = ()
    constants: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        measured = [m for m, string in enumerate(self.strings) if string.x_mask | string.z_mask]
        place = {m: k for k, m in enumerate(measured)}
        given = self.constants or (0.0,) * len(self.coefficients)
        constants = [
            constant + sum(value for m, value in row.items() if m not in place)
            for constant, row in zip(given, self.coefficients, strict=True)
        ]
        rows = [{place[m]: value for m, value in row.items() if m in place} for row in self.coefficients]
        object.__setattr__(self, "strings", tuple(self.strings[m] for m in measured))
        object.__setattr__(self, "coefficients", tuple(rows))
        object.__setattr__(self, "constants", tuple(constants))

    @property
    def n_observables(self) -> int:
        return len(self.coefficients)

    def measured(self, circuit: Circuit) -> Circuit:
        """`circuit` followed by the diagonalizing gates: what an engine runs before it measures the strings."""
        if not self.diagonalizing_gates:
            return circuit
        return replace(circuit, gates=circuit.gates + self.diagonalizing_gates)


def pauli_string(letters: Mapping[int, str]) -> PauliString:
    """``{0: "X", 3: "Z"}`` -> X on qubit 0 times Z on qubit 3."""
    x = z = 0
    for qubit, letter in letters.items():
        if letter not in "IXYZ" or len(letter) != 1:
            raise InputError(f"Pauli letter {letter!r} on qubit {qubit}; allowed are I, X, Y, Z")
        x |= (letter in "XY") << qubit
        z |= (letter in "YZ") << qubit
    return PauliString(x, z)


def from_sums(
    sums: list[tuple[str, list[tuple[float, PauliString]]]], diagonalizing_gates: tuple[Gate, ...] = ()
) -> Observables:
    """Observables from named sums of (coefficient, string); equal strings are measured once.

    Raises InputError for a coefficient that is not finite.
    """
    index: dict[PauliString, int] = {}
    coefficients, names = [], []
    for name, terms in sums:
        row: dict[int, float] = {}
        for value, string in terms:
            column = index.setdefault(string, len(index))
            row[column] = row.get(column, 0.0) + float(value)
        if not all(map(math.isfinite, row.values())):
            raise InputError(f"observable: a coefficient of {name} is not finite; choose smaller numbers")
        coefficients.append(row)
        names.append(name)
    return Observables(tuple(index), tuple(coefficients), tuple(names), diagonalizing_gates)
