"""Variances over circuits whose parts are unitary 2-designs: what a deep random circuit comes to.

E(theta) = <psi| e^{i theta P/2} O' e^{-i theta P/2} |psi>, P^2 = 1 and traceless, |psi> what the gates before make, O'
the observable after the gates that follow, dE/dtheta = <psi| (i/2) [P, O'] |psi>. By the second moments of the unitary
group, for a traceless O (McClean, Boixo, Smelyanskiy, Babbush, Neven, Nature Communications 9, 4812 (2018),
arXiv:1803.11173; Cerezo et al., arXiv:2001.00550):

    both parts 2-designs    N Tr(O^2) / (2 (N^2 - 1) (N + 1))
    only what is before     (Tr(O'^2) - Tr(P O' P O')) / (2 N (N + 1))
    only what is after      Tr(O^2) (1 - <psi|P|psi>^2) / (2 (N^2 - 1))
    the loss itself         Tr(O^2) / (N (N + 1))

`weight` below is Tr(O^2) / N = sum_m c_m^2 of O = sum_m c_m P_m, without the identity. An angle ``scale theta`` gives
scale^2 times as much.
"""

from __future__ import annotations

from collections.abc import Sequence

from qmltrain.circuit.observables import PauliString


def weight(terms: Sequence[tuple[float, PauliString]]) -> float:
    """Tr(O^2) / N without the identity's part."""
    total: dict[PauliString, float] = {}
    for coefficient, string in terms:
        if string.x_mask | string.z_mask:
            total[string] = total.get(string, 0.0) + coefficient
    return sum(coefficient**2 for coefficient in total.values())


def gradient_variance(n_qubits: int, weight: float) -> float:
    """Both parts are 2-designs: N^2 weight / (2 (N^2 - 1) (N + 1)), about weight / (2 N)."""
    size = 2.0**n_qubits
    return weight * size / (2.0 * (size - 1.0 / size) * (size + 1.0))


def gradient_variance_before(n_qubits: int, anticommuting_weight: float) -> float:
    """Only what is before is one: the weight of those strings of O' that anticommute with P, over N + 1."""
    return anticommuting_weight / (2.0**n_qubits + 1.0)


def gradient_variance_after(n_qubits: int, weight: float, square_of_expectation: float) -> float:
    """Only what is after is one, <P> being that before the gate: N weight (1 - <P>^2) / (2 (N^2 - 1))."""
    size = 2.0**n_qubits
    return weight * (1.0 - square_of_expectation) / (2.0 * (size - 1.0 / size))


def loss_variance(n_qubits: int, weight: float) -> float:
    """The states are a 2-design: weight / (N + 1)."""
    return weight / (2.0**n_qubits + 1.0)
