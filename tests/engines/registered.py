"""Every registered ansatz and encoding as a circuit of each documented size, and the engines that run here."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.circuit.circuit import Circuit
from qmltrain.circuit.library.ansatze import ANSATZE
from qmltrain.circuit.library.assemble import assemble
from qmltrain.circuit.library.encodings import ENCODINGS
from qmltrain.engines.interpreter import InterpreterEngine
from qmltrain.engines.selection import select_engine
from qmltrain.errors import EngineUnavailableError
from tests.circuit.library.documented_ansaetze import DOCUMENTED as ANSATZ_SIZES
from tests.circuit.library.documented_ansaetze import ONE_DEPTH
from tests.circuit.library.documented_encodings import DOCUMENTED as ENCODING_SIZES
from tests.circuit.strategies import random_states

USERS_OWN = {"python", "qasm"}  # functions and files of the user's: their tests make them
LARGEST = 5


def registered_circuits() -> list:
    cases = []
    for name in sorted(set(ANSATZE) - USERS_OWN):
        for n in ANSATZ_SIZES[name][0]:
            if n <= LARGEST:
                cases.append(pytest.param("angle", n, n, name, id=f"{name}-{n}"))
    for name in sorted(set(ENCODINGS) - USERS_OWN):
        for n, n_features in ENCODING_SIZES[name][0]:
            cases.append(pytest.param(name, n, n_features, "hea", id=f"{name}-{n}-{n_features}"))
    return cases


def build(encoding: str, n_qubits: int, n_features: int, ansatz: str) -> Circuit:
    layers = 1 if ansatz in ONE_DEPTH else 2
    options = {"repeats": n_features} if encoding == "reuploading" else {}
    return assemble(n_qubits, n_features, encoding, options, ansatz, {"layers": layers})


def inputs(circuit: Circuit, encoding: str, batch: int):  # noqa: ANN201
    generator = np.random.default_rng(11)
    theta = generator.uniform(-np.pi, np.pi, circuit.n_parameters)
    x = generator.uniform(-0.9, 0.9, (batch, circuit.n_features))
    if encoding == "basis":
        x = (x > 0).astype(float)
    return theta, x, random_states(circuit.n_qubits, batch) if circuit.amplitude_encoded else None


def engines() -> list:
    return [pytest.param(name, id=name) for name in ("interpreter", "cpu")]


def make(name: str):  # noqa: ANN201
    if name == "interpreter":
        return InterpreterEngine()
    try:
        return select_engine(name).engine
    except EngineUnavailableError as error:
        pytest.skip(str(error))
