"""PennyLane as its tutorials train a classifier: a QNode, a Python loop over the samples, autograd, AdamOptimizer.

Needs ``pip install pennylane pennylane-lightning``.

See "Variational classifier" of its demonstrations. On lightning.qubit (adjoint) and, up to `MOST_QUBITS` qubits,
default.qubit (backpropagation), whose record of a sample holds a state per gate.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from numpy.typing import NDArray

from peers.protocol import Task, Train, serve

MOST_QUBITS = 12


def trained(device_name: str, method: str, task: Task) -> Train:
    import pennylane as qml
    from pennylane import numpy as np

    n = task.qubits
    device = qml.device(device_name, wires=n)

    @qml.qnode(device, interface="autograd", diff_method=method)
    def circuit(theta, x):  # noqa: ANN001, ANN202
        qml.AngleEmbedding(x, wires=range(n), rotation="Y")
        for angles in theta:
            for q in range(n):
                qml.RX(angles[q, 0], wires=q)
                qml.RY(angles[q, 1], wires=q)
                qml.RZ(angles[q, 2], wires=q)
            for q in range(n):
                qml.CZ(wires=[q, (q + 1) % n])
        return [qml.expval(qml.PauliZ(q)) for q in range(n)]

    def cost(theta, weights, bias, X, Y):  # noqa: ANN001, ANN202
        loss = 0.0
        for x, y in zip(X, Y, strict=True):
            outputs = weights @ np.stack(circuit(theta, x)) + bias
            loss = loss + np.log(np.sum(np.exp(outputs))) - outputs[y]
        return loss / len(X)

    optimizer, steps = qml.AdamOptimizer(task.learning_rate, beta2=0.999), 0
    start = (task.theta_LN3, task.weights_CN, task.bias_C)
    parameters = [np.array(values, requires_grad=True) for values in start]
    X, Y = np.array(task.x_SBN, requires_grad=False), task.y_SB

    def train(first: int, count: int) -> NDArray:
        nonlocal steps
        losses = []
        for k in range(first, first + count):
            steps += 1
            # it adds epsilon before the bias correction, the others after it: small gradients of deep circuits notice
            optimizer.eps = 1e-8 * (1 - 0.999**steps) ** 0.5
            values, loss = optimizer.step_and_cost(cost, *parameters, X=X[k], Y=Y[k])
            parameters[:] = values
            losses.append(float(loss))
        return np.array(losses)

    return train


def variants(task: Task) -> dict[str, Callable[[Task], Train]]:
    found: dict[str, Callable[[Task], Train]] = {"lightning.qubit": partial(trained, "lightning.qubit", "adjoint")}
    if task.qubits <= MOST_QUBITS:
        found["default.qubit"] = partial(trained, "default.qubit", "backprop")
    return found


if __name__ == "__main__":
    serve(variants, ["pennylane", "pennylane-lightning"])
