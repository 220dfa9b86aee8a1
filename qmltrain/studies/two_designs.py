"""Variances over circuits whose parts are unitary 2-designs: what a deep random circuit comes to.

E(theta) = <psi| e^{i theta P/2} O' e^{-i theta P/2} |psi>, P^2 = 1 and traceless, |psi> what the gates before make, O'
the observable after the gates that follow, dE/dtheta = <psi| (i/2) [P, O'] |psi>. By the second moments of the unitary
group, for a traceless O (McClean, Boixo, Smelyanskiy, Babbush, Neven, Nature Communications 9, 4812 (2018),
arXiv:1803.11173; Cerezo et al., arXiv:2001.00550):

    both parts 2-designs    N Tr(O^2) / (2 (N^2 - 1) (N + 1))
    only what is before     (Tr(O'^2) - Tr(P O' P O')) / (2 N (N + 1))
    only what is after      Tr(O^2) (1 - <psi|P|psi>^2) / (2 (N^2 - 1))
    the loss itself         Tr(O^2) / (N (N + 1))

Circuits whose states stay real (RY, CX, CZ, ...; `real_circuits`) come to 2-designs of the orthogonal group instead.
There O is symmetric (an odd number of Y gives 0), P = -i A with A antisymmetric, and E[O'_ij O'_kl] = a d_ij d_kl
+ b (d_il d_jk + d_ik d_jl) with b = Tr(O^2) / ((N - 1)(N + 2)), a = -2 b / N (Collins, Sniady, Communications in
Mathematical Physics 264, 773 (2006), for the orthogonal group):

    what is after a 2-design, or both parts    Tr(O^2) / ((N - 1) (N + 2))
    only what is before                        (Tr(O'^2) - Tr(P O' P O')) / (N (N + 2))
    the loss itself                            2 Tr(O^2) / (N (N + 2))

`weight` below is Tr(O^2) / N = sum_m c_m^2 of O = sum_m c_m P_m, without the identity. An angle ``scale theta`` gives
scale^2 times as much.
"""

from __future__ import annotations

from collections.abc import Sequence

from qmltrain.circuit.observables import PauliString


def weight(terms: Sequence[tuple[float, PauliString]], real: bool = False) -> float:
    """Tr(O^2) / N without the identity's part; `real`: nor that of strings with an odd number of Y."""
    total: dict[PauliString, float] = {}
    for coefficient, string in terms:
        odd = (string.x_mask & string.z_mask).bit_count() % 2
        if string.x_mask | string.z_mask and not (real and odd):
            total[string] = total.get(string, 0.0) + coefficient
    return sum(coefficient**2 for coefficient in total.values())


def gradient_variance(n_qubits: int, weight: float, real: bool = False) -> float:
    """Both parts are 2-designs: about weight / (2 N), of real circuits weight / N."""
    size = 2.0**n_qubits
    if real:
        return weight / ((1.0 - 1.0 / size) * (size + 2.0))
    return weight * size / (2.0 * (size - 1.0 / size) * (size + 1.0))


def gradient_variance_before(n_qubits: int, anticommuting_weight: float, real: bool = False) -> float:
    """Only what is before is one, from the weight of those strings of O' that anticommute with P."""
    size = 2.0**n_qubits
    return 2.0 * anticommuting_weight / (size + 2.0) if real else anticommuting_weight / (size + 1.0)


def gradient_variance_after(n_qubits: int, weight: float, square_of_expectation: float, real: bool = False) -> float:
    """Only what is after is one, <P> being that before the gate (0 in real states)."""
    if real:
        return gradient_variance(n_qubits, weight, real)
    size = 2.0**n_qubits
    return weight * (1.0 - square_of_expectation) / (2.0 * (size - 1.0 / size))


def loss_variance(n_qubits: int, weight: float, real: bool = False) -> float:
    """The states are a 2-design."""
    size = 2.0**n_qubits
    return 2.0 * weight / (size + 2.0) if real else weight / (size + 1.0)
