"""PennyLane Catalyst with lightning.qubit, complex64: whole training steps, samples in a loop, compiled by qjit.

Needs ``pip install pennylane pennylane-lightning pennylane-catalyst==0.15.0 optax``.

Each sample runs twice: values first, which give the cotangent, then the adjoint gradient of one weighted sum of Z. One
gradient of the whole loss would be simpler, but 0.15.0's compiler fails on the gradient of a QNode that returns several
expectations (an assertion of MLIR's, or an error of Enzyme's).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from peers.protocol import Task, Train, serve


def circuit(n: int, layers: int) -> Callable:
    """``(theta (L, n, 3), x (n,))``: the gates, layers in a compiled loop."""
    import pennylane as qml
    from catalyst import for_loop

    def gates(theta, x):  # noqa: ANN001, ANN202
        for q in range(n):
            qml.RY(x[q], wires=q)

        @for_loop(0, layers, 1)
        def layer(k):  # noqa: ANN001, ANN202
            for q in range(n):
                qml.RX(theta[k, q, 0], wires=q)
                qml.RY(theta[k, q, 1], wires=q)
                qml.RZ(theta[k, q, 2], wires=q)
            for q in range(n):
                qml.CZ(wires=[q, (q + 1) % n])

        layer()

    return gates


def every_z(n: int, layers: int) -> Callable:
    """A QNode ``(theta, x) -> <Z_q>, n of them``."""
    import pennylane as qml

    gates = circuit(n, layers)

    @qml.qnode(qml.device("lightning.qubit", wires=n, c_dtype=np.complex64))
    def node(theta, x):  # noqa: ANN001, ANN202
        gates(theta, x)
        return [qml.expval(qml.PauliZ(q)) for q in range(n)]

    return node


def weighted_z(n: int, layers: int) -> Callable:
    """A QNode ``(theta, x, w (n,)) -> sum w_q <Z_q>`` that has an adjoint gradient."""
    import pennylane as qml

    gates = circuit(n, layers)

    @qml.qnode(qml.device("lightning.qubit", wires=n, c_dtype=np.complex64), diff_method="adjoint")
    def node(theta, x, w):  # noqa: ANN001, ANN202
        gates(theta, x)
        return qml.expval(qml.Hamiltonian([w[q] for q in range(n)], [qml.PauliZ(q) for q in range(n)]))

    return node


def loss_and_gradient(task: Task) -> Callable:
    """``(theta, weights, bias, x (B, n), y (B,)) -> loss, gradients of the first three``, to be compiled."""
    import jax.numpy as jnp
    from catalyst import for_loop, grad

    values, weighted = every_z(task.qubits, task.layers), weighted_z(task.qubits, task.layers)

    def of_sample(theta, weights, bias, x, y):  # noqa: ANN001, ANN202
        expectations = jnp.stack(values(theta, x))
        outputs = weights @ expectations + bias
        scores = jnp.exp(outputs)
        cotangent = scores / jnp.sum(scores) - (jnp.arange(bias.shape[0]) == y)
        of_theta = grad(weighted, argnums=0)(theta, x, cotangent @ weights)
        return jnp.log(jnp.sum(scores)) - outputs[y], (of_theta, jnp.outer(cotangent, expectations), cotangent)

    def of_batch(theta, weights, bias, x_BN, y_B):  # noqa: ANN001, ANN202
        zeros = (jnp.zeros_like(theta), jnp.zeros_like(weights), jnp.zeros_like(bias))

        @for_loop(0, task.batch, 1)
        def add(b, loss, gradients):  # noqa: ANN001, ANN202
            value, gradient = of_sample(theta, weights, bias, x_BN[b], y_B[b])
            return loss + value, tuple(a + g for a, g in zip(gradients, gradient, strict=True))

        loss, gradients = add(jnp.zeros(()), zeros)
        return loss / task.batch, tuple(gradient / task.batch for gradient in gradients)

    return of_batch


def trained(task: Task) -> Train:
    import jax.numpy as jnp
    import optax
    from catalyst import for_loop, qjit

    optimizer, of_batch = optax.adam(task.learning_rate), loss_and_gradient(task)

    @qjit
    def steps(parameters, state, x_SBN, y_SB, losses, first, count):  # noqa: ANN001, ANN202
        @for_loop(0, count, 1)
        def step(k, parameters, state, losses):  # noqa: ANN001, ANN202
            loss, gradients = of_batch(*parameters, x_SBN[first + k], y_SB[first + k])
            updates, state = optimizer.update(gradients, state)
            return optax.apply_updates(parameters, updates), state, losses.at[k].set(loss)

        return step(parameters, state, losses)

    parameters = tuple(jnp.asarray(values) for values in (task.theta_LN3, task.weights_CN, task.bias_C))
    carry = [parameters, optimizer.init(parameters)]
    x_SBN, y_SB, losses = jnp.asarray(task.x_SBN), jnp.asarray(task.y_SB), jnp.zeros(task.batches)

    def train(first: int, count: int) -> NDArray:
        carry[0], carry[1], found = steps(*carry, x_SBN, y_SB, losses, first, count)
        return np.asarray(found)[:count]

    return train


def variants(task: Task) -> dict[str, Callable[[Task], Train]]:
    return {"two runs": trained}


if __name__ == "__main__":
    serve(variants, ["pennylane", "pennylane-lightning", "pennylane-catalyst", "jax", "optax"])
