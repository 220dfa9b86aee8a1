"""Haar-random states and unitaries, for tests: QR of complex normal matrices with the phases of R taken out
(Mezzadri, Notices of the AMS 54, 592 (2007))."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def states(generator: np.random.Generator, count: int, n_qubits: int, real: bool = False) -> NDArray:
    """(count, N)."""
    normal = generator.standard_normal((count, 2**n_qubits, 2)) @ _parts(real)
    return normal / np.linalg.norm(normal, axis=1, keepdims=True)


def _parts(real: bool) -> NDArray:
    return np.array([1.0, 0.0 if real else 1.0j], dtype=np.complex128)


def unitaries(generator: np.random.Generator, count: int, n_qubits: int, real: bool = False) -> NDArray:
    """(count, N, N); `real`: orthogonal ones."""
    size = 2**n_qubits
    q, r = np.linalg.qr(generator.standard_normal((count, size, size, 2)) @ _parts(real))
    diagonal = np.diagonal(r, axis1=1, axis2=2)
    return q * (diagonal / np.abs(diagonal))[:, None, :]


def within_4_errors(draws: NDArray, expected: float) -> None:
    """The mean of `draws` (D,) is `expected` within four standard errors, and the error is a real one."""
    error = np.std(draws, ddof=1) / np.sqrt(len(draws))
    assert error > 0
    assert abs(np.mean(draws) - expected) < 4 * error, (np.mean(draws), error, expected)
