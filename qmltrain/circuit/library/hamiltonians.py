"""Hamiltonians as observables: from a file, and the named ones of spin models and MaxCut. Each is one observable, to
be minimised with ``dataset=none loss=expectation``.

Graphs are those of the ansatz `qaoa` (`qmltrain.circuit.library.graphs`); an edge's weight multiplies its coupling.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qmltrain.circuit.checks import check_least_qubits
from qmltrain.circuit.library.graphs import choose_graph
from qmltrain.circuit.library.pauli_text import parse_pauli_sum
from qmltrain.circuit.observables import Observables, PauliString, from_sums, pauli_string
from qmltrain.errors import InputError
from qmltrain.user_code import read_text

Terms = list[tuple[float, PauliString]]


def hamiltonian(n_qubits: int, *, path: str) -> Observables:
    """The sum of the Pauli terms in a text file, one "0.5 X0 Z1" a line, named by the file's name without its ending.

    A line without Pauli letters is a multiple of the identity; # starts a comment; a line may hold a sum, as in
    `parse_pauli_sum`. Raises InputError, with the line's number, for what cannot be read.
    """
    terms: Terms = []
    for number, line in enumerate(read_text(path, "observable.path", "the Hamiltonian").splitlines(), start=1):
        text = line.split("#")[0].strip()
        if text:
            terms += parse_pauli_sum(text, n_qubits, f"observable.path: line {number} of {path}")
    if not terms:
        raise InputError(f'observable.path: {path} has no terms; write one "0.5 X0 Z1" a line')
    return from_sums([(Path(path).stem, terms)])


def ising(
    n_qubits: int,
    *,
    coupling: float = 1.0,
    field: float = 1.0,
    graph: str = "chain",
    degree: int | None = None,
    seed: int | None = None,
    path: str | None = None,
) -> Observables:
    """Transverse-field Ising model, ``-J sum_ij w_ij Z_i Z_j - h sum_i X_i``, J the `coupling` and h the `field`.

    J > 0 is ferromagnetic; on the chain (default, open) and the ring the critical point is h = J. From 2 qubits on.
    Reference: Pfeuty, Annals of Physics 57, 79 (1970), in Pauli matrices; transverse_ising of PennyLane.
    """
    check_least_qubits("observable.name", n_qubits, 2, "ising")
    edges = choose_graph(n_qubits, graph, degree, seed, path, "observable")
    terms = [(-coupling * weight, pauli_string({i: "Z", j: "Z"})) for i, j, weight in edges]
    terms += [(-field, pauli_string({qubit: "X"})) for qubit in range(n_qubits)]
    return from_sums([("ising", _present(terms))])


def heisenberg(
    n_qubits: int,
    *,
    couplings: Sequence[float] = (1.0, 1.0, 1.0),
    field: float = 0.0,
    graph: str = "chain",
    degree: int | None = None,
    seed: int | None = None,
    path: str | None = None,
) -> Observables:
    """Heisenberg model, ``sum_ij w_ij (Jx X_i X_j + Jy Y_i Y_j + Jz Z_i Z_j) - h sum_i Z_i``, h the `field`.

    `couplings` are [Jx, Jy, Jz]: all equal XXX, two equal XXZ, [J, J, 0] XY; J > 0 is antiferromagnetic. In Pauli
    matrices (spins of 1/2 have J/4). From 2 qubits on. Reference: Heisenberg, Zeitschrift fuer Physik 49, 619 (1928);
    heisenberg of PennyLane, which has no field.
    """
    check_least_qubits("observable.name", n_qubits, 2, "heisenberg")
    if len(couplings) != 3:
        raise InputError(f"observable.couplings: [Jx, Jy, Jz] is needed, found {list(couplings)}")
    edges = choose_graph(n_qubits, graph, degree, seed, path, "observable")
    terms = [
        (coupling * weight, pauli_string({i: letter, j: letter}))
        for i, j, weight in edges
        for letter, coupling in zip("XYZ", couplings, strict=True)
    ]
    terms += [(-field, pauli_string({qubit: "Z"})) for qubit in range(n_qubits)]
    return from_sums([("heisenberg", _present(terms))])


def maxcut(
    n_qubits: int,
    *,
    graph: str = "ring",
    degree: int | None = None,
    seed: int | None = None,
    path: str | None = None,
) -> Observables:
    """Minus the weight that is cut, ``-sum_ij w_ij (1 - Z_i Z_j) / 2``: its lowest value is minus the largest cut.

    The bits of a basis state are the two sides. Graph options as those of the ansatz `qaoa`, and the same defaults, so
    that ``observable=maxcut ansatz=qaoa`` solve one problem. From 2 qubits on. Reference: Farhi, Goldstone, Gutmann,
    arXiv:1411.4028; qaoa.maxcut of PennyLane.
    """
    check_least_qubits("observable.name", n_qubits, 2, "maxcut")
    edges = choose_graph(n_qubits, graph, degree, seed, path, "observable")
    terms = [(0.5 * weight, pauli_string({i: "Z", j: "Z"})) for i, j, weight in edges]
    terms.append((-0.5 * sum(weight for _, _, weight in edges), PauliString(0, 0)))
    return from_sums([("maxcut", terms)])


def _present(terms: Terms) -> Terms:
    """Without terms of coefficient 0, which would be measured for nothing."""
    found = [term for term in terms if term[0] != 0.0]
    if not found:
        raise InputError("observable.name: all couplings and the field are 0, so that there is nothing to measure")
    return found
