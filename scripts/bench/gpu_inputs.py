"""The inputs that gpu_step.py and gpu_triton_qml.py share: the same numbers for the same seed, NumPy only."""

from __future__ import annotations

import numpy as np


def inputs(n_qubits: int, layers: int, batch: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """theta (layers, n, 3), x (batch, n), weights of min(10, n) observables."""
    generator = np.random.default_rng(seed)
    theta = generator.uniform(0, 2 * np.pi, (layers, n_qubits, 3))
    x = generator.uniform(0, np.pi, (batch, n_qubits))
    return theta, x, generator.normal(size=min(10, n_qubits))
