"""Expectation values and gradients of PennyLane's and Qiskit's own templates, for `test_references.py`.

    pip install pennylane qiskit && python tests/field/make_references.py

writes `references.json` beside this file. The script knows nothing of qmltrain: it builds each circuit with the
library's template, wire i standing for qubit i, and stores what an entry of our registries must reproduce: its name and
options, features, parameters in our order, three Pauli observables, their values and the gradient of a fixed
combination of them. Parameters are rounded to four digits so that the file holds them exactly.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

COTANGENT = [1.0, -0.7, 0.4]  # weights of the three observables in the stored gradient
SIZES = (2, 3, 5)
Observable = dict[int, str]
cases: list[dict[str, Any]] = []


def observables(n: int) -> list[Observable]:
    """Three observables that tell qubits, directions and axes apart: Z0, X of the last, Y0 Z1."""
    return [{0: "Z"}, {n - 1: "X"}, {0: "Y", 1: "Z"}]


def text(observable: Observable) -> str:
    return " ".join(f"{letter}{qubit}" for qubit, letter in observable.items())


def numbers(count: int, seed: int, low: float = -np.pi, high: float = np.pi) -> np.ndarray:
    return np.random.default_rng(seed).uniform(low, high, count).round(4)


def store(
    library: str,
    n: int,
    encoding: tuple[str, dict],
    ansatz: tuple[str, dict],
    features: np.ndarray,
    theta: np.ndarray,
    values: np.ndarray,
    gradient: np.ndarray,
    **extra: Any,
) -> None:
    cases.append(
        {
            "library": library,
            "n_qubits": n,
            "encoding": list(encoding),
            "ansatz": list(ansatz),
            **extra,
            "features": [float(value) for value in features],
            "parameters": [float(value) for value in theta],
            "observables": [text(observable) for observable in observables(n)],
            "expectations": [float(value) for value in values],
            "gradient": [float(value) for value in gradient],
        }
    )


# ---- PennyLane ---------------------------------------------------------------------------------------------


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


# ---- Qiskit ------------------------------------------------------------------------------------------------


def derivative(function: Callable[[float], float], at: float, frequency: int) -> float:
    """f' for a trigonometric polynomial of period 4 pi with frequencies up to `frequency`: exact interpolation."""
    half_waves = 2 * frequency
    count = 2 * half_waves + 1
    points = 4 * np.pi * np.arange(count) / count
    coefficients = np.fft.fft([function(at + point) for point in points]) / count
    waves = np.fft.fftfreq(count, 1 / count)
    return float((1j * waves / 2 * coefficients).sum().real)


def qiskit_case(
    n: int,
    encoding: tuple[str, dict],
    ansatz: tuple[str, dict],
    circuit: Any,
    theta_order: list,
    features: dict | None = None,
    frequency: int = 1,
    **extra: Any,
) -> None:
    """`theta_order` are the circuit's parameters in our order, `features` maps its data parameters to values."""
    from qiskit.quantum_info import SparsePauliOp, Statevector

    operators = [
        SparsePauliOp.from_sparse_list([("".join(o.values()), list(o.keys()), 1.0)], num_qubits=n)
        for o in observables(n)
    ]
    bound = circuit.assign_parameters(features or {})
    theta = numbers(len(theta_order), seed=len(cases))

    def values(theta: np.ndarray) -> np.ndarray:
        state = Statevector(bound.assign_parameters(dict(zip(theta_order, theta, strict=True))).decompose(reps=4))
        return np.array([state.expectation_value(operator).real for operator in operators])

    def along(index: int, value: float) -> float:
        moved = theta.copy()
        moved[index] = value
        return float(np.dot(COTANGENT, values(moved)))

    gradient = [derivative(lambda value, k=k: along(k, value), theta[k], frequency) for k in range(len(theta_order))]
    x = np.array(list((features or {}).values()))
    store("qiskit", n, encoding, ansatz, x, theta, values(theta), np.array(gradient), **extra)


def qiskit_ansaetze() -> None:
    from qiskit.circuit.library import (
        efficient_su2,
        n_local,
        pauli_two_design,
        qaoa_ansatz,
        real_amplitudes,
    )
    from qiskit.quantum_info import SparsePauliOp

    none = ("none", {})
    maps = ("full", "linear", "reverse_linear", "circular", "pairwise", "sca")
    for n in SIZES:
        for entanglement in maps:
            skip = entanglement == "circular"
            built = real_amplitudes(n, reps=2, entanglement=entanglement, skip_final_rotation_layer=skip)
            options = {"layers": 2, "entanglement": entanglement, "skip_final_rotation": skip}
            qiskit_case(n, none, ("real_amplitudes", options), built, list(built.parameters))
        built = efficient_su2(n, reps=1)
        qiskit_case(n, none, ("efficient_su2", {"layers": 1}), built, list(built.parameters))
        built = efficient_su2(n, su2_gates=["rx", "h", "p"], reps=1, entanglement="pairwise")
        options = {"layers": 1, "rotations": ["rx", "h", "p"], "entanglement": "pairwise"}
        qiskit_case(n, none, ("efficient_su2", options), built, list(built.parameters))
        for rotations, entangler, entanglement, layers in (
            (["ry"], "crx", "sca", 2),
            (["rx", "rz"], "cz", "full", 1),
            (["h", "ry"], "rzz", "circular", 2),
            (["sx", "rz"], "cp", "pairwise", 1),
        ):
            built = n_local(n, rotations, entangler, entanglement, reps=layers)
            options = {"rotations": rotations, "entangler": entangler, "entanglement": entanglement, "layers": layers}
            qiskit_case(n, none, ("two_local", options), built, list(built.parameters))
        for entangler, entanglement in (("cz", "circular"), ("cx", "linear")):
            built = n_local(n, ["rx", "ry", "rz"], entangler, entanglement, reps=2, skip_final_rotation_layer=True)
            shape = {"circular": "ring", "linear": "chain"}[entanglement]
            # There all RX come first, here all rotations of a qubit: (layer, gate, qubit) -> (layer, qubit, gate).
            order = np.arange(6 * n).reshape(2, 3, n).transpose(0, 2, 1).reshape(-1)
            names = list(built.parameters)
            options = {"layers": 2, "entangler": f"{entangler}_{shape}"}
            qiskit_case(n, none, ("hea", options), built, [names[index] for index in order])
        built = pauli_two_design(n, reps=2, seed=5 + n)
        trained = set(built.parameters)
        rows = [i.operation.name for i in built.data if trained.intersection(i.operation.params)]
        rotations = [rows[row * n : (row + 1) * n] for row in range(3)]
        qiskit_case(n, none, ("pauli_two_design", {"layers": 2}), built, list(built.parameters), structure=rotations)
        weighted = [(0, n - 1, 0.5), (0, 1, 1.5)] if n > 2 else [(0, 1, 1.5)]
        cost = SparsePauliOp.from_sparse_list([("ZZ", [i, j], w) for i, j, w in weighted], num_qubits=n)
        built = qaoa_ansatz(cost, reps=1)
        beta, gamma = built.parameters
        qiskit_case(
            n,
            none,
            ("qaoa", {"layers": 1, "graph": "file"}),
            built,
            [gamma, beta],
            frequency=2 * n,
            graph_file="".join(f"{i} {j} {w}\n" for i, j, w in weighted),
        )


def qiskit_encodings() -> None:
    from qiskit.circuit.library import pauli_feature_map, real_amplitudes, z_feature_map, zz_feature_map

    for n in SIZES:
        after = real_amplitudes(n, reps=1)
        ansatz = ("real_amplitudes", {"layers": 1})
        maps: list[tuple[str, dict, Any]] = [
            ("z_feature_map", {"repeats": 2}, z_feature_map(n, reps=2)),
            ("z_feature_map", {"repeats": 1, "alpha": 0.7}, z_feature_map(n, reps=1, alpha=0.7)),
        ]
        for entanglement in ("full", "linear", "circular", "sca"):
            options = {"entanglement": entanglement}
            maps.append(("zz_feature_map", options, zz_feature_map(n, reps=2, entanglement=entanglement)))
        # Qiskit's labels have the letter of the first qubit last.
        for paulis in (["X", "YZ"], ["Z", "XX", "ZY"], ["Y", "XYZ"]):
            if max(map(len, paulis)) > n:
                continue
            built = pauli_feature_map(n, reps=1, paulis=[letters[::-1] for letters in paulis], alpha=1.3)
            maps.append(("pauli_feature_map", {"repeats": 1, "paulis": paulis, "alpha": 1.3}, built))
        for name, options, encoding in maps:
            data = list(encoding.parameters)
            features = dict(zip(data, numbers(n, seed=n + 40, low=0.0, high=np.pi), strict=True))
            qiskit_case(n, (name, options), ansatz, encoding.compose(after), list(after.parameters), features)


def main() -> None:
    warnings.simplefilter("ignore")
    for part in (pennylane_ansaetze, pennylane_encodings, qiskit_ansaetze, qiskit_encodings):
        part()
        print(f"{part.__name__}: {len(cases)} cases", file=sys.stderr)
    result = {
        "made_by": "tests/field/make_references.py",
        "versions": {name: version(name) for name in ("pennylane", "qiskit", "numpy")},
        "cotangent": COTANGENT,
        "cases": cases,
    }
    lines = json.dumps({**result, "cases": []}, indent=1)[: -len("[]\n}")]
    body = ",\n".join("  " + json.dumps(case) for case in cases)
    Path(__file__).with_name("references.json").write_text(f"{lines}[\n{body}\n ]\n}}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
