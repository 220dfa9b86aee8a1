"""What a reference case holds, whatever library it comes from."""

from __future__ import annotations

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
