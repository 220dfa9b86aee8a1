"""The hardware-efficient ansatz written by hand in JAX, complex64, in the forms that XLA's CPU backend likes best.

A form is ``(theta (L, n, 3), x (B, n)) -> expectations (B, K)`` of K diagonal observables. `one_unitary` multiplies
the layers into one matrix, which all samples then share: the least work where 2^n is not much more than the batch.
`kronecker` applies a layer as Kronecker factors of a few qubits each, as matrix products over all samples.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Form = Callable[[Any, Any], Any]
MOST_QUBITS_OF_ONE_UNITARY = 6


def forms(n: int, measured_KA) -> dict[str, Form]:  # noqa: ANN001
    """By name, those that suit `n` qubits; factors of three, four and six qubits where these differ. `measured_KA` are
    the diagonals (K, 2^n) of the observables; qubit 0 is the most significant bit."""
    found = {"one unitary": one_unitary(n, measured_KA)} if n <= MOST_QUBITS_OF_ONE_UNITARY else {}
    for most in (3, 4, 6):
        parts = -(-n // most)
        sizes = [n // parts + (k < n % parts) for k in range(parts)]
        found.setdefault(f"Kronecker factors of {'+'.join(map(str, sizes))}", kronecker(n, sizes, measured_KA))
    return found


def rotations(angles):  # noqa: ANN001, ANN201
    """rz ry rx of the angles (..., 3): (..., 2, 2)."""
    a, b, c = angles[..., 0] / 2, angles[..., 1] / 2, angles[..., 2] / 2
    cos_a, sin_a = jnp.cos(a) + 0j, -1j * jnp.sin(a)
    cos_b, sin_b, zero = jnp.cos(b) + 0j, jnp.sin(b) + 0j, jnp.zeros_like(c) + 0j

    def matrix(*rows):  # noqa: ANN002, ANN202
        return jnp.stack([jnp.stack(row, -1) for row in rows], -2)

    rx, ry = matrix((cos_a, sin_a), (sin_a, cos_a)), matrix((cos_b, -sin_b), (sin_b, cos_b))
    return matrix((jnp.exp(-1j * c), zero), (zero, jnp.exp(1j * c))) @ ry @ rx


def product(matrices):  # noqa: ANN001, ANN201
    """The Kronecker product of (k, 2, 2): the first is the most significant."""
    whole = matrices[0]
    for matrix in matrices[1:]:
        whole = jnp.kron(whole, matrix)
    return whole.astype(jnp.complex64)


def encoded(x_BN):  # noqa: ANN001, ANN201
    """The states ry(x) of all samples, (B, 2^n), which are real."""
    both_BN2 = jnp.stack([jnp.cos(x_BN / 2), jnp.sin(x_BN / 2)], -1)
    states = both_BN2[:, 0]
    for q in range(1, x_BN.shape[1]):
        states = (states[:, :, None] * both_BN2[:, q, None, :]).reshape(x_BN.shape[0], -1)
    return states


def signs_of_z(n: int):  # noqa: ANN201
    """Diagonals of Z of every qubit (n, 2^n)."""
    return jnp.asarray(1 - 2 * (np.arange(2**n) >> np.arange(n - 1, -1, -1)[:, None] & 1), jnp.float32)


def cz_ring(n: int):  # noqa: ANN201
    """Diagonal of CZ on every (q, q + 1 mod n), (2^n,)."""
    bits = [np.arange(2**n) >> q & 1 for q in range(n)]
    return jnp.asarray(np.prod([1 - 2 * (bits[q] & bits[(q + 1) % n]) for q in range(n)], axis=0), jnp.float32)


def one_unitary(n: int, measured_KA) -> Form:  # noqa: ANN001
    ring_A = cz_ring(n)

    def expectations(theta_LN3, x_BN):  # noqa: ANN001, ANN202
        layers = jax.vmap(lambda angles: ring_A[:, None] * product(rotations(angles)))(theta_LN3)
        whole, _ = jax.lax.scan(lambda before, layer: (layer @ before, None), layers[0], layers[1:])
        states = encoded(x_BN)
        real, imaginary = states @ jnp.real(whole).T, states @ jnp.imag(whole).T
        return (real**2 + imaginary**2) @ measured_KA.T

    return expectations


def kronecker(n: int, sizes: list[int], measured_KA) -> Form:  # noqa: ANN001
    ring_A = cz_ring(n)
    firsts = np.cumsum([0, *sizes[:-1]])

    def factors(angles_N3):  # noqa: ANN001, ANN202
        each = rotations(angles_N3)
        return [product(each[first : first + size]) for first, size in zip(firsts, sizes, strict=True)]

    def layer(states, matrices):  # noqa: ANN001, ANN202
        batch = states.shape[0]
        for first, size, matrix in zip(firsts, sizes, matrices, strict=True):
            split = states.reshape(batch, 2**first, 2**size, -1)
            states = jnp.einsum("ij,bljr->blir", matrix, split).reshape(batch, -1)
        return states * ring_A, None

    def expectations(theta_LN3, x_BN):  # noqa: ANN001, ANN202
        states = encoded(x_BN).astype(jnp.complex64)
        states, _ = jax.lax.scan(layer, states, jax.vmap(factors)(theta_LN3))
        return (jnp.real(states) ** 2 + jnp.imag(states) ** 2) @ measured_KA.T

    return expectations
