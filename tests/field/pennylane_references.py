"""References from PennyLane's templates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.field.reference_cases import COTANGENT, SIZES, cases, numbers, observables, store


def pennylane_case(
    n: int,
    encoding: tuple[str, dict],
    ansatz: tuple[str, dict],
    circuit: Callable[[Any, Any], None],
    n_parameters: int,
    features: np.ndarray | None = None,
    **extra: Any,
) -> None:
    """`circuit(theta, x)` queues the library's templates; theta is flat, in our order."""
    import pennylane as qml
    from pennylane import numpy as pnp

    letters = {"X": qml.PauliX, "Y": qml.PauliY, "Z": qml.PauliZ}
    x = np.zeros(0) if features is None else features
    theta = pnp.array(numbers(n_parameters, seed=len(cases)), requires_grad=True)

    @qml.qnode(qml.device("default.qubit", wires=n), diff_method="backprop")
    def node(theta: Any) -> list:
        circuit(theta, x)
        return [
            qml.expval(qml.prod(*(letters[letter](qubit) for qubit, letter in observable.items())))
            for observable in observables(n)
        ]

    def combined(theta: Any) -> Any:
        return pnp.dot(pnp.array(COTANGENT, requires_grad=False), pnp.stack(node(theta)))

    gradient = qml.grad(combined)(theta) if n_parameters else np.zeros(0)
    store("pennylane", n, encoding, ansatz, x, theta, np.array(node(theta)), np.asarray(gradient), **extra)


def pennylane_ansaetze() -> None:
    import pennylane as qml

    none = ("none", {})
    for n in SIZES:
        wires = range(n)

        def strong(theta: Any, x: Any, wires: Any = wires, n: int = n, **options: Any) -> None:
            qml.StronglyEntanglingLayers(theta.reshape(-1, n, 3), wires=wires, **options)

        pennylane_case(n, none, ("strongly_entangling", {"layers": 3}), strong, 9 * n)
        ranges = [n - 1, 1]
        pennylane_case(
            n,
            none,
            ("strongly_entangling", {"layers": 2, "ranges": ranges, "imprimitive": "cz"}),
            lambda theta, x, ranges=ranges: strong(theta, x, ranges=ranges, imprimitive=qml.CZ),
            6 * n,
        )
        for name, rotation in (("rx", qml.RX), ("ry", qml.RY)):
            pennylane_case(
                n,
                none,
                ("basic_entangler", {"layers": 3, "rotations": [name]}),
                lambda theta, x, n=n, wires=wires, rotation=rotation: qml.BasicEntanglerLayers(
                    theta.reshape(-1, n), wires=wires, rotation=rotation
                ),
                3 * n,
            )
        pennylane_case(
            n,
            none,
            ("simplified_two_design", {"layers": 2}),
            lambda theta, x, n=n, wires=wires: qml.SimplifiedTwoDesign(
                theta[:n], theta[n:].reshape(2, n - 1, 2), wires=wires
            ),
            n + 4 * (n - 1),
        )
        shape = (2, 2 * n)
        template = qml.RandomLayers(np.arange(np.prod(shape)).reshape(shape) * 1e-3, wires=wires, seed=7 + n)
        places = [
            [operation.name.lower().replace("cnot", "cx"), [int(wire) for wire in operation.wires]]
            for operation in template.decomposition()
        ]
        pennylane_case(
            n,
            none,
            ("random_layers", {"layers": 2, "n_rotations": 2 * n}),
            lambda theta, x, n=n, wires=wires, shape=shape: qml.RandomLayers(
                theta.reshape(shape), wires=wires, seed=7 + n
            ),
            4 * n,
            structure=places,
        )

        def block(weights: Any, wires: Any) -> None:
            qml.CNOT(wires=[wires[0], wires[1]])
            qml.RY(weights[0], wires=wires[0])
            qml.RY(weights[1], wires=wires[1])

        pennylane_case(
            n,
            none,
            ("mps", {"layers": 1}),
            lambda theta, x, n=n, wires=wires, block=block: qml.MPS(
                wires, n_block_wires=2, block=block, n_params_block=2, template_weights=theta.reshape(n - 1, 2)
            ),
            2 * (n - 1),
        )
        size = {2: 2, 3: 4, 5: 8}[n]
        pennylane_case(
            size,
            none,
            ("ttn", {}),
            lambda theta, x, size=size, block=block: qml.TTN(
                range(size), n_block_wires=2, block=block, n_params_block=2, template_weights=theta.reshape(-1, 2)
            ),
            2 * (size - 1),
        )
        for graph in ("ring", "complete"):
            edges = [(i, j) for i in range(n) for j in range(i + 1, n)]
            if graph == "ring":
                edges = [(i, j) for i, j in edges if j - i == 1 or (n > 2 and j - i == n - 1)]
            cost = qml.Hamiltonian([1.0] * len(edges), [qml.PauliZ(i) @ qml.PauliZ(j) for i, j in edges])
            mixer = qml.Hamiltonian([1.0] * n, [qml.PauliX(i) for i in wires])

            def qaoa(theta: Any, x: Any, cost: Any = cost, mixer: Any = mixer, wires: Any = wires) -> None:
                for wire in wires:
                    qml.Hadamard(wire)
                for layer in range(2):
                    qml.qaoa.cost_layer(theta[2 * layer], cost)
                    qml.qaoa.mixer_layer(theta[2 * layer + 1], mixer)

            pennylane_case(n, none, ("qaoa", {"layers": 2, "graph": graph}), qaoa, 4)


def pennylane_encodings() -> None:
    import pennylane as qml

    for n in SIZES:
        wires = range(n)
        ansatz = ("strongly_entangling", {"layers": 1})

        def after(theta: Any, wires: Any = wires, n: int = n) -> None:
            qml.StronglyEntanglingLayers(theta.reshape(1, n, 3), wires=wires)

        for gate in ("rx", "ry", "rz"):
            count = n if gate == "ry" else n - 1

            def angle(theta: Any, x: Any, gate: str = gate, wires: Any = wires, after: Any = after) -> None:
                qml.AngleEmbedding(x, wires=wires, rotation=gate[1].upper())
                after(theta)

            pennylane_case(n, ("angle", {"gate": gate}), ansatz, angle, 3 * n, numbers(count, seed=n))

        for pad_with in (0.0, 0.3):
            x = numbers(2**n - 1, seed=n + 10)

            def amplitude(
                theta: Any, x: Any, n: int = n, wires: Any = wires, pad_with: float = pad_with, after: Any = after
            ) -> None:
                # Wire 0 is the most significant bit there: bit-reverse so that feature i is amplitude i of qubit order.
                padded = np.concatenate([x, np.full(2**n - len(x), pad_with)])
                turned = padded.reshape((2,) * n).transpose().reshape(-1)
                qml.AmplitudeEmbedding(turned, wires=wires, normalize=True)
                after(theta)

            pennylane_case(n, ("amplitude", {"pad_with": pad_with}), ansatz, amplitude, 3 * n, x)

        bits = np.array([1, 0, 1, 1, 0])[:n].astype(float)

        def basis(theta: Any, x: Any, wires: Any = wires, after: Any = after) -> None:
            qml.BasisEmbedding(x.astype(int), wires=wires)
            after(theta)

        pennylane_case(n, ("basis", {}), ansatz, basis, 3 * n, bits)

        def iqp(theta: Any, x: Any, wires: Any = wires, after: Any = after) -> None:
            qml.IQPEmbedding(x, wires=wires, n_repeats=2)
            after(theta)

        pennylane_case(n, ("iqp", {"repeats": 2}), ansatz, iqp, 3 * n, numbers(n, seed=n + 20))

        for field in ("rx", "ry", "rz"):
            width = 3 if n == 2 else 2 * n
            count = n if field == "ry" else n - 1

            def qaoa(
                theta: Any, x: Any, width: int = width, wires: Any = wires, field: str = field, after: Any = after
            ) -> None:
                weights = theta[: 2 * width].reshape(2, width)
                qml.QAOAEmbedding(x, weights, wires=wires, local_field=field[1].upper())
                after(theta[2 * width :])

            options = {"repeats": 2, "local_field": field}
            pennylane_case(n, ("qaoa_embedding", options), ansatz, qaoa, 2 * width + 3 * n, numbers(count, seed=n + 30))
