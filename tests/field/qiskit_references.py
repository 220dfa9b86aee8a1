"""References from Qiskit's circuit library."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.field.reference_cases import COTANGENT, SIZES, cases, numbers, observables, store


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
