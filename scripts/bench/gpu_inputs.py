"""What gpu_step.py, gpu_triton_qml.py and gpu_torch.py share: the same numbers for the same seed, NumPy only."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np


def inputs(n_qubits: int, layers: int, batch: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """theta (layers, n, 3), x (batch, n), weights of min(10, n) observables."""
    generator = np.random.default_rng(seed)
    theta = generator.uniform(0, 2 * np.pi, (layers, n_qubits, 3))
    x = generator.uniform(0, np.pi, (batch, n_qubits))
    return theta, x, generator.normal(size=min(10, n_qubits))


def parser_of(description: str | None, chunk: int) -> argparse.ArgumentParser:
    """The words that those have in common who keep states of layers in segments; `chunk` samples at once, 0: all."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--qubits", type=int, required=True)
    parser.add_argument("--layers", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--segment", type=int, default=0, help="layers a checkpoint segment; 0 keeps every state")
    parser.add_argument("--chunk", type=int, default=chunk, help="samples at once; 0: all")
    parser.add_argument("--seed", type=int, default=7)
    return parser


def timed(step: Callable[[], tuple[float, np.ndarray]], repeats: int) -> tuple[float, list[float], float, np.ndarray]:
    """Seconds of the first step and of `repeats` more, and the loss and gradient of the last."""
    seconds = []
    for _ in range(1 + repeats):
        begun = time.perf_counter()
        loss, gradient = step()
        seconds.append(time.perf_counter() - begun)
    return seconds[0], seconds[1:], loss, gradient
