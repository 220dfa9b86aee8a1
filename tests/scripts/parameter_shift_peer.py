"""A peer for the tests of scripts/bench/training.py: NumPy alone, dense states, gradients by parameter shifts.

PEER_MISTAKE makes it wrong: `gradient` (that of the layers in the other order), `import` (of a package that is not
there), `crash`, `sleep`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from peers.protocol import Adam, Task, Train, cross_entropy, serve

PAULIS = np.array([[[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]])
MISTAKE = os.environ.get("PEER_MISTAKE")


def expectations(theta_LN3: NDArray, x_N: NDArray) -> NDArray:
    """<Z_q> (n,) of one sample; axis q of the state is qubit q."""
    n = len(x_N)
    state = np.zeros((2,) * n, dtype=complex)
    state[(0,) * n] = 1.0

    def rotate(state: NDArray, axis: int, qubit: int, angle: float) -> NDArray:
        matrix = np.cos(angle / 2) * np.eye(2) - 1j * np.sin(angle / 2) * PAULIS[axis]
        return np.moveaxis(np.tensordot(matrix, state, (1, qubit)), 0, qubit)

    for q in range(n):
        state = rotate(state, 1, q, x_N[q])
    bits = np.indices((2,) * n)
    for angles_N3 in theta_LN3:
        for q in range(n):
            for axis in range(3):
                state = rotate(state, axis, q, angles_N3[q, axis])
        for q in range(n):
            state = state * (1 - 2 * (bits[q] & bits[(q + 1) % n]))
    return np.array([np.sum(abs(state) ** 2 * (1 - 2 * bits[q])) for q in range(n)])


def trained(task: Task) -> Train:
    parameters = {"theta": task.theta_LN3.copy(), "weights": task.weights_CN.copy(), "bias": task.bias_C.copy()}
    adam = Adam(task.learning_rate, parameters)

    def step(x_BN: NDArray, y_B: NDArray) -> float:
        theta = parameters["theta"]
        values_BN = np.stack([expectations(theta, x) for x in x_BN])
        loss, cotangent_BC = cross_entropy(values_BN @ parameters["weights"].T + parameters["bias"], y_B)
        cotangent_BN = cotangent_BC @ parameters["weights"]
        gradient = np.zeros_like(theta)
        for index in np.ndindex(theta.shape):
            shift = np.zeros_like(theta)
            shift[index] = np.pi / 2
            ahead, behind = (np.stack([expectations(theta + s, x) for x in x_BN]) for s in (shift, -shift))
            gradient[index] = np.sum(cotangent_BN * (ahead - behind)) / 2
        gradient = gradient[::-1] if MISTAKE == "gradient" else gradient
        gradients = {"weights": cotangent_BC.T @ values_BN, "bias": cotangent_BC.sum(axis=0)}
        adam.update(parameters, gradients | {"theta": gradient})
        return loss

    def train(first: int, count: int) -> NDArray:
        return np.array([step(task.x_SBN[k], task.y_SB[k]) for k in range(first, first + count)])

    return train


def variants(task: Task) -> dict[str, Callable[[Task], Train]]:
    if MISTAKE == "import":
        import a_package_that_nobody_has  # noqa: F401
    if MISTAKE == "crash":
        raise ArithmeticError("the tool's own words")
    return {"parameter shifts": trained}


if __name__ == "__main__":
    time.sleep(60 if MISTAKE == "sleep" else 0)
    serve(variants, ["numpy"])
