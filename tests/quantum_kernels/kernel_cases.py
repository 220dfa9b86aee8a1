"""Small kernel jobs, what is in their files, and kernels computed from dense states, one pair after the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from qmltrain.config.schema import Config
from qmltrain.training.model import Model
from tests.circuit import dense
from tests.small_configs import moons

PAULIS = [np.array(m) for m in ([[0, 1], [1, 0]], [[0, -1j], [1j, 0]], [[1, 0], [0, -1]])]


def small(root: Path, **changes: Any) -> Config:
    """Angles of two qubits, 60 moons: 36 training rows and 12 of the test."""
    of_kernels = {"encoding__name": "zz_feature_map", "encoding__repeats": None, "run__name": "kernel"}
    return moons(root, **{**of_kernels, **changes})


def contents(path: Path) -> dict[str, np.ndarray]:
    """Every dataset of a kernel file."""
    found: dict[str, np.ndarray] = {}
    with h5py.File(path, "r") as file:
        file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return found


def dense_states(model: Model, theta_P: np.ndarray, x_BF: np.ndarray) -> np.ndarray:
    """(B, N) from whole unitaries, behind the model's input layers."""
    x_BF = model.features(model.split(theta_P), x_BF)
    n = model.circuit.n_parameters
    starts = model.initial_state(x_BF)
    zero = np.eye(1 << model.circuit.n_qubits)[0]
    return np.array(
        [
            dense.unitary(model.circuit, theta_P[:n], x_F) @ (zero if starts is None else starts[row])
            for row, x_F in enumerate(x_BF)
        ]
    )


def fidelities(a_BN: np.ndarray, b_BN: np.ndarray) -> np.ndarray:
    return np.array([[abs(np.vdot(a, b)) ** 2 for b in b_BN] for a in a_BN])


def bloch_vectors(states_BN: np.ndarray) -> np.ndarray:
    """(B, 3 n): <X>, <Y>, <Z> of qubit 0, then of qubit 1, ..., from Kronecker products."""
    n = states_BN.shape[1].bit_length() - 1
    columns = []
    for qubit in range(n):
        for pauli in PAULIS:
            operator = np.kron(np.kron(np.eye(1 << (n - qubit - 1)), pauli), np.eye(1 << qubit))
            columns.append([np.vdot(state, operator @ state).real for state in states_BN])
    return np.array(columns).T


def projected(a_BV: np.ndarray, b_BV: np.ndarray, gamma: float) -> np.ndarray:
    return np.array([[np.exp(-gamma * np.sum((a - b) ** 2)) for b in b_BV] for a in a_BV])
