"""Circuits that PennyLane and Qiskit have no template of, derived a second time: as products of matrices.

Nothing of qmltrain makes the expected numbers: states are multiplied by exponentials of Pauli matrices (Kronecker
products) in the order of the source's drawing or formula, gradients are differences of order 8. Three sizes each.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import pytest
import scipy.sparse

from qmltrain.circuit.library.assemble import assemble, assemble_observables
from qmltrain.engines.reference import ReferenceEngine
from qmltrain.training.angles import AngleMap
from tests.engines.comparison import begin

Gate = Callable[[np.ndarray], np.ndarray]  # of a state
PAULI = {"X": np.array([[0, 1], [1, 0]]), "Y": np.array([[0, -1j], [1j, 0]]), "Z": np.diag([1, -1])}
COTANGENT = np.array([1.0, -0.7, 0.4])


@functools.cache
def on(n: int, *letters: tuple[int, str]) -> scipy.sparse.csr_array | np.ndarray:
    """The product of Pauli matrices, qubit 0 the last factor of the Kronecker product."""
    of = dict(letters)
    factors = [scipy.sparse.csr_array(PAULI[of[q]] if q in of else np.eye(2)) for q in reversed(range(n))]
    product = functools.reduce(scipy.sparse.kron, factors).tocsr()
    return product.toarray() if n <= 5 else product  # one entry per row: dense, n = 8 takes a minute


def turn(n: int, letter: str, qubit: int, angle: float) -> Gate:
    """exp(-i angle P / 2)."""
    return lambda state: np.cos(angle / 2) * state - 1j * np.sin(angle / 2) * (on(n, (qubit, letter)) @ state)


def controlled(n: int, control: int, gate: Gate) -> Gate:
    """`gate` where the control is 1: projectors on its two values."""
    z = on(n, (control, "Z"))
    return lambda state: (state + z @ state) / 2 + gate((state - z @ state) / 2)


def cnot(n: int, control: int, target: int) -> Gate:
    return controlled(n, control, lambda state: on(n, (target, "X")) @ state)


def on_all(n: int, letter: str, angles: np.ndarray) -> list[Gate]:
    return [turn(n, letter, q, angle) for q, angle in enumerate(angles)]


def rings(n: int, layer: np.ndarray, entangle: Callable[[int, int, float], Gate], parametrised: bool) -> list[Gate]:
    """Circuits 13, 14, 15 of Sim et al.: RY, ring downwards from the last control; RY, ring the other way."""
    k = 4 if parametrised else 2
    rows = layer.reshape(k, n)
    first, second = (rows[1], rows[3]) if parametrised else (np.zeros(n), np.zeros(n))
    middle = rows[2] if parametrised else rows[1]
    down = [entangle(c, (c + 1) % n, angle) for c, angle in zip(reversed(range(n)), first, strict=True)]
    controls = [n - 1, *range(n - 1)]
    up = [entangle(c, (c - 1) % n, angle) for c, angle in zip(controls, second, strict=True)]
    return [*on_all(n, "Y", rows[0]), *down, *on_all(n, "Y", middle), *up]


def sim_2(n: int, layer: np.ndarray) -> list[Gate]:
    chain = [cnot(n, n - 1 - i, n - 2 - i) for i in range(n - 1)]
    return [*on_all(n, "X", layer[:n]), *on_all(n, "Z", layer[n:]), *chain]


def sim_13(n: int, layer: np.ndarray) -> list[Gate]:
    return rings(n, layer, lambda c, t, angle: controlled(n, c, turn(n, "Z", t, angle)), True)


def sim_14(n: int, layer: np.ndarray) -> list[Gate]:
    return rings(n, layer, lambda c, t, angle: controlled(n, c, turn(n, "X", t, angle)), True)


def sim_15(n: int, layer: np.ndarray) -> list[Gate]:
    return rings(n, layer, lambda c, t, _: cnot(n, c, t), False)


def sim_19(n: int, layer: np.ndarray) -> list[Gate]:
    pairs = zip(reversed(range(n)), layer[2 * n :], strict=True)
    ring = [controlled(n, control, turn(n, "X", (control + 1) % n, angle)) for control, angle in pairs]
    return [*on_all(n, "X", layer[:n]), *on_all(n, "Z", layer[n : 2 * n]), *ring]


def qcnn(n: int, theta: np.ndarray) -> list[Gate]:
    """Convolutions on neighbours, even then odd and around; pooling of the first half into the second; repeated."""
    gates: list[Gate] = []
    angles = iter(theta)

    def block(a: int, b: int, pooling: bool) -> None:
        one, two, three = (next(angles) for _ in range(3))
        gates.extend([turn(n, "Z", b, -np.pi / 2), cnot(n, b, a), turn(n, "Z", a, one), turn(n, "Y", b, two)])
        gates.extend([cnot(n, a, b), turn(n, "Y", b, three)])
        if not pooling:
            gates.extend([cnot(n, b, a), turn(n, "Z", a, np.pi / 2)])

    active = list(range(n))
    while len(active) > 1:
        ring = [*active, active[0]]
        for start in (0, 1):
            for k in range(start, len(active), 2):
                block(ring[k], ring[k + 1], False)
        half = len(active) // 2
        for source, sink in zip(active[:half], active[half:], strict=True):
            block(source, sink, True)
        active = active[half:]
    return gates


def reuploading(n: int, theta: np.ndarray, x: np.ndarray) -> list[Gate]:
    """Two blocks of RY(w x + b), feature q mod F on qubit q, each followed by one layer of `sim_2`."""
    gates: list[Gate] = []
    for part in np.split(theta, 2):
        weights, biases = part[: 2 * n : 2], part[1 : 2 * n : 2]
        gates += on_all(n, "Y", weights * x + biases) + sim_2(n, part[2 * n :])
    return gates


def tower(f: Callable[[np.ndarray], np.ndarray]) -> Callable[[int, np.ndarray, np.ndarray], list[Gate]]:
    return lambda n, theta, x: [*on_all(n, "X", f(x) * np.arange(1, n + 1)), *sim_2(n, theta)]


SIM = {"sim_2": sim_2, "sim_13": sim_13, "sim_14": sim_14, "sim_15": sim_15, "sim_19": sim_19}


def two_layers(layer: Callable[[int, np.ndarray], list[Gate]]) -> Callable[[int, np.ndarray, np.ndarray], list[Gate]]:
    return lambda n, theta, x: [gate for part in np.split(theta, 2) for gate in layer(n, part)]


def cases() -> list:
    """encoding and its options, ansatz and its options, n, number of features, derivation."""
    found = [
        pytest.param("none", {}, (name, {"layers": 2}), n, 0, two_layers(layer), id=f"{name}-{n}")
        for name, layer in SIM.items()
        for n in (2, 3, 5)
    ]
    found += [
        pytest.param("none", {}, ("qcnn", {}), n, 0, lambda n, theta, x: qcnn(n, theta), id=f"qcnn-{n}")
        for n in (2, 4, 8)
    ]
    options = {"repeats": 2, "trainable": "weights_and_biases"}
    found += [
        pytest.param("reuploading", options, ("sim_2", {}), n, n, reuploading, id=f"reuploading-{n}") for n in (2, 3, 5)
    ]
    found += [
        pytest.param(name, {"scaling": "tower"}, ("sim_2", {}), n, 1, tower(f), id=f"{name}-{n}")
        for name, f in (("fourier", lambda x: x), ("chebyshev", np.arccos))
        for n in (2, 3, 5)
    ]
    return found


def check(encoding, options, ansatz, n, n_features, derive, every=16):
    """Of 63 parameters of the largest circuit one in `every`, of all others each."""
    generator = np.random.default_rng(n)
    x_F = generator.uniform(-0.9, 0.9, n_features)
    circuit = assemble(n, n_features, encoding, options, *ansatz)
    theta_P = generator.uniform(-np.pi, np.pi, circuit.n_parameters)
    measured = [on(n, (0, "Z")), on(n, (n - 1, "X")), on(n, (0, "Y"), (1, "Z"))]
    observables = assemble_observables(n, "pauli", {"terms": ["Z0", f"X{n - 1}", "Y0 Z1"]})

    def values(theta: np.ndarray) -> np.ndarray:
        start = np.eye(2**n)[0].astype(complex)
        state = functools.reduce(lambda state, gate: gate(state), derive(n, theta, x_F), start)
        return np.array([np.vdot(state, operator @ state).real for operator in measured])

    angles = AngleMap(circuit)
    x_BF = x_F[None]
    program = ReferenceEngine().compile(circuit, observables.strings, "complex128")
    step, per_sample = begin(program, circuit, theta_P, x_BF)
    tape = step.forward(per_sample)
    np.testing.assert_allclose(tape.expectations_BM[0], values(theta_P), rtol=0, atol=1e-10)
    back = tape.backward(COTANGENT[None])
    gradient_P = angles.shared_gradient(step.slot_gradient(back.block_sums_GR.sum(axis=0)))
    if angles.has_trainable_encoding:
        gradient_P = gradient_P + angles.encoding_gradient(angles.encoding_sums(back.per_sample_BS, x_BF).sum(axis=0))
    for k in range(0, circuit.n_parameters, every if n == 8 else 1):
        step = 0.02 * (np.arange(circuit.n_parameters) == k)
        weights = {1: 4 / 5, 2: -1 / 5, 3: 4 / 105, 4: -1 / 280}
        slope = sum(w * (values(theta_P + m * step) - values(theta_P - m * step)) for m, w in weights.items()) / 0.02
        assert abs(COTANGENT @ slope - gradient_P[k]) < 1e-10, circuit.parameter_names[k]


@pytest.mark.parametrize(("encoding", "options", "ansatz", "n", "n_features", "derive"), cases())
def test_values_and_gradients(encoding, options, ansatz, n, n_features, derive):
    check(encoding, options, ansatz, n, n_features, derive)


@pytest.mark.slow
def test_all_gradients_of_the_largest():
    check("none", {}, ("qcnn", {}), 8, 0, lambda n, theta, x: qcnn(n, theta), every=1)
