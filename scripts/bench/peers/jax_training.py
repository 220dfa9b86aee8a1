"""What the peers on JAX share: head, loss, Adam of optax, and all steps of a call in one compiled loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import NDArray

from peers.protocol import Task, Train

Expectations = Callable[[Any, Any], Any]  # theta (L, n, 3), x (B, n) -> <Z_q> (B, n)


def compiled(task: Task, expectations: Expectations) -> Train:
    """A `Train` whose steps run in one ``fori_loop`` with the data in the device's memory, in order, beforehand."""
    optimizer = optax.adam(task.learning_rate)
    x_SBN, y_SB = jnp.asarray(task.x_SBN, jnp.float32), jnp.asarray(task.y_SB, jnp.int32)

    def loss(parameters, x_BN, y_B):  # noqa: ANN001, ANN202
        outputs = expectations(parameters["theta"], x_BN) @ parameters["weights"].T + parameters["bias"]
        return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(outputs, y_B))

    def step(first, k, carry):  # noqa: ANN001, ANN202
        parameters, state, losses = carry
        value, gradient = jax.value_and_grad(loss)(parameters, x_SBN[first + k], y_SB[first + k])
        updates, state = optimizer.update(gradient, state)
        return optax.apply_updates(parameters, updates), state, losses.at[k].set(value)

    @jax.jit
    def steps(parameters, state, first, count):  # noqa: ANN001, ANN202
        losses = jnp.zeros(task.batches, jnp.float32)
        return jax.lax.fori_loop(0, count, lambda k, carry: step(first, k, carry), (parameters, state, losses))

    start = {"theta": task.theta_LN3, "weights": task.weights_CN, "bias": task.bias_C}
    parameters = {name: jnp.asarray(values, jnp.float32) for name, values in start.items()}
    carry = [parameters, optimizer.init(parameters)]

    def train(first: int, count: int) -> NDArray:
        carry[0], carry[1], losses = steps(*carry, first, count)
        return np.asarray(losses)[:count]

    return train
