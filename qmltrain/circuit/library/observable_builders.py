"""Builders of observables, and the registry of them.

A builder is a function ``build(n_qubits, *, options) -> Observables``; its keyword-only parameters are its options
in the config group `observable`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

from qmltrain.circuit.library.basis_states import basis_state_sum, check_projected_qubits
from qmltrain.circuit.library.hamiltonians import hamiltonian, heisenberg, ising, maxcut
from qmltrain.circuit.library.pauli_text import parse_pauli_sum
from qmltrain.circuit.library.target_state import target_state
from qmltrain.circuit.observables import Observables, from_sums, pauli_string
from qmltrain.errors import InputError
from qmltrain.user_code import call_user_function

ObservableBuilder = Callable[..., Observables]

MOST_PRODUCTS = 1 << 16  # of Z, each an observable


def z(n_qubits: int, *, qubits: Sequence[int] | None = None, max_weight: int = 1, scale: float = 1.0) -> Observables:
    """Z on each qubit of `qubits` (default: all), then the products of Z on two of them, and so on up to `max_weight`;
    one observable each, named "Z0", "Z1", ..., "Z0 Z1", ..., times `scale`.

    All are functions of the same outcomes. Raises InputError where they would be more than 65,536.
    """
    chosen = _qubits(n_qubits, qubits)
    if max_weight > len(chosen):
        raise InputError(f"observable.max_weight: {max_weight} is more than the {len(chosen)} qubits that are measured")
    count = sum(math.comb(len(chosen), weight) for weight in range(1, max_weight + 1))
    if count > MOST_PRODUCTS:
        raise InputError(
            f"observable.max_weight: {max_weight} on {len(chosen)} qubits makes {count:,} observables, of at most "
            f"{MOST_PRODUCTS:,}; choose a smaller one, or fewer qubits with observable.qubits"
        )
    products = itertools.chain.from_iterable(
        itertools.combinations(chosen, weight) for weight in range(1, max_weight + 1)
    )
    return from_sums(
        [
            (" ".join(f"Z{qubit}" for qubit in product), [(scale, pauli_string(dict.fromkeys(product, "Z")))])
            for product in products
        ]
    )


def pauli(n_qubits: int, *, terms: Sequence[str]) -> Observables:
    """One observable for each text such as "0.5*Z0 Z1 + X2" (see `parse_pauli_sum`), named by its text."""
    if isinstance(terms, str) or not isinstance(terms, Sequence) or not terms:
        raise InputError(f'observable.terms: a list of texts is needed, such as ["0.5*Z0 Z1 + X2"]; found {terms!r}')
    sums = []
    for number, text in enumerate(terms):
        if not isinstance(text, str):
            raise InputError(f'observable.terms[{number}]: a text such as "Z0 Z1" is needed, found {text!r}')
        name = " ".join(text.split())
        sums.append((name, parse_pauli_sum(text, n_qubits, f"observable.terms[{number}]")))
    return from_sums(sums)


def projector(n_qubits: int, *, states: Sequence[int | str] = (0,), qubits: Sequence[int] | None = None) -> Observables:
    """The probability of each outcome in `states` when `qubits` (default: all) are read; named "P(|011>)".

    By default of the outcome 0 alone, with loss=fidelity a global cost (`local_projector`). An outcome is a bit
    string, its leftmost bit the highest of the qubits, or a whole number whose bit j is the j-th of the qubits,
    which must be listed upwards. The projector is expanded as the product of (1 +- Z)/2 into 2^k strings for k
    qubits; refused beyond 16 qubits. Also refused: outcomes out of range, of another length, or listed twice.
    """
    chosen = _qubits(n_qubits, qubits)
    if chosen != sorted(chosen):
        raise InputError(
            f"observable.qubits: projector reads qubits upwards, found {chosen}; write {sorted(chosen)}, the leftmost "
            "bit of a state being the highest qubit"
        )
    check_projected_qubits(len(chosen), "observable.qubits: a projector")
    if isinstance(states, str) or not isinstance(states, Sequence) or not states:
        raise InputError(f'observable.states: a list of outcomes is needed, such as ["00", "11"]; found {states!r}')
    outcomes = [_outcome(state, number, len(chosen)) for number, state in enumerate(states)]
    for number, outcome in enumerate(outcomes):
        if outcome in outcomes[:number]:
            raise InputError(f"observable.states[{number}]: outcome {outcome:0{len(chosen)}b} is listed twice")
    return from_sums([(f"P(|{outcome:0{len(chosen)}b}>)", basis_state_sum(chosen, outcome)) for outcome in outcomes])


def local_projector(n_qubits: int, *, qubits: Sequence[int] | None = None) -> Observables:
    """The mean over `qubits` (default: all) of the probability of reading 0 there, ``1/2 + sum_q Z_q / (2 n)``.

    With loss=fidelity it is the local cost, beside `projector` on state 0 as the global one, of Cerezo, Sone, Volkoff,
    Cincio, Coles, Nature Communications 12, 1791 (2021), arXiv:2001.00550.
    """
    chosen = _qubits(n_qubits, qubits)
    each = [(0.5 / len(chosen), pauli_string({qubit: "Z"})) for qubit in chosen]
    return from_sums([("local_projector", [(0.5, pauli_string({})), *each])])


def parity(n_qubits: int, *, qubits: Sequence[int] | None = None) -> Observables:
    """The product of Z on all of `qubits` (default: all): +1 where an even number of them is 1; one observable."""
    chosen = _qubits(n_qubits, qubits)
    string = pauli_string(dict.fromkeys(chosen, "Z"))
    return from_sums([(" ".join(f"Z{qubit}" for qubit in chosen), [(1.0, string)])])


def python(n_qubits: int, *, function: str) -> Observables:
    """A function of the user's own, ``package.module:name``, called as ``name(n_qubits)``; returns Observables."""
    result = call_user_function(function, "observable.function", n_qubits)
    if not isinstance(result, Observables):
        raise InputError(
            f"observable.function: {function} returned {type(result).__name__}; return Observables "
            "(qmltrain.circuit.observables.from_sums makes them)"
        )
    for string in result.strings:
        if (string.x_mask | string.z_mask) >> n_qubits:
            raise InputError(f"observable.function: {function} uses qubits beyond 0..{n_qubits - 1} in {string}")
    for gate in result.diagonalizing_gates:
        if any(not 0 <= qubit < n_qubits for qubit in gate.qubits) or not all(a.is_constant for a in gate.angles):
            raise InputError(
                f"observable.function: {function} has the diagonalizing gate {gate.name} on {gate.qubits}; its angles "
                f"must be constant, its qubits in 0..{n_qubits - 1}"
            )
    if not result.n_observables:
        raise InputError(f"observable.function: {function} returned no observables")
    return result


def _outcome(state: int | str, number: int, n_bits: int) -> int:
    where = f"observable.states[{number}]"
    if isinstance(state, str):
        if len(state) != n_bits or set(state) - set("01"):
            raise InputError(f"{where}: {state!r} is not a string of {n_bits} bits, one per qubit read")
        return int(state, 2)
    if isinstance(state, bool) or not isinstance(state, int):
        raise InputError(f"{where}: a bit string or a whole number is needed, found {state!r}")
    if not 0 <= state < 2**n_bits:
        raise InputError(
            f"{where}: outcome {state} is not in 0..{2**n_bits - 1} ({n_bits} qubits); put bit strings in quotes"
        )
    return state


def _qubits(n_qubits: int, qubits: Sequence[int] | None) -> list[int]:
    if qubits is None:
        return list(range(n_qubits))
    if isinstance(qubits, str) or not isinstance(qubits, Sequence) or not qubits:
        raise InputError(f"observable.qubits: a list of qubits is needed, such as [0, 1]; found {qubits!r}")
    for qubit in qubits:
        if isinstance(qubit, bool) or not isinstance(qubit, int) or not 0 <= qubit < n_qubits:
            raise InputError(f"observable.qubits: {qubit!r} is not in 0..{n_qubits - 1}")
    if len(set(qubits)) != len(qubits):
        raise InputError(f"observable.qubits: {list(qubits)} lists a qubit twice")
    return list(qubits)


OBSERVABLES: dict[str, ObservableBuilder] = {
    "z": z,
    "pauli": pauli,
    "projector": projector,
    "parity": parity,
    "hamiltonian": hamiltonian,
    "ising": ising,
    "heisenberg": heisenberg,
    "maxcut": maxcut,
    "target_state": target_state,
    "python": python,
    "local_projector": local_projector,
}
