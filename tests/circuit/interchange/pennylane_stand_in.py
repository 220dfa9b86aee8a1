"""As much of PennyLane as exported sources use, in NumPy: gates by their definitions, wire 0 the highest bit.

It shares nothing with the package, so that what is exported can be executed where PennyLane is not installed.
"""

from __future__ import annotations

import math
import sys
import types
from collections.abc import Sequence
from unittest.mock import patch

import numpy as np

PAULIS = {
    "I": np.eye(2, dtype=complex),
    "X": np.array([[0, 1], [1, 0]], dtype=complex),
    "Y": np.array([[0, -1j], [1j, 0]]),
    "Z": np.diag([1.0 + 0j, -1]),
}


class Operation:
    """A matrix on wires, the first of which is the highest bit of its index; or a state to begin with."""

    def __init__(self, matrix: np.ndarray, wires: object) -> None:
        self.matrix, self.wires = matrix, [wires] if isinstance(wires, int) else list(wires)  # type: ignore[call-overload]
        _QUEUE.append(self)


_QUEUE: list[Operation] = []  # of the circuit that is being called


def _string(letters: str) -> np.ndarray:
    matrix = np.eye(1)
    for letter in letters:
        matrix = np.kron(matrix, PAULIS[letter])
    return matrix


def _rotation(letters: str, angle: float) -> np.ndarray:
    string = _string(letters)
    return math.cos(angle / 2) * np.eye(len(string)) - 1j * math.sin(angle / 2) * string


def _controlled(matrix: np.ndarray, controls: int = 1) -> np.ndarray:
    whole = np.eye(len(matrix) << controls, dtype=complex)
    whole[-len(matrix) :, -len(matrix) :] = matrix
    return whole


def _phase(angle: float) -> np.ndarray:
    return np.diag([1.0, np.exp(1j * angle)])


def _u3(theta: float, phi: float, delta: float) -> np.ndarray:
    c, s = math.cos(theta / 2), math.sin(theta / 2)
    return np.array([[c, -np.exp(1j * delta) * s], [np.exp(1j * phi) * s, np.exp(1j * (phi + delta)) * c]])


_HADAMARD = np.array([[1, 1], [1, -1]]) / math.sqrt(2)
_SWAP = np.eye(4)[[0, 2, 1, 3]]
_FIXED = {
    "Identity": PAULIS["I"], "PauliX": PAULIS["X"], "PauliY": PAULIS["Y"], "PauliZ": PAULIS["Z"], "Hadamard": _HADAMARD,
    "S": _phase(math.pi / 2), "T": _phase(math.pi / 4), "SX": np.array([[1 + 1j, 1 - 1j], [1 - 1j, 1 + 1j]]) / 2,
    "CNOT": _controlled(PAULIS["X"]), "CY": _controlled(PAULIS["Y"]), "CZ": _controlled(PAULIS["Z"]),
    "CH": _controlled(_HADAMARD), "SWAP": _SWAP, "Toffoli": _controlled(PAULIS["X"], 2),
    "CCZ": _controlled(PAULIS["Z"], 2), "CSWAP": _controlled(_SWAP),
}  # fmt: skip
_OF_ANGLES = {
    **{f"R{p}": lambda a, p=p: _rotation(p, a) for p in "XYZ"},
    **{f"CR{p}": lambda a, p=p: _controlled(_rotation(p, a)) for p in "XYZ"},
    **{f"Ising{p}{p}": lambda a, p=p: _rotation(p + p, a) for p in "XYZ"},
    "PhaseShift": _phase,
    "ControlledPhaseShift": lambda a: _controlled(_phase(a)),
    "U3": _u3,
}


class Word(dict):
    """A product of Pauli matrices, by wire."""

    def __matmul__(self, other: Word) -> Word:
        return Word({**self, **other})


def _adjoint(operation: Operation) -> None:
    operation.matrix = operation.matrix.conj().T


def _ctrl(operation: Operation, control: int) -> None:
    operation.matrix, operation.wires = _controlled(operation.matrix), [control, *operation.wires]


def _run(n_wires: int) -> np.ndarray:
    state = np.zeros((2,) * n_wires, dtype=complex)
    state[(0,) * n_wires] = 1.0
    for operation in _QUEUE:
        state = _apply(state, operation.matrix, operation.wires)
    return state


def _apply(state: np.ndarray, matrix: np.ndarray, wires: Sequence[int]) -> np.ndarray:
    if matrix.ndim == 1:  # a state to begin with
        assert len(wires) == state.ndim and abs(np.linalg.norm(matrix) - 1) < 1e-10
        return np.moveaxis(matrix.reshape(state.shape).astype(complex), range(state.ndim), wires)
    gate = matrix.reshape((2,) * (2 * len(wires)))
    state = np.tensordot(gate, state, axes=(range(len(wires), 2 * len(wires)), wires))
    return np.moveaxis(state, range(len(wires)), wires)


def _value(state: np.ndarray, terms: list[tuple[float, Word]]) -> float:
    total = 0.0
    for value, word in terms:
        after = state
        for wire, matrix in word.items():
            after = _apply(after, matrix, [wire])
        total += value * np.vdot(state, after).real
    return total


def _qnode(n_wires: int):  # noqa: ANN202
    def decorate(function):  # noqa: ANN001, ANN202
        def call(x: object) -> list[float]:
            _QUEUE.clear()
            observables = function(x)
            state = _run(n_wires)
            return [_value(state, terms) for terms in observables]

        return call

    return decorate


def pennylane() -> types.ModuleType:
    """The module."""
    module = types.ModuleType("pennylane")
    found: dict[str, object] = {
        **{name: lambda wires, m=matrix: Operation(m, wires) for name, matrix in _FIXED.items()},
        **{name: lambda *a, wires, f=make: Operation(f(*a), wires) for name, make in _OF_ANGLES.items()},
        **{letter: lambda wire, m=matrix: Word({wire: m}) for letter, matrix in PAULIS.items()},
        "MultiRZ": lambda angle, wires: Operation(_rotation("Z" * len(wires), angle), wires),
        "PauliRot": lambda angle, letters, wires: Operation(_rotation(letters, angle), wires),
        "StatePrep": lambda amplitudes, wires: Operation(np.array(amplitudes), wires),
        "adjoint": _adjoint,
        "ctrl": _ctrl,
        "dot": lambda values, words: list(zip(values, words, strict=True)),
        "expval": lambda terms: terms,
        "device": lambda name, wires: wires,
        "qnode": _qnode,
        "math": types.SimpleNamespace(arccos=math.acos),
    }
    module.__dict__.update(found)
    return module


def execute_in_numpy(source: str) -> dict:
    """What an exported source for PennyLane defines, on this module."""
    space: dict = {}
    with patch.dict(sys.modules, {"pennylane": pennylane()}):
        exec(compile(source, "exported", "exec"), space)
    return space
