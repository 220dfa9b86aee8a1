"""TensorCircuit-NG on JAX, complex64: vmap over samples, scan over layers, the whole training in one jit, optax.

Needs ``pip install tensorcircuit-ng jax optax``.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from peers.protocol import Task, Train, serve


def scanned(task: Task) -> Train:
    import jax
    import jax.numpy as jnp
    import tensorcircuit as tc

    from peers.jax_training import compiled

    tc.set_backend("jax")
    tc.set_dtype("complex64")
    n = task.qubits
    index = np.arange(2**n)  # qubit 0 is the most significant bit there
    signs = np.stack([1 - 2 * (index >> (n - 1 - q) & 1) for q in range(n)])
    signs_NA = jnp.asarray(signs, jnp.float32)

    def layer(state, angles_N3):  # noqa: ANN001, ANN202
        circuit = tc.Circuit(n, inputs=state)
        for q in range(n):
            circuit.rx(q, theta=angles_N3[q, 0])
            circuit.ry(q, theta=angles_N3[q, 1])
            circuit.rz(q, theta=angles_N3[q, 2])
        for q in range(n):
            circuit.cz(q, (q + 1) % n)
        return circuit.state(), None

    def of_sample(theta_LN3, x_N):  # noqa: ANN001, ANN202
        circuit = tc.Circuit(n)
        for q in range(n):
            circuit.ry(q, theta=x_N[q])
        state, _ = jax.lax.scan(layer, circuit.state(), theta_LN3)
        return signs_NA @ (jnp.real(state) ** 2 + jnp.imag(state) ** 2)

    return compiled(task, jax.vmap(of_sample, in_axes=(None, 0)))


def variants(task: Task) -> dict[str, Callable[[Task], Train]]:
    return {"scan": scanned}


if __name__ == "__main__":
    serve(variants, ["tensorcircuit-ng", "jax", "optax"])
