"""PennyLane lightning.qubit, complex64, in the fastest loops that its device interface allows; head and Adam in NumPy.

Needs ``pip install pennylane pennylane-lightning``.

One tape per sample, executed by the device itself, without QNodes. Cotangents of the expectations depend on the
expectations, so there are two ways: `jacobian` has the device differentiate every Z_q in the run that gives its value;
`two runs` takes the values first, then the gradient of one weighted sum of Z per sample.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from peers.protocol import Adam, Task, Train, cross_entropy, serve


class Device:
    """Tapes of a batch, and the device that runs them."""

    def __init__(self, task: Task) -> None:
        import pennylane as qml
        from pennylane.devices import ExecutionConfig

        self.qml, self.task, n = qml, task, task.qubits
        self.device = qml.device("lightning.qubit", wires=n, c_dtype=np.complex64)
        self.config = ExecutionConfig(
            gradient_method="adjoint",
            use_device_gradient=True,
            use_device_jacobian_product=False,
            grad_on_execution=True,
        )
        self.z = [qml.PauliZ(q) for q in range(n)]
        self.ring = [qml.CZ((q, (q + 1) % n)) for q in range(n)]
        self.trainable = list(range(n, n + task.theta_LN3.size))

    def tapes(self, theta_LN3: NDArray, x_BN: NDArray, measured: Sequence[Sequence[Any]]) -> tuple:
        """One a sample; `measured` are the expectations of each."""
        qml = self.qml
        body: list = []
        for angles_N3 in theta_LN3.tolist():
            for q, (a, b, c) in enumerate(angles_N3):
                body += [qml.RX(a, q), qml.RY(b, q), qml.RZ(c, q)]
            body += self.ring
        encodings = [[qml.RY(x, q) for q, x in enumerate(row)] for row in x_BN.tolist()]
        return tuple(
            qml.tape.QuantumScript(encoding + body, values, trainable_params=self.trainable)
            for encoding, values in zip(encodings, measured, strict=True)
        )

    def jacobian(self, theta_LN3: NDArray, x_BN: NDArray, outer: Callable) -> NDArray:
        """The gradient of theta: `outer` takes the expectations (B, n) and gives their cotangents."""
        every = [self.qml.expval(z) for z in self.z]
        tapes = self.tapes(theta_LN3, x_BN, [every] * len(x_BN))
        results, jacobians = self.device.execute_and_compute_derivatives(tapes, self.config)
        cotangent_BN = outer(np.array(results, dtype=float))
        gradient = np.einsum("bn,bnp->p", cotangent_BN, np.array(jacobians, dtype=float).reshape(*x_BN.shape, -1))
        return gradient.reshape(theta_LN3.shape)

    def two_runs(self, theta_LN3: NDArray, x_BN: NDArray, outer: Callable) -> NDArray:
        qml = self.qml
        every = [qml.expval(z) for z in self.z]
        results = self.device.execute(self.tapes(theta_LN3, x_BN, [every] * len(x_BN)), self.config)
        cotangent_BN = outer(np.array(results, dtype=float))
        sums = [[qml.expval(qml.Hamiltonian(row.tolist(), self.z))] for row in cotangent_BN]
        jacobians = self.device.compute_derivatives(self.tapes(theta_LN3, x_BN, sums), self.config)
        return np.array(jacobians, dtype=float).reshape(len(x_BN), -1).sum(axis=0).reshape(theta_LN3.shape)


def trained(task: Task, device: Device, gradient_of: Callable) -> Train:
    parameters = {"theta": task.theta_LN3.copy(), "weights": task.weights_CN.copy(), "bias": task.bias_C.copy()}
    adam = Adam(task.learning_rate, parameters)

    def step(x_BN: NDArray, y_B: NDArray) -> float:
        found: dict[str, Any] = {}

        def outer(expectations_BN: NDArray) -> NDArray:
            outputs_BC = expectations_BN @ parameters["weights"].T + parameters["bias"]
            found["loss"], cotangent_BC = cross_entropy(outputs_BC, y_B)
            found["weights"], found["bias"] = cotangent_BC.T @ expectations_BN, cotangent_BC.sum(axis=0)
            return cotangent_BC @ parameters["weights"]

        theta = gradient_of(parameters["theta"], x_BN, outer)
        adam.update(parameters, {"theta": theta, "weights": found["weights"], "bias": found["bias"]})
        return found["loss"]

    def train(first: int, count: int) -> NDArray:
        return np.array([step(task.x_SBN[k], task.y_SB[k]) for k in range(first, first + count)])

    return train


def variants(task: Task) -> dict[str, Callable[[Task], Train]]:
    device = Device(task)
    return {
        "jacobian": lambda task: trained(task, device, device.jacobian),
        "two runs": lambda task: trained(task, device, device.two_runs),
    }


if __name__ == "__main__":
    serve(variants, ["pennylane", "pennylane-lightning"])
