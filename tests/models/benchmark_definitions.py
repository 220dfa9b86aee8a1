"""The trained models of arXiv:2403.07059 (appendix on models) in plain NumPy, sample by sample: another derivation.

A state is an array of one axis a wire, wire 0 the highest bit of an amplitude's index, as in the paper's simulator.
Parameters are read by name from a dict; Rot(a, b, c) is RZ(a), then RY(b), then RZ(c).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np

Numbers = Mapping[str, float]


def zeros(n: int) -> np.ndarray:
    state = np.zeros((2,) * n, dtype=complex)
    state[(0,) * n] = 1.0
    return state


def one(state: np.ndarray, wire: int, matrix: np.ndarray) -> np.ndarray:
    return (matrix @ state.reshape(1 << wire, 2, -1)).reshape(state.shape)


def rx(t: float) -> np.ndarray:
    return np.array([[np.cos(t / 2), -1j * np.sin(t / 2)], [-1j * np.sin(t / 2), np.cos(t / 2)]])


def ry(t: float) -> np.ndarray:
    return np.array([[np.cos(t / 2), -np.sin(t / 2)], [np.sin(t / 2), np.cos(t / 2)]])


def rz(t: float) -> np.ndarray:
    return np.array([[np.exp(-0.5j * t), 0], [0, np.exp(0.5j * t)]])


def rot(a: float, b: float, c: float) -> np.ndarray:
    return rz(c) @ ry(b) @ rz(a)


HADAMARD = np.array([[1, 1], [1, -1]]) / np.sqrt(2)


def bits(state: np.ndarray, wire: int) -> np.ndarray:
    """The bit of `wire` of every amplitude."""
    return bits_of(state.ndim)[wire]


@cache
def bits_of(n: int) -> np.ndarray:
    return np.indices((2,) * n)


def cx(state: np.ndarray, control: int, target: int) -> np.ndarray:
    return np.where(bits(state, control) == 1, np.flip(state, axis=target), state)


def cz(state: np.ndarray, first: int, second: int) -> np.ndarray:
    return np.where(bits(state, first) * bits(state, second) == 1, -state, state)


def z(state: np.ndarray, *wires: int) -> float:
    signs = np.prod([1 - 2 * bits(state, wire) for wire in wires], axis=0)
    return float(np.sum(signs * np.abs(state) ** 2))


def strongly_entangling(state: np.ndarray, theta: Numbers, layers: int, gate: str) -> np.ndarray:
    n = state.ndim
    for layer in range(layers):
        for wire in range(n):
            angles = (theta[f"ansatz.{layer}.{name}.{wire}"] for name in ("rz", "ry", "rz_2"))
            state = one(state, wire, rot(*angles))
        reach = layer % (n - 1) + 1
        for wire in range(n):
            state = {"cx": cx, "cz": cz}[gate](state, wire, (wire + reach) % n)
    return state


def sigmoid_cross_entropy(logit: float, y: int) -> float:
    return float(np.log1p(np.exp(-y * logit)))


def iqp_variational(theta: Numbers, x: np.ndarray, y: int, repeats: int, layers: int) -> tuple[list[float], float]:
    n = len(x)
    state = zeros(n)
    for _ in range(repeats):
        for wire in range(n):
            state = one(one(state, wire, HADAMARD), wire, rz(x[wire]))
        for i in range(n):
            for j in range(i + 1, n):
                parity = (1 - 2 * bits(state, i)) * (1 - 2 * bits(state, j))
                state = state * np.exp(-0.5j * x[i] * x[j] * parity)
    f = z(strongly_entangling(state, theta, layers, "cz"), 0, 1)
    return [f], (1 - y * f) / 2


def vanilla_qnn(theta: Numbers, x: np.ndarray, y: int, repeats: int, layers: int) -> tuple[list[float], float]:
    n = len(x)
    state = zeros(n)
    for _ in range(repeats):
        for wire in range(n):
            state = one(state, wire, rx(x[wire]))
        for wire in range(n):
            state = cx(state, wire, (wire + 1) % n)
    f = 6 * z(strongly_entangling(state, theta, layers, "cz"), 0)
    return [f], sigmoid_cross_entropy(f, y)


def separable_variational(theta: Numbers, x: np.ndarray, y: int, layers: int) -> tuple[list[float], float]:
    values = []
    for wire, feature in enumerate(x):  # qubits stay apart
        state = zeros(1)
        for layer in range(layers + 1):
            angles = (theta[f"ansatz.{layer}.{name}.{wire}"] for name in ("rz", "ry", "rz_2"))
            state = one(state, 0, rot(*angles))
            if layer < layers:
                state = one(state, 0, ry(feature))
        values.append(z(state, 0))
    f = 6 * float(np.mean(values))
    return [f], sigmoid_cross_entropy(f, y)


def reuploading_state(theta: Numbers, x: np.ndarray, layers: int, variant: str) -> np.ndarray:
    """`variant`: full, no_scaling, separable."""
    n = -(-len(x) // 3)
    padded = np.append(x, np.zeros(3 * n - len(x)))
    names = ("rz", "ry", "rz_2")

    def encoding(block: int, wire: int, weights: bool, biases: bool) -> np.ndarray:
        angles = []
        for k, name in enumerate(names):
            here, index = f"encoding.{block}.{name}.{wire}", 3 * wire + k
            # a weight of a zero that was appended has no effect
            weight = theta[f"{here}.weight"] if weights and index < len(x) else 1.0
            angles.append(weight * padded[index] + (theta[f"{here}.bias"] if biases else 0.0))
        return rot(*angles)

    state = zeros(n)
    for layer in range(layers):
        for wire in range(n):
            state = one(state, wire, encoding(layer, wire, variant != "no_scaling", variant != "full"))
            if variant == "full":
                state = one(state, wire, rot(*(theta[f"ansatz.{layer}.{name}.{wire}"] for name in names)))
        if variant != "separable":
            for wire in range(layer % 2, n - 1, 2):
                state = cz(state, wire, wire + 1)
    for wire in range(n):
        state = one(state, wire, encoding(layers, wire, variant != "no_scaling", True))
    return state


def data_reuploading(
    theta: Numbers, x: np.ndarray, y: int, layers: int, read: Sequence[int], variant: str = "full"
) -> tuple[list[float], float]:
    state = reuploading_state(theta, x, layers, variant)
    values = [z(state, wire) for wire in read]
    loss = 0.0
    for k, value in enumerate(values):
        loss += (theta[f"loss.0.{k}"] * (1 - value) / 2 - (1 - y) / 2) ** 2
        loss += (theta[f"loss.1.{k}"] * (1 + value) / 2 - (1 + y) / 2) ** 2
    return values, loss / 2


def data_reuploading_no_cost(theta: Numbers, x: np.ndarray, y: int, layers: int) -> tuple[list[float], float]:
    state = reuploading_state(theta, x, layers, "full")
    f = sum(z(state, wire) for wire in range(state.ndim))
    return [f], (1 - y * f) / 2


def dressed(theta: Numbers, x: np.ndarray, y: int, layers: int, ring: bool = True) -> tuple[list[float], float]:
    n = len(x)
    weights = np.array([[theta[f"input.0.{out}.{into}.weight"] for into in range(n)] for out in range(n)])
    u = np.pi / 2 * np.tanh(weights @ x)
    state = zeros(n)
    for wire in range(n):
        state = one(one(state, wire, HADAMARD), wire, ry(u[wire]))
    for layer in range(layers):
        for wire in range(n):
            state = one(state, wire, ry(theta[f"ansatz.{layer}.ry.{wire}"]))
        for wire in range(n if n > 2 else 1) if ring else ():
            state = cx(state, wire, (wire + 1) % n)
    values = np.array([z(state, wire) for wire in range(n)])
    outputs = [sum(theta[f"head.{c}.{k}.weight"] * values[k] for k in range(n)) for c in range(2)]
    target = (y + 1) // 2
    return outputs, float(np.log(np.exp(outputs[0]) + np.exp(outputs[1])) - outputs[target])


def amplitudes(x: np.ndarray, n: int) -> np.ndarray:
    padded = np.append(x, np.full(2**n - len(x), 1 / 2**n))
    return (padded / np.linalg.norm(padded)).astype(complex)


def circuit_centric(theta: Numbers, x: np.ndarray, y: int, copies: int, layers: int) -> tuple[list[float], float]:
    k = int(np.ceil(np.log2(len(x))))
    vector = np.ones(1)
    for _ in range(copies):
        vector = np.kron(vector, amplitudes(x, k))
    state = strongly_entangling(vector.reshape((2,) * (copies * k)), theta, layers, "cx")
    f = z(state, 0) + theta["head.0.bias"]
    return [f], (f - y) ** 2 / 2


def tree_tensor(theta: Numbers, x: np.ndarray, y: int) -> tuple[list[float], float]:
    levels = int(np.ceil(np.log2(np.ceil(np.log2(len(x))))))
    n = 2**levels
    state = amplitudes(x, n).reshape((2,) * n)
    for level in range(levels):
        for wire in range(0, n, 2**level):
            state = one(state, wire, ry(theta[f"ansatz.{level}.ry.{wire}"]))
        for wire in range(0, n, 2 ** (level + 1)):
            state = cx(state, wire + 2**level, wire)
    state = one(state, 0, ry(theta[f"ansatz.{levels}.ry.0"]))
    f = z(state, 0) + theta["head.0.bias"]
    return [f], (f - y) ** 2
