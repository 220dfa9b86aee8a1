"""Haar-random states: fidelities of pairs, frame potentials, entanglement; how far a circuit's states are from them.

Two Haar-random states of N amplitudes have a fidelity F with density (N - 1) (1 - F)^(N - 2) (Zyczkowski, Sommers,
Physical Review A 71, 032313 (2005)). Expressibility is the Kullback-Leibler divergence of a histogram of fidelities
from it (Sim, Johnson, Aspuru-Guzik, Advanced Quantum Technologies 2, 1900070 (2019), arXiv:1905.10876); 75 bins and
5,000 pairs are customary. Chances of bins are kept as logarithms: at 10 qubits the last of 75 bins has exp(-4417).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from qmltrain.engines.protocol import FloatArray
from qmltrain.errors import InputError


def log_bin_chances(n_qubits: int, n_bins: int) -> FloatArray:
    """(n_bins,): ln of (1 - l)^(N-1) - (1 - u)^(N-1) of equal bins [l, u] of [0, 1]."""
    power = 2.0**n_qubits - 1.0
    edges = np.linspace(0.0, 1.0, n_bins + 1)
    with np.errstate(divide="ignore"):
        logs = power * np.log1p(-edges)  # the last is -inf
        return logs[:-1] + np.log1p(-np.exp(logs[1:] - logs[:-1]))


def histogram(fidelity_D: ArrayLike, n_bins: int) -> np.ndarray:
    """(n_bins,) counts in equal bins of [0, 1]; rounding beyond the ends is taken as the end."""
    if n_bins < 1:
        raise InputError(f"scan.bins: {n_bins} is not possible; choose 1 or more")
    fidelity = np.clip(np.asarray(fidelity_D, dtype=np.float64), 0.0, 1.0)
    return np.bincount(np.minimum((fidelity * n_bins).astype(np.int64), n_bins - 1), minlength=n_bins)


@dataclass(frozen=True)
class Expressibility:
    """`divergence` in nats; its standard `error` from the number of pairs; `bias`: what so many pairs of Haar-random
    states would have on average, (filled bins - 1) / (2 pairs)."""

    divergence: float
    error: float
    bias: float


def expressibility(fidelity_D: ArrayLike, n_qubits: int, n_bins: int) -> Expressibility:
    """KL divergence of the histogram of fidelities from Haar's, sum_b p_b ln(p_b / q_b)."""
    counts = histogram(fidelity_D, n_bins)
    n_pairs = int(counts.sum())
    if not n_pairs:
        raise InputError("expressibility needs at least one pair of draws")
    filled = counts > 0
    p = counts[filled] / n_pairs
    ratios = np.log(p) - log_bin_chances(n_qubits, n_bins)[filled]
    divergence = float(np.sum(p * ratios))
    spread = float(np.sum(p * ratios**2)) - divergence**2  # of ln(p / q) over pairs: the delta method
    return Expressibility(divergence, math.sqrt(max(spread, 0.0) / n_pairs), (int(filled.sum()) - 1) / (2 * n_pairs))


def idle_expressibility(n_qubits: int, n_bins: int) -> float:
    """Of a circuit whose states are all the same: every pair is in the last bin, (N - 1) ln(n_bins)."""
    return (2.0**n_qubits - 1.0) * math.log(n_bins)


def frame_potential(n_qubits: int, order: int, real: bool = False) -> float:
    """E F^t of Haar-random states, t! (N - 1)! / (N + t - 1)!: the least that any ensemble has (Gross, Audenaert,
    Eisert, Journal of Mathematical Physics 48, 052104 (2007)); a t-design has it, too.

    Of `real` ones, a random direction in N dimensions: 1 3 ... (2t - 1) / (N (N + 2) ... (N + 2t - 2)).
    """
    size = 2.0**n_qubits
    if real:
        return math.prod((2 * k + 1) / (size + 2 * k) for k in range(order))
    return math.prod((k + 1) / (size + k) for k in range(order))


def meyer_wallach(n_qubits: int, real: bool = False) -> float:
    """Mean of Q = 1 - (1/n) sum_q (<X_q>^2 + <Y_q>^2 + <Z_q>^2), (N - 2) / (N + 1) (Meyer, Wallach, Journal of
    Mathematical Physics 43, 4273 (2002)), of `real` states (N - 2) / (N + 2); a 2-design has it, too."""
    size = 2.0**n_qubits
    return (size - 2.0) / (size + (2.0 if real else 1.0))
